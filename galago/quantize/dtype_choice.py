"""Whether a role is packed in int8, and if not, why: int8 has to pay for what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from galago.quantize.accuracy_control import AccuracyConfig, Controlled

__all__ = ["DtypeChoice", "StepTimes", "choose_dtype"]


@dataclass(frozen=True)
class StepTimes:
    """Median busy times of one step, in ms, of the float graph and of the quantized one."""

    float_ms: float
    int8_ms: float
    ratio: float | None = None  # median of int8 / float where the two took turns

    @property
    def int8_share(self) -> float:
        """What int8 takes of float's time."""
        return self.int8_ms / self.float_ms if self.ratio is None else self.ratio


@dataclass(frozen=True)
class DtypeChoice:
    """What is packed.

    Attributes:
        refusal: why it is not int8, a sentence without a stop; None: it is int8.
        overridden: why it would not be int8, if the recipe did not insist.
        times: by the size of the graph (tokens of a chunk, phones, frames); empty: nothing was measured.
    """

    refusal: str | None = None
    overridden: str | None = None
    times: Mapping[int, StepTimes] = field(default_factory=dict)

    @property
    def dtype(self) -> str:
        """As in the manifest: "int8" or "f32"."""
        return "int8" if self.refusal is None else "f32"

    def row(self, size: int) -> dict[str, float]:
        """The report's times of the graph of ``size``, nothing where they were not measured."""
        found = self.times.get(size)
        if found is None:
            return {}
        packed_ms = found.int8_ms if self.dtype == "int8" else found.float_ms
        return {
            "step_ms_p50": packed_ms,
            "float_step_ms_p50": found.float_ms,
            "int8_step_ms_p50": found.int8_ms,
        }

    def sentence(self) -> str:
        """A line for reports and cards."""
        if self.refusal is not None:
            return f"Packed in float: {self.refusal}."
        if self.overridden is not None:
            return f"Packed in int8, as the recipe insists, although {self.overridden}."
        return "Packed in int8."

    def as_dict(self) -> dict[str, Any]:
        times = {str(size): asdict(found) for size, found in self.times.items()}
        return {
            "dtype": self.dtype,
            "refusal": self.refusal,
            "overridden": self.overridden,
            "sentence": self.sentence(),
            "times": times,
        }


def choose_dtype(
    controlled: Controlled, accuracy: AccuracyConfig, times: Mapping[int, StepTimes], *, what: str
) -> DtypeChoice:
    """int8, unless it costs more than is allowed, or is measured not to be faster than what it replaces.

    Args:
        times: of every shape that is packed; they share their weights, so all are int8 or none is, by the
            mean of what int8 takes of float's time.
        what: what the cost is, as a clause with the cost's value left out: "moves the sound by {:.3f} nats".
    """
    if controlled.cost > controlled.max_cost:
        reason = f"int8 {what.format(controlled.cost)}; {controlled.max_cost:g} are allowed"
        return DtypeChoice(refusal=reason, times=times)
    shares = {size: found.int8_share for size, found in times.items()}
    if shares and math.prod(shares.values()) >= 1.0:  # the geometric mean is not below 1
        size = max(shares, key=lambda each: shares[each])
        int8_ms, float_ms = times[size].int8_ms, times[size].float_ms
        reason = f"int8 takes {int8_ms:.2f} ms where float takes {float_ms:.2f} ms (size {size})"
        if accuracy.even_if_slower:
            return DtypeChoice(overridden=reason, times=times)
        return DtypeChoice(refusal=reason, times=times)
    return DtypeChoice(times=times)
