"""Learning rates: they rise, stay and fall."""

from __future__ import annotations

import pytest

from galago.models.training.ear.recipe import ScheduleRecipe as EarSchedule
from galago.models.training.voice.recipe import ScheduleRecipe as VoiceSchedule


def test_a_linear_decay_may_be_moved_to_the_end() -> None:
    schedule = EarSchedule(num_steps=100, warmup_steps=10, decay_steps=20, peak_learning_rate=1e-3)
    rates = [schedule.learning_rate(step) for step in range(101)]
    assert rates[:10] == pytest.approx([1e-4 * (i + 1) for i in range(10)])
    assert rates[10:81] == pytest.approx([1e-3] * 71)
    assert all(a > b for a, b in zip(rates[80:], rates[81:], strict=False))
    assert rates[100] == pytest.approx(schedule.final_learning_rate)


def test_an_exponential_fall_begins_after_its_share() -> None:
    schedule = VoiceSchedule(num_steps=100, warmup_steps=10, hold_share=0.5, peak_learning_rate=1e-3)
    rates = [schedule.learning_rate(step) for step in range(101)]
    assert rates[9] == pytest.approx(1e-3) and rates[:10] == sorted(rates[:10])
    assert rates[10:50] == [1e-3] * 40
    assert rates[50:] == sorted(rates[50:], reverse=True)
    assert rates[100] == pytest.approx(schedule.final_learning_rate)
