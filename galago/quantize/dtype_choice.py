"""Whether a role is packed in int8, and if not, why: int8 has to pay for what it costs."""

from __future__ import annotations

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
        times: of every shape that is packed; they share their weights, so all are int8 or none is.
        what: what the cost is, as a clause with the cost's value left out: "moves the sound by {:.3f} nats".
    """
    if controlled.cost > controlled.max_cost:
        reason = f"int8 {what.format(controlled.cost)}; {controlled.max_cost:g} are allowed"
        return DtypeChoice(refusal=reason, times=times)
    for size, found in times.items():
        if found.int8_ms >= found.float_ms:
            reason = (
                f"int8 takes {found.int8_ms:.2f} ms where float takes {found.float_ms:.2f} ms (size {size})"
            )
            if accuracy.even_if_slower:
                return DtypeChoice(overridden=reason, times=times)
            return DtypeChoice(refusal=reason, times=times)
    return DtypeChoice(times=times)
