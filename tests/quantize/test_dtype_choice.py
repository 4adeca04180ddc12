from __future__ import annotations

import openvino as ov
import pytest

from galago.quantize.accuracy_control import AccuracyConfig, Controlled
from galago.quantize.dtype_choice import StepTimes, choose_dtype
from galago.quantize.plan import QuantizationPlan

FASTER, SLOWER = StepTimes(2.0, 1.0), StepTimes(1.0, 1.25)
WHAT = "diverges by {:.3f} nats from float"


def controlled(cost: float) -> Controlled:
    return Controlled(ov.Model([], [], "int8"), QuantizationPlan({}), cost, 0.1, (), (), ())


def test_int8_that_is_faster_and_near_enough_is_packed() -> None:
    choice = choose_dtype(controlled(0.05), AccuracyConfig(), {8: FASTER}, what=WHAT)
    assert (choice.dtype, choice.refusal, choice.sentence()) == ("int8", None, "Packed in int8.")
    assert choice.row(8) == {"step_ms_p50": 1.0, "float_step_ms_p50": 2.0, "int8_step_ms_p50": 1.0}
    assert choice.row(4) == {}


def test_int8_that_was_measured_slower_is_refused_with_the_reason() -> None:
    little = StepTimes(1.0, 0.95)
    choice = choose_dtype(controlled(0.05), AccuracyConfig(), {8: little, 4: SLOWER}, what=WHAT)
    assert choice.dtype == "f32"
    assert choice.refusal == "int8 takes 1.25 ms where float takes 1.00 ms (size 4)"
    assert choice.sentence() == f"Packed in float: {choice.refusal}."
    assert choice.row(4)["step_ms_p50"] == 1.0
    assert choice.as_dict()["times"]["4"] == {"float_ms": 1.0, "int8_ms": 1.25, "ratio": None}


def test_one_shape_that_gains_nothing_does_not_outweigh_the_others() -> None:
    times = {8: FASTER, 4: StepTimes(1.0, 1.01)}
    assert choose_dtype(controlled(0.05), AccuracyConfig(), times, what=WHAT).dtype == "int8"


def test_of_graphs_that_took_turns_the_ratio_decides() -> None:
    """Medians over a machine's slow and fast times can be the wrong way round."""
    faster, slower = StepTimes(1.0, 1.01, ratio=0.9), StepTimes(1.0, 0.99, ratio=1.1)
    assert choose_dtype(controlled(0.05), AccuracyConfig(), {8: faster}, what=WHAT).dtype == "int8"
    assert choose_dtype(controlled(0.05), AccuracyConfig(), {8: slower}, what=WHAT).dtype == "f32"


def test_a_recipe_may_insist_on_int8_that_is_slower() -> None:
    insisting = AccuracyConfig(even_if_slower=True)
    choice = choose_dtype(controlled(0.05), insisting, {4: SLOWER}, what=WHAT)
    assert choice.dtype == "int8" and choice.overridden is not None
    assert choice.sentence().startswith("Packed in int8, as the recipe insists, although int8 takes 1.25 ms")


@pytest.mark.parametrize("insists", [False, True])
def test_int8_beyond_its_budget_is_refused_however_fast(insists: bool) -> None:
    accuracy = AccuracyConfig(even_if_slower=insists)
    choice = choose_dtype(controlled(0.2), accuracy, {8: FASTER}, what=WHAT)
    assert choice.refusal == "int8 diverges by 0.200 nats from float; 0.1 are allowed"


def test_without_times_only_the_budget_decides() -> None:
    assert choose_dtype(controlled(0.05), AccuracyConfig(), {}, what=WHAT).dtype == "int8"
