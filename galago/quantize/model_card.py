"""MODEL_CARD.md: what the ear was trained on, what it reaches, what it cannot do. Filled from the report."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from galago.models.conformer import Conformer
from galago.quantize.provenance import describe_training
from galago.quantize.recipe import PackRecipe

__all__ = ["model_card"]

_TEMPLATE = Path(__file__).with_name("model_card.md")


def model_card(recipe: PackRecipe, model: Conformer, report: Mapping[str, Any], *, size_bytes: int) -> str:
    """The card of a bundle.

    Args:
        report: as :mod:`galago.quantize.report` writes it.
        size_bytes: of the graphs and their weights.
    """
    config = model.config
    rates = report.get("word_error_rate") or {}
    corpora = sorted({corpus for row in rates.values() for corpus in row})
    times = [
        [name, f"{row['step_ms_p50']:.2f} ms", f"{100 * row['step_ms_p50'] / row['chunk_ms']:.2f} %"]
        for name, row in report["targets"].items()
        if row.get("step_ms_p50") is not None
    ]
    reverted = [name for revert in report["quantization"]["reverts"] for name in revert["layers"]]
    quantization = recipe.quantization
    values = {
        "name": recipe.name,
        "version": recipe.version,
        "description": recipe.description,
        "license": recipe.license,
        "languages": ", ".join(recipe.languages),
        "num_parameters": f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M",
        "num_blocks": config.num_blocks,
        "width": config.width,
        "left_context_s": f"{config.left_context_tokens * 0.04:.2f}",
        "lookahead_ms": config.lookahead_tokens * 40,
        "num_phones": config.num_phones,
        "num_tokens": config.num_tokens,
        "targets": ", ".join(f"{40 * n} ms" for n in recipe.chunk_tokens) + " of new audio a step",
        "precision": recipe.inference_precision,
        "size_mb": f"{size_bytes / 1e6:.1f}",
        "checkpoint_sha256": report["checkpoint"]["sha256"][:16],
        "checkpoint_step": report["checkpoint"]["step"],
        "training_recipe": describe_training(report["checkpoint"]["recipe"]),
        "data": "\n".join(f"- **{d.name}**: {d.what}. {d.licence}. {d.source}" for d in recipe.data)
        or "- not stated",
        "weights_granularity": quantization.weights
        + (", in 7 bits" if quantization.seven_bit_weights else ""),
        "activations_granularity": quantization.activations,
        "activation_range": quantization.activation_range,
        "smooth_quant": (
            f"SmoothQuant with alpha {quantization.smooth_quant_alpha}"
            if quantization.smooth_quant_alpha >= 0
            else "no SmoothQuant"
        ),
        "bias_correction": "fast bias correction" if quantization.bias_correction else "no bias correction",
        "num_calibration_samples": report["calibration"]["num_samples"],
        "calibration_name": report["calibration"]["name"],
        "calibration_sha256": report["calibration"]["sha256"][:16],
        "reverted": (
            "Back in float, because they cost too much in int8: "
            + ", ".join(f"`{n}`" for n in reverted)
            + "."
            if reverted
            else "No layer had to go back to float."
        ),
        "evaluation": f"up to {recipe.evaluation.clips_per_corpus} held-out clips of each set",
        "word_error_rate": _table(
            ["graph", *corpora],
            [[name, *(f"{row[c]['wer_percent']:.1f}" for c in corpora)] for name, row in rates.items()],
        ),
        "board": report["board"],
        "step_times": _table(["target", "p50", "share of the time it hears"], times),
        "limits": "\n".join(f"- {sentence}" for sentence in recipe.limits) or "- not stated",
    }
    return string.Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(values)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "not measured"
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
