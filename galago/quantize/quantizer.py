"""A quantizer: which values share a scale, which integers there are, and which observer finds the range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from galago.models.integers import Granularity, Integers, Scales, quantized
from galago.quantize.calibration import Array
from galago.quantize.observers import OBSERVERS, Observer, new_observer

__all__ = ["Observed", "QuantizationError", "Quantizer"]


class QuantizationError(RuntimeError):
    """A network or a graph cannot be quantized; the message names the layer or the key."""


@dataclass(frozen=True)
class Quantizer:
    """How one kind of tensor becomes integers.

    Raises:
        QuantizationError: there is no such observer.
    """

    granularity: Granularity
    integers: Integers
    observer: str = "min-max"

    def __post_init__(self) -> None:
        if self.observer not in OBSERVERS:
            raise QuantizationError(f"no observer {self.observer!r} (known: {', '.join(OBSERVERS)})")

    def observing(self) -> Observed:
        """What takes a tensor's values, step by step, and tells its scales then."""
        return Observed(self)

    def scales(self, values: NDArray[Any]) -> Scales:
        """Of a tensor that is known as a whole: weights."""
        observed = self.observing()
        observed.observe(values)
        return observed.scales()

    def quantize(self, values: NDArray[Any], scales: Scales) -> NDArray[np.int32]:
        """``values`` as integers, in their shape."""
        found = quantized(torch.from_numpy(np.array(values)), scales, self.integers, self.granularity)
        return found.numpy().astype(np.int32)

    def dequantize(self, integers: NDArray[np.int32], scales: Scales) -> Array:
        """What the integers stand for."""
        scale, zero_point = (self.granularity.spread(each, integers.shape).numpy() for each in scales)
        return np.asarray((integers - zero_point) * scale, np.float32)


class Observed:
    """One tensor under observation: an observer for each group of values that share a scale."""

    def __init__(self, quantizer: Quantizer) -> None:
        self._quantizer = quantizer
        self._observers: list[Observer] = []

    def observe(self, values: NDArray[Any]) -> None:
        """Take one step's values into account.

        Raises:
            QuantizationError: a value is not finite, or the groups are not those of the steps before.
        """
        groups = self._quantizer.granularity.split(torch.from_numpy(np.array(values))).numpy()
        if not np.isfinite(groups).all():
            raise QuantizationError("a value that shall be quantized is not finite")
        if not self._observers:
            quantizer = self._quantizer
            self._observers = [new_observer(quantizer.observer, quantizer.integers) for _ in groups]
        if len(groups) != len(self._observers):
            raise QuantizationError(f"{len(groups)} groups of values after {len(self._observers)} before")
        for observer, group in zip(self._observers, groups, strict=True):
            observer.observe(group)

    def scales(self) -> Scales:
        """Scales and zero points (G,) of what was seen."""
        ranges = [observer.range() for observer in self._observers]
        return self._quantizer.integers.scales(
            torch.tensor([r.low for r in ranges]), torch.tensor([r.high for r in ranges])
        )
