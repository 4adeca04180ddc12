"""How the learning rate goes over a run."""

from __future__ import annotations

import math
from typing import Protocol

__all__ = ["HoldFall", "WarmupDecay", "exponential_fall", "linear_decay"]


class WarmupDecay(Protocol):
    """What of a schedule decides its rate; the tables of recipes fit it."""

    @property
    def num_steps(self) -> int: ...
    @property
    def warmup_steps(self) -> int: ...
    @property
    def decay_steps(self) -> int: ...
    @property
    def peak_learning_rate(self) -> float: ...
    @property
    def final_learning_rate(self) -> float: ...


class HoldFall(Protocol):
    """The same, where the fall begins after a share of the steps."""

    @property
    def num_steps(self) -> int: ...
    @property
    def warmup_steps(self) -> int: ...
    @property
    def hold_share(self) -> float: ...
    @property
    def peak_learning_rate(self) -> float: ...
    @property
    def final_learning_rate(self) -> float: ...


def linear_decay(schedule: WarmupDecay, step: int) -> float:
    """Linear warm-up, constant, linear decay over the last ``decay_steps``."""
    rate = schedule.peak_learning_rate * min(1.0, (step + 1) / max(1, schedule.warmup_steps))
    left = (schedule.num_steps - step) / max(1, schedule.decay_steps)
    if left < 1.0:
        rate = schedule.final_learning_rate + (rate - schedule.final_learning_rate) * left
    return rate


def exponential_fall(schedule: HoldFall, step: int) -> float:
    """Linear warm-up, constant, exponential fall to the final rate at the last step."""
    peak, final = schedule.peak_learning_rate, schedule.final_learning_rate
    held = schedule.hold_share * schedule.num_steps
    if step < schedule.warmup_steps:
        return peak * (step + 1) / schedule.warmup_steps
    if step < held or final <= 0 or peak <= final:
        return peak
    fallen = (step - held) / max(1.0, schedule.num_steps - held)
    return peak * math.exp(fallen * math.log(final / peak))
