"""Observers: from the values of a tensor to the range that integers shall span.

A wide range clips nothing and has coarse steps; a narrow one has fine steps and clips what is rare. The
observers differ in what they take for rare:

==============  ======================================================================================
min-max         nothing: all that was seen
moving-average  what single steps showed (Jacob et al. 2018, section 3.1)
percentile      a fixed share of all values, at each end
mse             what makes the mean squared error of all values least (Banner et al. 2019 solve it for
                Gaussian and Laplacian values)
entropy         what keeps the distribution: the least Kullback-Leibler divergence (Migacz 2017, "8-bit
                Inference with TensorRT")
==============  ======================================================================================
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from galago.models.integers import Integers
from galago.quantize.histogram import Histogram

__all__ = ["OBSERVERS", "Observer", "Range", "new_observer"]


class Range(NamedTuple):
    """The ends of what integers span."""

    low: float
    high: float


class Observer(Protocol):
    """Told the values of one tensor, step by step, it says which range is worth its integers."""

    def observe(self, values: NDArray[Any]) -> None:
        """Take one step's values, of any shape, into account."""

    def range(self) -> Range:
        """The range by now; of no values (0, 0)."""


class MinMax:
    """From the least to the largest value of all steps."""

    def __init__(self, integers: Integers) -> None:
        self._low = self._high = 0.0
        self._is_new = True

    def observe(self, values: NDArray[Any]) -> None:
        low, high = float(values.min()), float(values.max())
        self._low = low if self._is_new else min(low, self._low)
        self._high = high if self._is_new else max(high, self._high)
        self._is_new = False

    def range(self) -> Range:
        return Range(self._low, self._high)


class MovingAverage:
    """Averages of the least and the largest value of each step, in which old steps fade: a(t) = m a(t-1) +
    (1 - m) x(t), with m as near to 1 as the number of steps allows, so that the first one has no more weight
    than the others."""

    momentum: ClassVar[float] = 0.99

    def __init__(self, integers: Integers) -> None:
        self._low = self._high = 0.0
        self._num_steps = 0

    def observe(self, values: NDArray[Any]) -> None:
        momentum = min(self.momentum, self._num_steps / (self._num_steps + 1))
        self._low += (1.0 - momentum) * (float(values.min()) - self._low)
        self._high += (1.0 - momentum) * (float(values.max()) - self._high)
        self._num_steps += 1

    def range(self) -> Range:
        return Range(self._low, self._high)


class Percentile:
    """All but a share of 1 - 0.9999 of the values, at each end."""

    share: ClassVar[float] = 0.9999

    def __init__(self, integers: Integers) -> None:
        self._histogram = Histogram()

    def observe(self, values: NDArray[Any]) -> None:
        self._histogram.add(values)

    def range(self) -> Range:
        return Range(self._histogram.quantile(1.0 - self.share), self._histogram.quantile(self.share))


