"""Opening a bundle and hearing clips with it, as the benchmarks do: through galago's public Python API."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import galago
from benchmarks.corpora import Audio, pad
from galago.runtime.bundle_folder import find_bundle

#: Silence around a clip: the endpoint closes an utterance only after ``endpoint.silence_ms`` of it.
BEFORE_S, AFTER_S = 0.3, 1.2


@dataclass(frozen=True)
class Heard:
    """All that a session told about one clip."""

    events: list[galago.Event] = field(repr=False)

    @property
    def finals(self) -> list[galago.Final]:
        return [e for e in self.events if isinstance(e, galago.Final)]

    @property
    def intents(self) -> list[galago.Intent]:
        return [e for e in self.events if isinstance(e, galago.Intent)]

    @property
    def rejected(self) -> list[galago.Rejected]:
        return [e for e in self.events if isinstance(e, galago.Rejected)]

    @property
    def text(self) -> str:
        """Texts of all finals, one after the other."""
        return " ".join(final.text for final in self.finals)


def hear(session: galago.Session, samples: Audio) -> Heard:
    """Hear a clip between two silences, as fast as it goes; the session is fresh before and after."""
    return Heard(list(session.run(pad(samples, BEFORE_S, AFTER_S))))


def add_arguments(parser: argparse.ArgumentParser, *, chunk_ms: int | None = None) -> None:
    """Options that choose what of the bundle runs."""
    parser.add_argument("--chunk-ms", type=int, default=chunk_ms, help="new audio of one step")
    parser.add_argument(
        "--target", help="a target of the manifest by its name (default: the first that fits)"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of the engine")


@contextlib.contextmanager
def opened(args: argparse.Namespace) -> Iterator[galago.Bundle]:
    """The bundle that the command line chose."""
    folder = find_bundle(args.bundle if args.bundle is not None else "default")
    with contextlib.ExitStack() as stack:
        if args.target is not None:
            scratch = stack.enter_context(tempfile.TemporaryDirectory())
            folder = only_target(folder, args.target, Path(scratch) / "bundle")
        bundle = galago.open(folder, chunk_ms=args.chunk_ms, num_threads=args.threads)
        yield stack.enter_context(bundle)


def running_target(bundle: galago.Bundle) -> str:
    """The name of the target that an open bundle runs."""
    return bundle.metadata("open.target")


def only_target(folder: Path, target: str, into: Path) -> Path:
    """Copy a bundle with one target of its networks, so that this is the first that fits, and the only pass.

    Raises:
        ValueError: no such target; the message lists those there are.
    """
    document: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    ear = document["roles"]["ear"]
    second = ear.pop("second_pass", {"targets": []})
    names = [t["name"] for t in [*ear["targets"], *second["targets"]]]
    if target not in names:
        raise ValueError(f"{folder}: no target {target!r}; there are {', '.join(names)}")
    shutil.copytree(folder, into)
    if target in [t["name"] for t in second["targets"]]:
        ear |= second
    ear["targets"] = [t for t in ear["targets"] if t["name"] == target]
    ear.get("decoding", {}).pop("second_pass_chunk_tokens", None)
    document["golden"] = [g for g in document.get("golden", []) if g["target"] == target]
    for name, entry in document["files"].items():
        data = (into / name).read_bytes()
        if hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise ValueError(f"{folder / name}: sha256 differs from the manifest's")
    (into / "manifest.json").write_text(json.dumps(document), encoding="utf-8")
    return into
