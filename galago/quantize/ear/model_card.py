"""The card of an ear: what it was trained on, what it reaches, what it cannot do."""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galago.quantize.ear.packed_network import PackedNetwork
from galago.quantize.ear.recipe import EarPackRecipe
from galago.quantize.ear.report import targets_of
from galago.quantize.model_card import common_values, data_list, table

__all__ = ["model_card"]

_TEMPLATE = Path(__file__).with_name("model_card.md")
_SECOND_PASS_TEMPLATE = Path(__file__).with_name("second_pass_card.md")


def model_card(
    recipe: EarPackRecipe, report: Mapping[str, Any], first: PackedNetwork, second: PackedNetwork | None
) -> str:
    """The card's part of an ear.

    Args:
        report: as :class:`galago.quantize.ear.pack.EarPacker` makes it.
        second: the network of the second pass, where it has one of its own.
    """
    rates = report.get("word_error_rate") or {}
    corpora = sorted({corpus for row in rates.values() for corpus in row})
    times = [
        [name, f"{row['step_ms_p50']:.2f} ms", f"{100 * row['step_ms_p50'] / row['chunk_ms']:.2f} %"]
        for name, row in targets_of(report).items()
        if row.get("step_ms_p50") is not None
    ]
    values = {
        **_network_values(recipe, first, report),
        "second_pass": "" if second is None else _second_pass(recipe, second, report),
        "evaluation": f"up to {recipe.evaluation.clips_per_corpus} held-out clips of each set",
        "word_error_rate": table(
            ["graph", *corpora],
            [[name, *(f"{row[c]['wer_percent']:.1f}" for c in corpora)] for name, row in rates.items()],
        ),
        "step_times": table(["target", "p50", "share of the time it hears"], times),
    }
    return string.Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(values)


def _second_pass(recipe: EarPackRecipe, packed: PackedNetwork, report: Mapping[str, Any]) -> str:
    assert recipe.second_pass is not None
    values = {
        **_network_values(recipe, packed, {**packed.report, "board": report["board"]}),
        "data": data_list(recipe.second_pass.data),
    }
    return string.Template(_SECOND_PASS_TEMPLATE.read_text(encoding="utf-8")).substitute(values)


def _network_values(
    recipe: EarPackRecipe, packed: PackedNetwork, report: Mapping[str, Any]
) -> dict[str, Any]:
    """What both templates say of a network."""
    model, settings = packed.network.model, packed.network.recipe
    config, token_ms = model.config, model.front_end.token_ms
    return {
        **common_values(recipe, settings.quantization, report, size_bytes=packed.size_bytes),
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
        "targets": ", ".join(f"{token_ms * n} ms" for n in settings.chunk_tokens) + " of new audio a step",
        "dtype": report["quantization"]["choice"]["dtype"],
        "precision": recipe.inference_precision,
    }
