"""What a stage or a packed role reaches: a JSON document with its measures and with what went wrong.

    {"measures": {"wer": 0.31, ...}, "examples": [...], "histograms": [...], "choices": [...], ...}

Stages of ears and eyes run as float graphs in the engine that the bundle is for, on the clips and photos that
the packing recipe of their role names, so that all stages and int8 stand in one table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galago.models.training.checkpoints import load
from galago.quantize.make.histograms import histograms
from galago.quantize.make.measures import (
    log_measures,
    reverted_layers,
    second_pass_measures,
    sound_measures,
)
from galago.quantize.roles import load_pack_recipe

__all__ = ["measure"]


def measure(job: Mapping[str, Any]) -> dict[str, Any]:
    """Measure what a job of :mod:`galago.quantize.make.work` names.

    Args:
        job: ``role`` and ``run``; ``recipe`` (of packing), ``corpora``, ``albums`` and ``step_times``; of a
            packed role also its ``bundle`` and ``work``, and ``float``: what was measured of the run;
            ``second_pass`` of a stage that an ear's second pass is packed of.

    Raises:
        CorpusError, CheckpointError, ExportError, GalagoError: as their messages say.
    """
    return _role(job) if "bundle" in job else _stage(job)


def _stage(job: Mapping[str, Any]) -> dict[str, Any]:
    run = Path(job["run"])
    found: dict[str, Any] = {"measures": log_measures(run), "examples": []}
    counts = [_num_parameters(path) for path in (run / "model.pt", *sorted(run.glob("*/model.pt")))]
    found["measures"] |= {"num_parameters": sum(counts), "size_bytes": 4 * sum(counts)}
    if job["recipe"] is None or job["role"] not in ("ear", "eye"):
        return found
    measures, examples = _of_graphs(job, run / "model.pt", None)
    return {"measures": found["measures"] | measures, "examples": examples}


def _num_parameters(path: Path) -> int:
    return sum(value.numel() for value in load(path)["model"].values()) if path.is_file() else 0


def _role(job: Mapping[str, Any]) -> dict[str, Any]:
    bundle, work = Path(job["bundle"]), Path(job["work"])
    report = json.loads((work / "report.json").read_text(encoding="utf-8"))
    quantization = report["quantization"]
    second = report.get("second_pass", {}).get("quantization")
    measures: dict[str, Any] = {
        "size_bytes": sum(p.stat().st_size for p in (bundle / job["role"]).rglob("*") if p.is_file()),
        "cost": quantization["cost"],
        "num_float_layers": len(reverted_layers(quantization)),
        **sound_measures(report),
        **second_pass_measures(report),
    }
    examples: list[dict[str, Any]] = []
    if job["role"] in ("ear", "eye"):
        more, examples = _of_graphs(job, Path(job["run"]) / "model.pt", bundle)
        measures |= more
        before = _measures_of(job.get("float"))
        if "wer" in measures and "wer" in before:
            measures["wer_loss"] = measures["wer"] - before["wer"]
        if "accuracy" in measures and "accuracy" in before:
            measures["accuracy_loss"] = before["accuracy"] - measures["accuracy"]
    return {
        "measures": measures,
        "examples": examples,
        "histograms": histograms(work),
        "choices": [*_choices(quantization), *(_choices(second, "second pass") if second else ())],
        "layers": [*_layers(quantization), *(_layers(second, "second pass: ") if second else ())],
    }


def _layers(quantization: Mapping[str, Any], label: str = "") -> list[dict[str, Any]]:
    reverted = reverted_layers(quantization)
    return [
        {**layer, "name": label + layer["name"], "is_float": layer["name"] in reverted}
        for layer in quantization["layers"]
    ]


def _choices(quantization: Mapping[str, Any], label: str = "") -> list[str]:
    """Of a network, or of each of its parts: whether it is packed in int8, and why not."""
    parts: Mapping[str, Any] = quantization.get("parts") or {label: quantization}
    return [f"{name}: {part['choice']['sentence']}".removeprefix(": ") for name, part in parts.items()]


def _measures_of(path: str | None) -> dict[str, float]:
    if path is None:
        return {}
    found: dict[str, float] = json.loads(Path(path).read_text(encoding="utf-8"))["measures"]
    return found


def _of_graphs(
    job: Mapping[str, Any], model: Path, bundle: Path | None
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    from galago.quantize.make import measure_ear, measure_eye

    recipe: Any = load_pack_recipe(Path(job["recipe"]))
    if job["role"] == "ear":
        return measure_ear.measure(
            model,
            bundle,
            recipe,
            corpora=Path(job["corpora"]),
            step_times=job["step_times"],
            second_pass=job.get("second_pass", False),
        )
    return measure_eye.measure(
        model, bundle, recipe, albums=Path(job["albums"]), step_times=job["step_times"]
    )
