"""The eye's entry of a bundle's manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from galago.models.training.eye.labels import EyeDescription
from galago.quantize.eye.export import INPUT, OUTPUT
from galago.quantize.eye.recipe import EyePackRecipe

__all__ = ["graph_name", "role_entry", "target_name", "weights_name"]


def target_name(dtype: str) -> str:
    return f"openvino-{dtype}"


def graph_name(dtype: str) -> str:
    return f"eye/{dtype}.xml"


def weights_name(dtype: str) -> str:
    return f"eye/{dtype}.bin"


def role_entry(
    recipe: EyePackRecipe, description: EyeDescription, dtype: str, measured: Mapping[str, Any]
) -> dict[str, Any]:
    """The eye: what image it wants, its labels in the order of the logits, how scores become answers."""
    image = description.image
    return {
        "type": "image_labels",
        "image": {
            "width": image.width,
            "height": image.height,
            "mean": list(image.mean),
            "std": list(image.std),
            "fit": image.fit,
        },
        "labels": [asdict(label) for label in description.labels],
        "temperature": description.temperature,
        "accept_probability": description.accept_probability,
        "smoothing_half_life_ms": recipe.smoothing_half_life_ms,
        "targets": [
            {
                "name": target_name(dtype),
                "engine": "openvino",
                "dtype": dtype,
                "model": graph_name(dtype),
                "weights": weights_name(dtype),
                "inference_precision": recipe.inference_precision,
                "inputs": {INPUT: INPUT},
                "outputs": {OUTPUT: OUTPUT},
                "measured": dict(measured),
            }
        ],
    }
