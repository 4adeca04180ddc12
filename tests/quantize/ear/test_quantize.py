from __future__ import annotations

from typing import Any

import numpy as np
import openvino as ov
import pytest

from galago.quantize.accuracy_control import divergence
from galago.quantize.calibration import CalibrationSet
from galago.quantize.compile_openvino import compile_graph, make_stateful, state_names
from galago.quantize.ear.measure import HEADS
from galago.quantize.ear.oracle import Oracle
from galago.quantize.integer_graph import quantize_graph
from galago.quantize.layers import quantized_layers, weighted_layers
from galago.quantize.plan import QuantizationPlan
from galago.quantize.quantize import QuantizationConfig, plan_quantization
from galago.quantize.quantizer import QuantizationError
from tests.quantize.ear.tiny import Exports, noise


def constants(graph: ov.Model, kind: ov.Type) -> dict[str, bytes]:
    return {
        node.get_friendly_name(): node.data.tobytes()
        for node in graph.get_ordered_ops()
        if node.get_type_name() == "Constant" and node.get_element_type() == kind
    }


def test_every_layer_with_weights_is_int8(quantized: ov.Model) -> None:
    layers = quantized_layers(quantized)
    # 2 convolutions and 1 projection before, 11 layers a block, 3 for the two heads and the feedback.
    assert len(layers) == 3 + 2 * 11 + 3
    assert not [name for name in layers if "attention/MatMul" in name]
    stored = sum(len(data) for data in constants(quantized, ov.Type.i8).values())
    assert stored > 80_000


@pytest.mark.parametrize("chunk_tokens", [8, 4])
def test_int8_states_inside_the_engine_equal_states_outside(
    exports: Exports, plan: QuantizationPlan, chunk_tokens: int
) -> None:
    """int8 against int8: the very same numbers, whether the engine keeps the states or the caller."""
    graph = quantize_graph(exports.graph(0, chunk_tokens), plan)
    inside = Oracle(graph)
    outside = compile_graph(graph).create_infer_request()
    shapes = {port.get_any_name(): list(port.shape) for port in graph.inputs}
    feed = {f"state.{n}": np.zeros(shapes[f"state.{n}"], np.float32) for n in state_names(graph)}
    rng = np.random.default_rng(5)
    for number in range(100):
        features = rng.normal(-6.0, 4.0, shapes["features"]).astype(np.float32)
        outside.infer({**feed, "features": features, "keep": np.full(1, float(number > 0), np.float32)})
        phones, tokens = inside.step(features[0])
        np.testing.assert_allclose(phones, outside.get_tensor("phone_log_probs").data[0], atol=1e-4)
        np.testing.assert_allclose(tokens, outside.get_tensor("token_log_probs").data[0], atol=1e-4)
        feed = {f"state.{n}": outside.get_tensor(f"next.{n}").data.copy() for n in state_names(graph)}


def test_all_chunk_sizes_share_their_int8_weights_and_stay_close_to_float(
    exports: Exports, plan: QuantizationPlan, quantized: ov.Model, calibration: CalibrationSet
) -> None:
    other = quantize_graph(exports.graph(0, 16), plan)
    assert constants(other, ov.Type.i8) == constants(quantized, ov.Type.i8)
    samples = noise(48_000, seed=9)
    exact, found = Oracle(exports.graph(0, 16)).hear(samples), Oracle(other).hear(samples)
    kl = (np.exp(exact.phone_log_probs) * (exact.phone_log_probs - found.phone_log_probs)).sum(-1)
    assert 0.0 < kl.mean() < 0.01
    assert divergence(exports.graph(0, 8), quantized, calibration.samples, HEADS).kl_nats < 0.01


def test_no_layer_in_float_is_changed(exports: Exports, quantized: ov.Model) -> None:
    """The projected positions belong to a chunk size: they must come through quantization untouched."""
    before, after = constants(exports.graph(0, 8), ov.Type.f32), constants(quantized, ov.Type.f32)
    for block in range(2):
        name = f"blocks.{block}.attention/MatMul:1"
        assert after[name] == before[name]


def test_layers_that_read_the_same_tensor_share_one_quantization(quantized: ov.Model) -> None:
    nodes = {node.get_friendly_name(): node for node in quantized.get_ordered_ops()}
    sources = {
        nodes[f"blocks.0.attention.{name}/MatMul"].input_value(0).get_node().get_friendly_name()
        for name in ("query", "key", "value")
    }
    assert len(sources) == 1
    (quantizer,) = (nodes[name] for name in sources)
    assert quantizer.get_type_name() == "FakeQuantize"
    low, high = (float(quantizer.input_value(i).get_node().data) for i in (1, 2))
    assert low < 0 < high
    # 0.0 is one of the steps.
    assert -low / (high - low) * 255 == pytest.approx(round(-low / (high - low) * 255), abs=1e-3)


