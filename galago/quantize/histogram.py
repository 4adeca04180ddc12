"""Counts of values in bins that grow with what they are given, without counting anything twice.

Bin i holds the values in [i * width, (i + 1) * width). A value beyond the last bin doubles the width: bins 2i
and 2i + 1 become bin i, so no count is ever split between two bins and 0 is always an edge.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Histogram"]


class Histogram:
    """A histogram in one pass, of ``num_bins`` bins at most.

    Attributes:
        low, high: the least and the largest value; 0 before there are any.
        width: of a bin; 0 while all values were 0.
        first: the index of the first bin.
        counts: (bins,) int64.
    """

    def __init__(self, num_bins: int = 4096) -> None:
        self.num_bins = num_bins
        self.low = self.high = self.width = 0.0
        self.first = 0
        self.counts = np.zeros(1, np.int64)
        self._num_seen = 0

    def add(self, values: NDArray[Any]) -> None:
        """Count ``values`` of any shape, which are finite."""
        flat = values.reshape(-1).astype(np.float64)
        if not flat.size:
            return
        low, high = float(flat.min()), float(flat.max())
        self.low = min(low, self.low) if self._num_seen else low
        self.high = max(high, self.high) if self._num_seen else high
        self._num_seen += flat.size
        if self.width == 0.0:  # all that was counted was 0, and stays in bin 0
            self.width = (max(0.0, high) - min(0.0, low)) / (self.num_bins - 2)
        if self.width == 0.0:
            self.counts[0] += flat.size
            return
        while not self._holds(low, high):
            self._double()
        indices = np.floor(flat / self.width).astype(np.int64)
        self._extend(int(indices.min()), int(indices.max()))
        self.counts += np.bincount(indices - self.first, minlength=len(self.counts))

    def _holds(self, low: float, high: float) -> bool:
        begin = min(self.first, int(np.floor(low / self.width)))
        end = max(self.first + len(self.counts), int(np.floor(high / self.width)) + 1)
        return end - begin <= self.num_bins

    def _double(self) -> None:
        before = self.first % 2
        after = (before + len(self.counts)) % 2
        self.counts = np.pad(self.counts, (before, after)).reshape(-1, 2).sum(axis=1)
        self.first //= 2  # floors, as the bins do
        self.width *= 2.0

    def _extend(self, lowest: int, highest: int) -> None:
        before = max(0, self.first - lowest)
        after = max(0, highest + 1 - self.first - len(self.counts))
        self.counts = np.pad(self.counts, (before, after))
        self.first -= before

    @property
    def centres(self) -> NDArray[np.float64]:
        """(bins,) the middle of each bin."""
        return np.asarray((self.first + np.arange(len(self.counts)) + 0.5) * self.width, np.float64)

    def quantile(self, share: float) -> float:
        """The value that ``share`` of all values do not exceed, to a bin's width; within [low, high]."""
        below = np.cumsum(self.counts)
        index = int(np.searchsorted(below, share * below[-1]))
        inside = share * below[-1] - (below[index] - self.counts[index])
        edge = self.first + index + inside / max(1, int(self.counts[index]))
        return float(np.clip(edge * self.width, self.low, self.high))
