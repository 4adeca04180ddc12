"""Epochs of batches of like lengths: batch ``step`` is a pure function of a seed and ``step``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np

__all__ = ["Epochs", "batches_by_length"]

BatchT = TypeVar("BatchT")


def batches_by_length(
    lengths_s: Sequence[float], batch_s: float, rng: np.random.Generator
) -> list[list[int]]:
    """Indices of what stands together in a batch, in the order of the batches.

    Neighbours in length share a batch, which, padded to its longest, is of at most ``batch_s`` seconds unless
    it is a single one. Lengths are moved by up to 5 %, so that no epoch has the batches of another.
    """
    moved = [length * rng.uniform(0.95, 1.05) for length in lengths_s]
    batches: list[list[int]] = []
    current: list[int] = []
    for i in np.argsort(moved):
        if current and moved[i] * (len(current) + 1) > batch_s:
            batches.append(current)
            current = []
        current.append(int(i))
    batches.append(current)
    return [batches[i] for i in rng.permutation(len(batches))]


class Epochs(ABC, Generic[BatchT]):
    """Epochs, each drawn anew from its number, and where in them a step is."""

    def __init__(self) -> None:
        self._drawn: dict[int, list[BatchT]] = {}
        self._first_steps = [0]

    @abstractmethod
    def _draw(self, number: int) -> list[BatchT]:
        """The batches of an epoch, in order; at least one."""

    def epoch(self, number: int) -> list[BatchT]:
        """The batches of an epoch; the last one that was asked for is remembered."""
        if number not in self._drawn:
            self._drawn = {number: self._draw(number)}
        return self._drawn[number]

    def locate(self, step: int) -> tuple[int, int]:
        """The epoch of a step and the step within it."""
        while self._first_steps[-1] <= step:
            self._first_steps.append(self._first_steps[-1] + len(self.epoch(len(self._first_steps) - 1)))
        number = int(np.searchsorted(self._first_steps, step, side="right")) - 1
        return number, step - self._first_steps[number]

    def at(self, step: int) -> BatchT:
        """The batch of a step."""
        number, within = self.locate(step)
        return self.epoch(number)[within]
