"""MODEL_CARD.md: a part for each role, filled from its report; of several they stand one below the other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from galago.quantize.provenance import describe_training
from galago.quantize.quantize import QuantizationConfig
from galago.quantize.recipe import DataSource, PackRecipe

__all__ = ["common_values", "data_list", "join_parts", "split_parts", "table"]

_MARK = re.compile(r"<!-- role: ([a-z0-9_]+) -->\n")


def join_parts(parts: Mapping[str, str], *, num_roles: int) -> str:
    """One card of the parts by role. In a bundle of one role it stands as it is, else each has its mark.

    Args:
        num_roles: of the bundle. Roles may have no part, and a part without a mark would pass for theirs.
    """
    if num_roles == 1 and len(parts) == 1:
        return next(iter(parts.values()))
    return "\n".join(f"<!-- role: {role} -->\n{part}" for role, part in parts.items())


def split_parts(card: str, roles: Sequence[str]) -> dict[str, str]:
    """Undo :func:`join_parts`. A card without marks is the part of the first of ``roles``."""
    before, *marked = _MARK.split(card)
    if not marked:
        return {roles[0]: before} if roles and before.strip() else {}
    found = dict(zip(marked[0::2], marked[1::2], strict=True))
    *others, last = found
    return {**{role: found[role].removesuffix("\n") for role in others}, last: found[last]}


def common_values(
    recipe: PackRecipe, quantization: QuantizationConfig, report: Mapping[str, Any], *, size_bytes: int
) -> dict[str, Any]:
    """What the templates of all quantized roles ask for.

    Args:
        report: of the role, as its packer makes it.
        size_bytes: of the graphs and their weights.
    """
    reverted = [name for revert in report["quantization"]["reverts"] for name in revert["layers"]]
    return {
        "name": recipe.name,
        "version": recipe.version,
        "description": recipe.description,
        "license": recipe.license,
        "languages": ", ".join(recipe.languages),
        "size_mb": f"{size_bytes / 1e6:.1f}",
        "checkpoint_sha256": report["checkpoint"]["sha256"][:16],
        "checkpoint_step": report["checkpoint"]["step"],
        "training_recipe": describe_training(report["checkpoint"]["recipe"]),
        "data": data_list(recipe.data),
        "quantization": _describe(quantization, report["quantization"]),
        "num_calibration_samples": report["calibration"]["num_samples"],
        "calibration_name": report["calibration"]["name"],
        "calibration_sha256": report["calibration"]["sha256"],
        "reverted": (
            "Back in float, because they cost too much in int8: "
            + ", ".join(f"`{n}`" for n in reverted)
            + "."
            if reverted
            else "No layer had to go back to float."
        ),
        "board": report["board"],
        "limits": "\n".join(f"- {sentence}" for sentence in recipe.limits) or "- not stated",
    }


def data_list(sources: Sequence[DataSource]) -> str:
    """A list in Markdown, a line a source."""
    lines = [f"- **{each.name}**: {each.what}. {each.licence}. {each.source}" for each in sources]
    return "\n".join(lines) or "- not stated"


def _describe(config: QuantizationConfig, report: Mapping[str, Any]) -> str:
    """How the integers came about, in sentences."""
    if report["scales"] == "learned":
        how = "Trained with its integers: the scales of weights and activations are those of training."
    else:
        activations = (
            "activations in float"
            if config.activations == "float"
            else f"activations {config.activations} in 8 bits ({config.activation_observer})"
        )
        how = (
            f"Static quantization: weights {config.weights} in {config.weight_bits} bits "
            f"({config.weight_observer}), {activations}."
        )
        if config.smooth_quant_alpha is not None:
            how += f" SmoothQuant with alpha {config.smooth_quant_alpha:g}."
    choice = report.get("choice")
    return how if choice is None else f"{how} {choice['sentence']}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    if not rows:
        return "not measured"
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
