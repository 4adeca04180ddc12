"""How the learning rate goes over a run."""

from __future__ import annotations

from typing import Protocol

__all__ = ["WarmupDecay", "learning_rate"]


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


def learning_rate(schedule: WarmupDecay, step: int) -> float:
    """Linear warm-up, constant, linear decay over the last ``decay_steps``."""
    rate = schedule.peak_learning_rate * min(1.0, (step + 1) / max(1, schedule.warmup_steps))
    left = (schedule.num_steps - step) / max(1, schedule.decay_steps)
    if left < 1.0:
        rate = schedule.final_learning_rate + (rate - schedule.final_learning_rate) * left
    return rate
