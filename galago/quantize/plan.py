"""What becomes an integer in a network, and which: the same for every shape of its graph."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from galago.models.integers import Granularity, Integers, Scales
from galago.quantize.calibration import Array

__all__ = ["LayerPlan", "QuantizationPlan", "weight_sha256"]


@dataclass(frozen=True)
class LayerPlan:
    """One layer: of its weights as (output channels, N), and of its input, which has one scale."""

    weight: Scales
    weight_integers: Integers
    weight_granularity: Granularity
    weight_sha256: str  # of the float weights: what is quantized is what was observed
    input: Scales | None  # (1,) each; None: the input stays in float
    input_integers: Integers


@dataclass(frozen=True)
class QuantizationPlan:
    """The layers that are quantized, by name, and the factors that smoothing takes from their inputs."""

    layers: Mapping[str, LayerPlan]
    smoothing: Mapping[str, Array] = field(default_factory=dict)  # by the norm's name, (C,)
    is_learned: bool = False  # its scales are of training, not of observers

    def without(self, names: Collection[str]) -> QuantizationPlan:
        """With these layers in float."""
        return replace(self, layers={n: layer for n, layer in self.layers.items() if n not in names})

    def only(self, name: str) -> QuantizationPlan:
        """With every other layer in float."""
        return replace(self, layers={name: self.layers[name]})


def weight_sha256(rows: Array) -> str:
    """SHA-256 of float weights (output channels, N)."""
    return hashlib.sha256(np.ascontiguousarray(rows, np.float32).tobytes()).hexdigest()
