"""A layer is made bad on purpose; what finds it must find it, and what mends it must mend it."""

from __future__ import annotations

from collections.abc import Callable

import openvino as ov
import pytest

from galago.quantize.accuracy_control import AccuracyConfig, control_accuracy, divergence
from galago.quantize.integer_graph import quantize_graph
from galago.quantize.layers import quantized_layers
from galago.quantize.plan import QuantizationPlan
from galago.quantize.quantize import QuantizationConfig, plan_quantization
from galago.quantize.sensitivity import cost_alone, layer_sqnr, sqnr_db
from galago.quantize.timing import estimated_savings, layer_times_ms, measured_savings
from tests.quantize.small_graph import LAYERS, PLANTED, samples, small_graph

HELD_OUT = samples(4, seed=1)


@pytest.fixture(scope="module")
def bad_graph() -> ov.Model:
    return small_graph(planted=True)


@pytest.fixture(scope="module")
def bad_plan(bad_graph: ov.Model) -> QuantizationPlan:
    return plan_quantization(bad_graph, samples(8), QuantizationConfig())


@pytest.fixture(scope="module")
def good_graph() -> ov.Model:
    return small_graph()


@pytest.fixture(scope="module")
def good_plan(good_graph: ov.Model) -> QuantizationPlan:
    return plan_quantization(good_graph, samples(8), QuantizationConfig())


def kl_from(graph: ov.Model) -> Callable[[ov.Model], float]:
    return lambda found: divergence(graph, found, HELD_OUT.samples, ["log_probs"]).kl_nats


def sum_of(weights: dict[str, float]) -> Callable[[ov.Model], float]:
    """A metric that adds up what the layers are said to cost that are quantized."""
    return lambda graph: sum(weights.get(name, 0.0) for name in quantized_layers(graph))


def test_the_planted_layer_has_the_lowest_sqnr_and_costs_most_alone(
    bad_graph: ov.Model, bad_plan: QuantizationPlan
) -> None:
    rows = layer_sqnr(bad_graph, bad_plan, HELD_OUT)
    assert [row.name for row in rows] == list(LAYERS)
    worst, *others = sorted(rows, key=lambda row: row.alone_db)
    assert worst.name == PLANTED and others[0].alone_db > worst.alone_db + 6.0
    costs = cost_alone(bad_graph, bad_plan, LAYERS, kl_from(bad_graph))
    assert max(costs, key=lambda name: costs[name]) == PLANTED


def test_the_planted_layer_goes_back_to_float_and_the_rest_stays_int8(
    bad_graph: ov.Model, bad_plan: QuantizationPlan
) -> None:
    cost_of = kl_from(bad_graph)
    allowed = 0.3 * cost_of(quantize_graph(bad_graph, bad_plan))
    controlled = control_accuracy(bad_graph, bad_plan, HELD_OUT, AccuracyConfig(max_cost=allowed), cost_of)
    assert controlled.reverted_layers == (PLANTED,)
    assert controlled.reverts[0].cost_before > allowed >= controlled.reverts[0].cost_after
    assert controlled.cost == controlled.reverts[0].cost_after
    assert set(quantized_layers(controlled.graph)) == set(LAYERS) - {PLANTED}
    report = controlled.as_dict()
    assert report["reverts"][0]["layers"] == (PLANTED,) and report["scales"] == "observed"
    assert {row["name"] for row in report["layers"]} == set(LAYERS)


def test_of_layers_that_cost_alike_the_one_that_saves_less_time_goes_back(
    good_graph: ov.Model, good_plan: QuantizationPlan
) -> None:
    slow, fast = LAYERS[0], LAYERS[1]
    times = {name: 0.1 for name in LAYERS} | {slow: 0.5, fast: 0.05}
    controlled = control_accuracy(
        good_graph,
        good_plan,
        HELD_OUT,
        AccuracyConfig(max_cost=1.0),
        sum_of({slow: 1.0, fast: 1.0}),
        lambda graph, quantized: times,
    )
    assert controlled.reverted_layers == (fast,) and controlled.cost == 1.0
    assert controlled.reverts[0].lost_ms == (0.05,)


def test_layers_that_need_not_have_gone_are_int8_in_the_end(
    good_graph: ov.Model, good_plan: QuantizationPlan
) -> None:
    """The second round returns two layers where one is enough: the one that saves more comes back."""
    costs = dict(zip(LAYERS, (3.0, 2.0, 1.0, 0.0), strict=True))
    controlled = control_accuracy(
        good_graph,
        good_plan,
        HELD_OUT,
        AccuracyConfig(max_cost=1.5),
        sum_of(costs),
        lambda graph, quantized: dict.fromkeys(LAYERS, 0.1),
    )
    assert set(controlled.reverted_layers) == set(LAYERS[:2]) and controlled.cost == 1.0
    assert set(controlled.plan.layers) == set(LAYERS[2:])


def test_a_good_network_keeps_all_its_int8_layers(good_graph: ov.Model, good_plan: QuantizationPlan) -> None:
    controlled = control_accuracy(
        good_graph, good_plan, HELD_OUT, AccuracyConfig(max_cost=0.05), kl_from(good_graph)
    )
    assert controlled.reverts == () and 0.0 < controlled.cost < 0.05
    assert controlled.layers == controlled.first_layers


def test_reverting_stops_where_it_must(good_graph: ov.Model, good_plan: QuantizationPlan) -> None:
    """A metric that nothing can satisfy: the rounds double and end at the limit."""
    controlled = control_accuracy(
        good_graph,
        good_plan,
        HELD_OUT,
        AccuracyConfig(max_cost=0.0, max_reverted_layers=3),
        lambda graph: float(len(quantized_layers(graph))),
    )
    assert [len(revert.layers) for revert in controlled.reverts] == [1, 2]
    assert [(r.cost_before, r.cost_after) for r in controlled.reverts] == [(4.0, 3.0), (3.0, 1.0)]
    assert controlled.cost > controlled.max_cost


def test_the_engine_tells_the_time_of_layers(good_graph: ov.Model, good_plan: QuantizationPlan) -> None:
    """The last one stands alone in the engine; what becomes one node with others has their time."""
    quantized = quantize_graph(good_graph, good_plan)
    times = layer_times_ms(quantized, HELD_OUT.samples[0])
    assert {LAYERS[3]} <= set(times) <= set(LAYERS) and min(times.values()) >= 0.0
    assert LAYERS[3] in measured_savings(good_graph, quantized, HELD_OUT.samples[0])


def test_without_a_clock_multiply_adds_stand_for_time(
    good_graph: ov.Model, good_plan: QuantizationPlan
) -> None:
    savings = estimated_savings(good_graph, quantize_graph(good_graph, good_plan))
    assert savings == {name: pytest.approx(8 * 32 * 32 / 1e6) for name in LAYERS}


def test_identical_graphs_do_not_diverge(good_graph: ov.Model) -> None:
    found = divergence(good_graph, good_graph, HELD_OUT.samples, ["log_probs"])
    assert (found.kl_nats, found.mean_abs_log_prob, found.disagreement) == (0.0, 0.0, 0.0)


def test_sqnr_is_a_ratio_of_energies() -> None:
    assert sqnr_db(100.0, 1.0) == pytest.approx(20.0)
    assert sqnr_db(1.0, 0.0) == 200.0
    assert sqnr_db(0.0, 1.0) == -200.0