def test_another_network_is_refused(exports: Exports, plan: QuantizationPlan) -> None:
    deeper = QuantizationPlan({**plan.layers, "blocks.9/MatMul": plan.layers["token_head/MatMul"]})
    with pytest.raises(QuantizationError, match="no layer 'blocks.9/MatMul'"):
        quantize_graph(exports.graph(0, 8), deeper)
    swapped = QuantizationPlan({"token_head/MatMul": plan.layers["phone_head/MatMul"]})
    with pytest.raises(QuantizationError, match="token_head/MatMul: its weights are not those"):
        quantize_graph(exports.graph(0, 8), swapped)


def test_weights_that_depend_on_the_chunk_are_refused(exports: Exports, calibration: CalibrationSet) -> None:
    plan = plan_quantization(exports.graph(0, 8), calibration, QuantizationConfig(ignored_layers=()))
    assert "blocks.0.attention/MatMul" in plan.layers  # projected positions
    with pytest.raises(QuantizationError, match="depend on the graph's shape"):
        quantize_graph(exports.graph(0, 4), plan)


def largest_weight(graph: ov.Model) -> int:
    stored = constants(graph, ov.Type.i8).values()
    return max(int(np.abs(np.frombuffer(data, np.int8).astype(int)).max()) for data in stored)


def test_weights_keep_to_seven_bits(
    exports: Exports, quantized: ov.Model, calibration: CalibrationSet
) -> None:
    """Two products of u8 and such an i8 fit 16 bits: 2 * 255 * 63 = 32130."""
    assert largest_weight(quantized) == 63
    config = QuantizationConfig(weight_bits=8)
    graph = exports.graph(0, 8)
    assert largest_weight(quantize_graph(graph, plan_quantization(graph, calibration, config))) == 127


def test_a_layer_can_be_left_in_float(exports: Exports, calibration: CalibrationSet) -> None:
    graph = exports.graph(0, 8)
    config = QuantizationConfig(ignored_layers=(r"blocks\..*",))
    plan = plan_quantization(graph, calibration, config).without(["token_head/MatMul"])
    layers = quantized_layers(quantize_graph(graph, plan))
    assert "blocks.0.feed_forward1.expand/MatMul" not in layers and "token_head/MatMul" not in layers
    assert "phone_head/MatMul" in layers


def test_of_a_layer_the_weights_alone_can_be_integers(exports: Exports, calibration: CalibrationSet) -> None:
    graph = exports.graph(0, 8)
    config = QuantizationConfig(float_inputs=(r".*\.expand/MatMul",))
    plan = plan_quantization(graph, calibration, config)
    with_floats = {name: layer for name, layer in plan.layers.items() if layer.input is None}
    assert with_floats and all("expand" in name for name in with_floats)
    assert {layer.weight_integers.bits for layer in with_floats.values()} == {8}
    assert {layer.weight_integers.bits for name, layer in plan.layers.items() if layer.input} == {7}
    nodes = weighted_layers(quantize_graph(graph, plan))
    for name in with_floats:
        assert nodes[name].input_value(0).get_node().get_type_name() != "FakeQuantize"


def test_weights_alone_can_have_a_scale_for_each_group(exports: Exports, calibration: CalibrationSet) -> None:
    """Finer scales are nearer to float, and inputs stay what they are."""
    graph = exports.graph(0, 8)
    costs = []
    for weights in ("per-group", "per-tensor"):
        config = QuantizationConfig(
            weights=weights,
            weight_group=8,
            weight_bits=4,
            activations="float",
            ignored_layers=(r".*\.attention/MatMul.*", r".*[cC]onv/.*"),
        )
        quantized = quantize_graph(graph, plan_quantization(graph, calibration, config))
        types = {node.get_type_name() for node in quantized.get_ordered_ops()}
        assert "FakeQuantize" not in types
        assert len(quantized_layers(quantized)) == 24
        costs.append(divergence(graph, quantized, calibration.samples, HEADS).kl_nats)
    assert 0.0 < costs[0] < 0.5 * costs[1]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"weights": "per-brick"}, "no granularity 'per-brick'"),
        ({"weights": "per-group"}, "a scale for each group"),
        ({"activations": "per-channel"}, "no granularity 'per-channel'"),
        ({"activation_observer": "median"}, "no observer 'median'"),
        ({"weight_observer": "median"}, "no observer 'median'"),
        ({"ignored_layers": ("(",)}, "ignored_layers"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(QuantizationError, match=complaint):
        QuantizationConfig(**change)


def test_a_stateful_graph_has_no_state_inputs(quantized: ov.Model) -> None:
    assert state_names(make_stateful(quantized)) == []
