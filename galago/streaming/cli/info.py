"""`galago info`: what a bundle holds, and which of its targets runs here."""

from __future__ import annotations

import json as json_format
from typing import Any

from galago.runtime import abi
from galago.runtime.bundle import Bundle
from galago.runtime.bundle_folder import find_bundle
from galago.runtime.errors import CorruptError, GalagoError
from galago.runtime.manifest import Manifest, read_manifest
from galago.runtime.manifest_ear import EarNetwork
from galago.streaming.cli.exits import exit_codes
from galago.streaming.cli.options import human_path
from galago.streaming.cli.tables import megabytes, print_table

_TARGET_COLUMNS = ("engine", "type", ">chunk", ">left context", ">lookahead", ">measured step")


def info(name: str, *, json: bool) -> None:
    """Describe a bundle."""
    with exit_codes():
        folder = find_bundle(name)
        manifest = read_manifest(folder)
        opened, refusal = None, None
        try:
            with Bundle(folder) as bundle:
                opened = _opened(bundle)
        except CorruptError:
            raise
        except GalagoError as error:  # a manifest can be read where nothing of it runs
            refusal = str(error)
        described = _described(manifest)
        described |= {"folder": str(folder), "opened": opened, "not_opened_because": refusal}
        if json:
            print(json_format.dumps(described, indent=1, ensure_ascii=False))
            return
        print(f"{manifest.name} {manifest.version}  ({manifest.license}; {', '.join(manifest.languages)})")
        print(manifest.description)
        size_bytes = sum(entry.size_bytes for entry in manifest.files.values())
        print(f"{human_path(folder)}: {len(manifest.files)} files, {megabytes(size_bytes)}")
        if opened is not None:
            for role in opened["roles"].values():
                print(f"here: {role['target']} in {role['inference_precision']} by {_engine(role['engine'])}")
        else:
            print(f"does not run here: {refusal}")
        if manifest.ear is not None:
            print()
            print_table(["ear", *_TARGET_COLUMNS], [_target_row(row) for row in described["ear"]["targets"]])
            second_pass = described["ear"]["second_pass"]
            if second_pass is not None:
                print("\nwhat is final comes of another network, which works while somebody speaks")
                rows = [_target_row(row) for row in second_pass["targets"]]
                print_table(["second pass", *_TARGET_COLUMNS], rows)
        if manifest.eye is not None:
            image = manifest.eye.image
            print(f"\nsees {len(manifest.eye.labels)} labels in images of {image.width} x {image.height}")
            print_table(
                ["eye", "engine", "type", ">measured step"],
                [_eye_row(target) for target in described["eye"]["targets"]],
            )


def _opened(bundle: Bundle) -> dict[str, Any]:
    """What runs here of each role; at the top, that of the first."""
    keys = ("target", "engine", "inference_precision")
    roles = {
        role: {key: bundle.metadata(f"open.{role}.{key}") for key in keys}
        for role, known in (("ear", bundle.manifest.ear), ("eye", bundle.manifest.eye))
        if known is not None
    }
    return {key: bundle.metadata(f"open.{key}") for key in keys} | {"roles": roles}


def _described(manifest: Manifest) -> dict[str, Any]:
    ear = manifest.ear
    return {
        "name": manifest.name,
        "version": manifest.version,
        "license": manifest.license,
        "languages": list(manifest.languages),
        "description": manifest.description,
        "size_bytes": sum(entry.size_bytes for entry in manifest.files.values()),
        "roles": list(manifest.roles),
        "num_golden_vectors": len(manifest.golden) + len(manifest.golden_images),
        "eye": _eye(manifest),
        "ear": None
        if ear is None
        else {
            "sample_rate_hz": ear.features.sample_rate_hz,
            "num_phones": len(ear.phones),
            "num_tokens": len(ear.tokens),
            "token_ms": ear.token_ns / 1e6,
            "decoding": dict(ear.decoding),
            "endpoint": dict(ear.endpoint),
            "targets": _ear_targets(ear),
            "second_pass": None
            if ear.second_pass is None
            else {"features": ear.second_pass.features.type, "targets": _ear_targets(ear.second_pass)},
        },
    }


def _ear_targets(network: EarNetwork) -> list[dict[str, Any]]:
    return [
        {
            "name": target.name,
            "engine": target.engine,
            "dtype": target.dtype,
            "chunk_ms": network.chunk_ms(target),
            "left_context_ms": target.left_context_tokens * network.token_ns // 1_000_000,
            "lookahead_ms": target.lookahead_tokens * network.token_ns // 1_000_000,
            "measured": dict(target.measured),
        }
        for target in network.targets
    ]


def _eye(manifest: Manifest) -> dict[str, Any] | None:
    eye = manifest.eye
    if eye is None:
        return None
    return {
        "image_width": eye.image.width,
        "image_height": eye.image.height,
        "num_labels": len(eye.labels),
        "groups": sorted({label.group for label in eye.labels if label.group}),
        "temperature": eye.temperature,
        "accept_probability": eye.accept_probability,
        "smoothing_half_life_ms": eye.smoothing_half_life_ms,
        "targets": [
            {
                "name": target.name,
                "engine": target.engine,
                "dtype": target.dtype,
                "measured": dict(target.measured),
            }
            for target in eye.targets
        ],
    }


def _eye_row(target: dict[str, Any]) -> tuple[str, ...]:
    return (target["name"], target["engine"], target["dtype"], _step(target))


def _step(target: dict[str, Any]) -> str:
    step_ms = target["measured"].get("step_ms_p50")
    return "–" if step_ms is None else f"{step_ms} ms"


def _target_row(target: dict[str, Any]) -> tuple[str, ...]:
    return (
        target["name"],
        target["engine"],
        target["dtype"],
        f"{target['chunk_ms']} ms",
        f"{target['left_context_ms']} ms",
        f"{target['lookahead_ms']} ms",
        _step(target),
    )


def _engine(name: str) -> str:
    return f"{name}, through libgalago {abi.version()}"
