"""The card of an eye: what it was trained on, what it reaches, what it cannot do."""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galago.models.swin import MobileStem, Swin
from galago.models.training.eye.labels import EyeDescription
from galago.models.training.eye.networks import EyeNetwork
from galago.quantize.eye.recipe import EyePackRecipe
from galago.quantize.eye.report import accuracy_rows
from galago.quantize.model_card import common_values, table

__all__ = ["model_card"]

_TEMPLATE = Path(__file__).with_name("model_card.md")


def model_card(
    recipe: EyePackRecipe,
    model: EyeNetwork,
    description: EyeDescription,
    report: Mapping[str, Any],
    *,
    size_bytes: int,
) -> str:
    """The card's part of an eye.

    Args:
        report: as :class:`galago.quantize.eye.pack.EyePacker` makes it.
        size_bytes: of the graph and its weights.
    """
    config = model.config
    groups = {group: len(description.group_index(group)) for group in _groups(description)}
    (row,) = report["targets"].values()
    image_ms = row.get("step_ms_p50")
    values = {
        **common_values(recipe, recipe.quantization, report, size_bytes=size_bytes),
        "num_parameters": f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M",
        "network": _network(model),
        "image_width": config.width,
        "image_height": config.height,
        "num_labels": len(description.labels),
        "groups": ", ".join(f"{count} {group.replace('_', ' ')}" for group, count in groups.items()),
        "accept_probability": f"{description.accept_probability:.2f}",
        "dtype": report["quantization"]["choice"]["dtype"],
        "precision": recipe.inference_precision,
        "accuracy": table(*accuracy_rows(report.get("accuracy") or {})),
        "image_time": "not measured." if image_ms is None else f"{image_ms:.2f} ms (p50).",
    }
    return string.Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(values)


def _network(model: EyeNetwork) -> str:
    if not isinstance(model, Swin):
        lite = model.config
        return f"EfficientNet-Lite0, {lite.width_factor:g} times as wide, {lite.depth_factor:g} times as deep"
    config, is_mobile = model.config, isinstance(model.embedding.cut, MobileStem)
    stem = "the first five stages of EfficientNet-Lite0 and behind them a " if is_mobile else ""
    depths, widths = (", ".join(map(str, values)) for values in (config.depths, config.widths))
    windows = f"windows of {config.window} x {config.window} tokens"
    return f"{stem}Swin Transformer, stages of {depths} blocks and {widths} channels, {windows}"


def _groups(description: EyeDescription) -> list[str]:
    return list(dict.fromkeys(label.group for label in description.labels))
