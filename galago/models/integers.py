"""Integers in the place of floats: which ones there are, and what one scale stands for.

    q = clamp(round(x / scale) + zero_point, lowest, highest)        x' = scale * (q - zero_point)

(Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", equation 1.) Symmetric integers have no zero point and leave the lowest one unused, so that a
weight and its negative have the same error. Asymmetric ones begin at 0, and the range is widened to hold 0
and shifted by less than a step, so that 0.0 (padding, masks, ReLU) has an integer of its own.

Letters: G groups, each with a scale of its own; N values in a group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Granularity", "Integers", "PerChannel", "PerGroup", "PerTensor", "Scales", "quantized"]

_SMALLEST_SCALE = 2.0**-40  # of a tensor that is all zeros: nothing is divided by 0, nothing is subnormal


@dataclass(frozen=True)
class PerTensor:
    """One scale for all of a tensor."""

    def split(self, values: Tensor) -> Tensor:
        """``values`` of any shape -> (1, N)."""
        return values.reshape(1, -1)

    def spread(self, per_group: Tensor, shape: tuple[int, ...]) -> Tensor:
        """(1,) -> what broadcasts to ``shape``."""
        return per_group.reshape([1] * len(shape))


@dataclass(frozen=True)
class PerChannel:
    """A scale for each index of one axis: weight (out, in) -> G = out scales with axis 0."""

    axis: int = 0

    def split(self, values: Tensor) -> Tensor:
        """``values`` -> (size of the axis, N)."""
        return values.movedim(self.axis, 0).flatten(1) if values.ndim > 1 else values.reshape(-1, 1)

    def spread(self, per_group: Tensor, shape: tuple[int, ...]) -> Tensor:
        """(G,) -> what broadcasts to ``shape``."""
        sizes = [1] * len(shape)
        sizes[self.axis] = -1
        return per_group.reshape(sizes)


@dataclass(frozen=True)
class PerGroup:
    """A scale for each run of ``size`` values of the last axis: weight (out, in) -> G = out * in / size."""

    size: int

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"a group needs 1 value at least, got {self.size}")

    def split(self, values: Tensor) -> Tensor:
        """``values`` -> (G, size).

        Raises:
            ValueError: ``size`` does not divide the last axis.
        """
        if values.shape[-1] % self.size:
            raise ValueError(f"{values.shape[-1]} values cannot be cut into groups of {self.size}")
        return values.reshape(-1, self.size)

    def spread(self, per_group: Tensor, shape: tuple[int, ...]) -> Tensor:
        """(G,) -> ``shape``."""
        return per_group.repeat_interleave(self.size).reshape(shape)


Granularity = PerTensor | PerChannel | PerGroup


class Scales(NamedTuple):
    """One of each for every group: float32, and float32 that holds an integer."""

    scale: Tensor  # (G,)
    zero_point: Tensor  # (G,)


@dataclass(frozen=True)
class Integers:
    """The integers of a tensor: -127 to 127 for 8 symmetric bits, 0 to 255 for 8 asymmetric ones."""

    bits: int = 8
    symmetric: bool = True

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 16:
            raise ValueError(f"integers must have 2 to 16 bits, got {self.bits}")

    @property
    def lowest(self) -> int:
        return -self.highest if self.symmetric else 0

    @property
    def highest(self) -> int:
        return (1 << self.bits - 1) - 1 if self.symmetric else (1 << self.bits) - 1

    def scales(self, low: Tensor, high: Tensor) -> Scales:
        """Scales for values between ``low`` and ``high``, (G,) each."""
        low, high = low.float().clamp_max(0.0), high.float().clamp_min(0.0)
        if self.symmetric:
            scale = torch.maximum(-low, high) / self.highest
            return Scales(scale.clamp_min(_SMALLEST_SCALE), torch.zeros_like(scale))
        scale = ((high - low) / self.highest).clamp_min(_SMALLEST_SCALE)
        return Scales(scale, torch.round(-low / scale))


def quantized(values: Tensor, scales: Scales, integers: Integers, granularity: Granularity) -> Tensor:
    """The integers of ``values``, in their shape, as float32.

    Halves are rounded to even, as engines do.
    """
    scale, zero_point = (granularity.spread(each, tuple(values.shape)) for each in scales)
    return (torch.round(values / scale) + zero_point).clamp(integers.lowest, integers.highest)
