"""The card of an ear: what it was trained on, what it reaches, what it cannot do."""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galago.models.ear import Ear
from galago.quantize.ear.recipe import EarPackRecipe
from galago.quantize.model_card import common_values, table

__all__ = ["model_card"]

_TEMPLATE = Path(__file__).with_name("model_card.md")


def model_card(recipe: EarPackRecipe, model: Ear, report: Mapping[str, Any], *, size_bytes: int) -> str:
    """The card's part of an ear.

    Args:
        report: as :class:`galago.quantize.ear.pack.EarPacker` makes it.
        size_bytes: of the graphs and their weights.
    """
    config, token_ms = model.config, model.front_end.token_ms
    rates = report.get("word_error_rate") or {}
    corpora = sorted({corpus for row in rates.values() for corpus in row})
    times = [
        [name, f"{row['step_ms_p50']:.2f} ms", f"{100 * row['step_ms_p50'] / row['chunk_ms']:.2f} %"]
        for name, row in report["targets"].items()
        if row.get("step_ms_p50") is not None
    ]
    values = {
        **common_values(recipe, recipe.quantization, report, size_bytes=size_bytes),
        "num_parameters": f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M",
        "family": model.family,
        "input": model.front_end.description,
        "token_ms": token_ms,
        "num_blocks": config.num_blocks,
        "width": config.width,
        "left_context_s": f"{config.left_context_tokens * token_ms / 1000:.2f}",
        "lookahead_ms": config.lookahead_tokens * token_ms,
        "num_phones": config.num_phones,
        "num_tokens": config.num_tokens,
        "targets": ", ".join(f"{token_ms * n} ms" for n in recipe.chunk_tokens) + " of new audio a step",
        "dtype": report["quantization"]["choice"]["dtype"],
        "precision": recipe.inference_precision,
        "evaluation": f"up to {recipe.evaluation.clips_per_corpus} held-out clips of each set",
        "word_error_rate": table(
            ["graph", *corpora],
            [[name, *(f"{row[c]['wer_percent']:.1f}" for c in corpora)] for name, row in rates.items()],
        ),
        "step_times": table(["target", "p50", "share of the time it hears"], times),
    }
    return string.Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(values)
