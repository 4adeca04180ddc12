"""A layer is made bad on purpose; what finds it must find it, and what mends it must mend it."""

from __future__ import annotations

import openvino as ov
import pytest
import torch

from galago.quantize.accuracy_control import AccuracyConfig, control_accuracy, divergence
from galago.quantize.calibration import CalibrationSet
from galago.quantize.compile_openvino import convert_onnx
from galago.quantize.ear.calibrate import Stream, record
from galago.quantize.ear.export import export_onnx
from galago.quantize.ear.measure import HEADS
from galago.quantize.quantize import QuantizationConfig, quantize_graph, quantized_layers
from galago.quantize.sensitivity import layer_sqnr, sqnr_db
from tests.quantize.ear.tiny import Exports, noise, tiny_model

PLANTED = "blocks.1.feed_forward2.expand/MatMul"
# Without smoothing and bias correction, so that nothing mends the planted fault before it is found.
PLAIN = QuantizationConfig(smooth_quant_alpha=-1.0, bias_correction=False)


@pytest.fixture(scope="module")
def bad_graph(tmp_path_factory: pytest.TempPathFactory) -> ov.Model:
    """One channel of a layer's input is two thousand times the others; its weights undo it in float."""
    model = tiny_model()
    layer = model.blocks[1].feed_forward2
    with torch.no_grad():
        layer.norm.weight[3] *= 2000.0  # type: ignore[union-attr, index, operator]
        layer.norm.bias[3] *= 2000.0  # type: ignore[union-attr, index, operator]
        layer.expand.weight[:, 3] /= 2000.0  # type: ignore[union-attr, index, operator]
    path = tmp_path_factory.mktemp("bad") / "bad.onnx"
    export_onnx(model, 8, path)
    return convert_onnx(path)


@pytest.fixture(scope="module")
def bad_calibration(bad_graph: ov.Model) -> CalibrationSet:
    return record(bad_graph, [Stream(noise(60_000), ("noise",))], num_samples=11, seed=1, name="bad")


def test_the_planted_layer_has_the_lowest_sqnr(bad_graph: ov.Model, bad_calibration: CalibrationSet) -> None:
    quantized = quantize_graph(bad_graph, bad_calibration, PLAIN)
    rows = layer_sqnr(bad_graph, quantized, bad_calibration)
    assert [row.name for row in rows] == quantized_layers(quantized)
    worst = min(rows, key=lambda row: row.alone_db)
    assert worst.name == PLANTED
    others = [row.alone_db for row in rows if row.name != PLANTED]
    assert min(others) > worst.alone_db + 6.0


def test_the_planted_layer_goes_back_to_float_and_the_cost_falls(
    bad_graph: ov.Model, bad_calibration: CalibrationSet
) -> None:
    used, held_out = bad_calibration.split(3)
    allowed = (
        0.3 * divergence(bad_graph, quantize_graph(bad_graph, used, PLAIN), held_out.samples, HEADS).kl_nats
    )
    controlled = control_accuracy(
        bad_graph,
        used,
        held_out,
        PLAIN,
        AccuracyConfig(max_cost=allowed),
        lambda graph: divergence(bad_graph, graph, held_out.samples, HEADS).kl_nats,
    )
    assert controlled.reverted_layers == (PLANTED,)
    assert controlled.reverts[0].cost_before > allowed >= controlled.reverts[0].cost_after
    assert controlled.cost == controlled.reverts[0].cost_after
    assert PLANTED not in quantized_layers(controlled.graph)
    report = controlled.as_dict()
    assert report["reverts"][0]["layers"] == (PLANTED,)
    assert {row["name"] for row in report["layers"]} >= {PLANTED}


def test_a_good_network_keeps_all_its_int8_layers(exports: Exports, calibration: CalibrationSet) -> None:
    used, held_out = calibration.split(4)
    graph = exports.graph(0, 8)
    controlled = control_accuracy(
        graph,
        used,
        held_out,
        QuantizationConfig(),
        AccuracyConfig(max_cost=0.05),
        lambda quantized: divergence(graph, quantized, held_out.samples, HEADS).kl_nats,
    )
    assert controlled.reverts == ()
    assert controlled.layers == controlled.first_layers


def test_reverting_stops_where_it_must(exports: Exports, calibration: CalibrationSet) -> None:
    """A metric of the caller's that nothing can satisfy: the rounds double and end at the limit."""
    used, held_out = calibration.split(4)
    costs = iter([5.0, 4.0, 3.0])
    controlled = control_accuracy(
        exports.graph(0, 8),
        used,
        held_out,
        PLAIN,
        AccuracyConfig(max_cost=0.0, max_reverted_layers=3),
        lambda graph: next(costs),
    )
    assert [len(revert.layers) for revert in controlled.reverts] == [1, 2]
    assert [(r.cost_before, r.cost_after) for r in controlled.reverts] == [(5.0, 4.0), (4.0, 3.0)]


def test_identical_graphs_do_not_diverge(exports: Exports, calibration: CalibrationSet) -> None:
    found = divergence(exports.graph(0, 8), exports.graph(0, 8), calibration.samples[:4], HEADS)
    assert (found.kl_nats, found.mean_abs_log_prob, found.disagreement) == (0.0, 0.0, 0.0)


def test_sqnr_is_a_ratio_of_energies() -> None:
    assert sqnr_db(100.0, 1.0) == pytest.approx(20.0)
    assert sqnr_db(1.0, 0.0) == 200.0
    assert sqnr_db(0.0, 1.0) == -200.0
