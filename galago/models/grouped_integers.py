"""Weights in integers of four bits, a scale for every 32 inputs of an output.

With one scale for a whole row four bits are too few; groups of 32 cost half a bit more and keep what a small
network knows (Dettmers and Zettlemoyer 2023, "The case for 4-bit precision"). Trained through its integers
(straight-through estimator, Bengio et al. 2013), a network loses next to nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["GROUP_INPUTS", "HIGHEST", "GroupLinear", "Grouped", "grouped", "rounded"]

GROUP_INPUTS = 32
HIGHEST = 7  # of -8 to 7; -8 is left out, so that both signs are alike


class Grouped(NamedTuple):
    """A matrix (outputs, inputs) as integers; weight = integer * scale of its group."""

    integers: Tensor  # (outputs, inputs) int8, -7 to 7
    scales: Tensor  # (outputs, inputs / 32) float32, each of them a bfloat16


def grouped(weight: Tensor) -> Grouped:
    """The integers of a matrix (outputs, inputs).

    Raises:
        ValueError: the inputs are no multiple of 32.
    """
    outputs, inputs = weight.shape
    if inputs % GROUP_INPUTS:
        raise ValueError(f"{inputs} inputs are no multiple of {GROUP_INPUTS}")
    groups = weight.detach().float().reshape(outputs, -1, GROUP_INPUTS)
    scales = (groups.abs().amax(-1) / HIGHEST).bfloat16().float()
    divisor = torch.where(scales > 0, scales, 1.0)[..., None]
    integers = torch.round(groups / divisor).clamp(-HIGHEST, HIGHEST)
    return Grouped(integers.reshape(outputs, inputs).to(torch.int8), scales)


def rounded(weight: Tensor) -> Tensor:
    """``weight`` (outputs, inputs) through its integers and back; the gradient passes as if it were not."""
    integers, scales = grouped(weight)
    values = integers.float() * scales.repeat_interleave(GROUP_INPUTS, dim=1)
    return weight + (values - weight).detach()


class GroupLinear(nn.Linear):
    """A linear map whose weights are what four bits can hold, unless ``is_float``."""

    is_float = False

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight if self.is_float else rounded(self.weight), self.bias)
