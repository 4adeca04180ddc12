"""The card of an ear: what it was trained on, what it reaches, what it cannot do."""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galago.models.moonshine_ear import MoonshineEar
from galago.quantize.ear.packed_network import PackedNetwork
from galago.quantize.ear.recipe import EarPackRecipe
from galago.quantize.ear.report import SECOND_PASS_LABEL, targets_of
from galago.quantize.model_card import common_values, data_list, table

__all__ = ["model_card", "with_second_pass"]

SECOND_PASS_HEADING, NUMBERS_HEADING = "## The second pass\n", "## Numbers\n"
LIMITS_HEADING = "## What it cannot do\n"
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
    values = {
        **_network_values(recipe, first, report),
        "second_pass": "" if second is None else _second_pass(recipe, second, report["board"]),
        "evaluation": f"up to {recipe.evaluation.clips_per_corpus} held-out clips of each set",
        "word_error_rate": table(
            ["graph", *corpora],
            _rate_rows(rates, corpora),
        ),
        "step_times": table(["target", "p50", "share of the time it hears"], _time_rows(targets_of(report))),
    }
    return string.Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(values)


def with_second_pass(
    card: str, recipe: EarPackRecipe, report: Mapping[str, Any], packed: PackedNetwork
) -> str:
    """The card's part of an ear whose second pass is another one now; all else stays as it is.

    Args:
        report: "board", and "word_error_rate" of the second pass where that was measured.
    """
    begin, end = card.find(SECOND_PASS_HEADING), card.find(NUMBERS_HEADING)
    if end < 0:
        raise ValueError(f"the card has no part {NUMBERS_HEADING!r}")
    before, numbers = card[: begin if 0 <= begin < end else end], card[end:]
    lines = numbers.split("\n")
    rates = report.get("word_error_rate") or {}
    corpora = sorted({corpus for row in rates.values() for corpus in row})
    lines = _exchanged(lines, f"| {SECOND_PASS_LABEL}", "| packed, ", _rate_rows(rates, corpora))
    first, *_ = packed.targets
    stem = first.rpartition("-")[0]
    lines = _exchanged(lines, f"| {stem}-", "| openvino-", _time_rows(packed.report["targets"]))
    changed = before + _second_pass(recipe, packed, report["board"]) + "\n".join(lines)
    return with_limits(changed, recipe)


def with_limits(card: str, recipe: EarPackRecipe) -> str:
    """The card with the recipe's description and limits in place of its own."""
    heading, _, rest = card.partition("\n\n")
    _, _, rest = rest.partition("\n\n")
    before, found, after = rest.partition(LIMITS_HEADING)
    if not found:
        raise ValueError(f"the card has no part {LIMITS_HEADING!r}")
    behind = after[len(after.rstrip("\n")) :]
    limits = "\n".join(f"- {sentence}" for sentence in recipe.limits) or "- not stated"
    return f"{heading}\n\n{recipe.description}\n\n{before}{found}\n{limits}{behind}"


def _exchanged(lines: list[str], old: str, behind: str, rows: list[list[str]]) -> list[str]:
    """Lines without those that begin with ``old``, and ``rows`` after the last one that begins so."""
    kept = [line for line in lines if not line.startswith(old)]
    last = max((i for i, line in enumerate(kept) if line.startswith(behind)), default=len(kept) - 1)
    return [*kept[: last + 1], *(f"| {' | '.join(row)} |" for row in rows), *kept[last + 1 :]]


def _rate_rows(rates: Mapping[str, Any], corpora: list[str]) -> list[list[str]]:
    return [[name, *(f"{row[c]['wer_percent']:.1f}" for c in corpora)] for name, row in rates.items()]


def _time_rows(targets: Mapping[str, Any]) -> list[list[str]]:
    return [
        [name, f"{row['step_ms_p50']:.2f} ms", f"{100 * row['step_ms_p50'] / row['chunk_ms']:.2f} %"]
        for name, row in targets.items()
        if row.get("step_ms_p50") is not None
    ]


def _second_pass(recipe: EarPackRecipe, packed: PackedNetwork, board: str) -> str:
    assert recipe.second_pass is not None
    values = {
        **_network_values(recipe, packed, {**packed.report, "board": board}),
        "data": data_list(recipe.second_pass.data),
        **_decoder_values(packed),
    }
    return string.Template(_SECOND_PASS_TEMPLATE.read_text(encoding="utf-8")).substitute(values)


def _decoder_values(packed: PackedNetwork) -> dict[str, str]:
    model = packed.network.model
    if not isinstance(model, MoonshineEar) or model.decoder is None:
        return {"decoder": "", "written": ""}
    config, count = model.decoder.config, sum(p.numel() for p in model.decoder.parameters())
    return {
        "decoder": f"| decoder | Transformer, {count / 1e6:.1f} M of the parameters, {config.num_blocks} "
        f"blocks, {config.num_pieces:,} pieces of words; its matrices in four bits |\n",
        "written": "\nA decoder writes it, the likeliest piece of a word after the other.",
    }


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