class LeastSquares:
    """The range whose integers have the least sum of squared errors, clipping and rounding together.

    Of symmetric integers the one bound is searched over 100 shares of the largest value. Of asymmetric ones
    the two ends are searched in turns, each while the other stands, until neither moves. Errors are those of
    the bins' middles.
    """

    num_candidates: ClassVar[int] = 100

    def __init__(self, integers: Integers) -> None:
        self._integers = integers
        self._histogram = Histogram()

    def observe(self, values: NDArray[Any]) -> None:
        self._histogram.add(values)

    def _errors(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums of the squared errors with the integers that span [low, high], (candidates,) all."""
        integers, histogram = self._integers, self._histogram
        is_filled = histogram.counts > 0
        counts, centres = histogram.counts[is_filled], histogram.centres[is_filled]
        span = np.maximum(-low, high) if integers.symmetric else high - low
        scale = np.maximum(span / integers.highest, np.finfo(np.float64).tiny)[:, None]
        zero_point = 0.0 if integers.symmetric else np.round(-low[:, None] / scale)
        steps = np.clip(np.round(centres / scale) + zero_point, integers.lowest, integers.highest)
        return np.asarray((counts * (scale * (steps - zero_point) - centres) ** 2).sum(axis=1))

    def range(self) -> Range:
        low, high = min(0.0, self._histogram.low), max(0.0, self._histogram.high)
        shares = np.arange(self.num_candidates, 0, -1) / self.num_candidates
        if self._integers.symmetric:
            bounds = shares * max(-low, high)
            best = float(bounds[int(np.argmin(self._errors(-bounds, bounds)))])
            return Range(max(low, -best), min(high, best))
        lows, highs = shares * low, shares * high
        found, before = Range(low, high), None
        while found != before:
            before = found
            best_high = int(np.argmin(self._errors(np.full_like(highs, found.low), highs)))
            best_low = int(np.argmin(self._errors(lows, np.full_like(lows, highs[best_high]))))
            found = Range(float(lows[best_low]), float(highs[best_high]))
        return found


class Entropy:
    """The bound on magnitudes that loses the least information, as TensorRT calibrates.

    Magnitudes are counted in 2048 bins. For each candidate i the distribution P of the first i bins, to whose
    last one all that is clipped is added, is compared with Q, what is left of the first i bins when they are
    merged into as many as there are positive integers: each merged bin is spread evenly over those of its
    bins that hold anything. The i with the least KL(P || Q) bounds the range, which never exceeds what was
    seen.
    """

    num_bins: ClassVar[int] = 2048

    def __init__(self, integers: Integers) -> None:
        self._num_levels = 2 ** (integers.bits - 1)
        self._histogram = Histogram(self.num_bins)
        self._low = self._high = 0.0

    def observe(self, values: NDArray[Any]) -> None:
        self._low, self._high = min(self._low, float(values.min())), max(self._high, float(values.max()))
        self._histogram.add(np.abs(values))

    def range(self) -> Range:
        counts = self._histogram.counts
        candidates = range(self._num_levels, len(counts) + 1)
        if not candidates:  # as many integers as bins: nothing to gain by clipping
            return Range(self._low, self._high)
        losses = [divergence_of_clipping(counts, count, self._num_levels) for count in candidates]
        bound = candidates[int(np.argmin(losses))] * self._histogram.width
        return Range(max(self._low, -bound), min(self._high, bound))


def divergence_of_clipping(counts: NDArray[np.int64], num_kept: int, num_levels: int) -> float:
    """KL(P || Q) of :class:`Entropy` in nats when the first ``num_kept`` bins of ``counts`` are kept."""
    kept = counts[:num_kept].astype(np.float64)
    reference = kept.copy()
    reference[-1] += counts[num_kept:].sum()
    level = np.arange(num_kept) * num_levels // num_kept
    is_filled = kept > 0
    total = np.bincount(level, weights=kept, minlength=num_levels)
    num_filled = np.bincount(level, weights=is_filled, minlength=num_levels)
    spread = np.where(is_filled, total[level] / np.maximum(num_filled[level], 1), 0.0)
    if not spread.any():
        return float("inf")
    p, q = reference / reference.sum(), spread / spread.sum()
    is_lost = (p > 0) & (q == 0)  # the last bin can hold what is clipped and nothing else
    q = np.where(is_lost, np.finfo(np.float64).tiny, q)
    return float((p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum())


OBSERVERS: dict[str, type[Observer]] = {
    "min-max": MinMax,
    "moving-average": MovingAverage,
    "percentile": Percentile,
    "mse": LeastSquares,
    "entropy": Entropy,
}


def new_observer(name: str, integers: Integers) -> Observer:
    """A new observer of :data:`OBSERVERS`, for a tensor that becomes ``integers``."""
    maker: Any = OBSERVERS[name]
    observer: Observer = maker(integers)
    return observer
