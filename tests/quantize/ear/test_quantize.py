from __future__ import annotations

import numpy as np
import openvino as ov
import pytest

from galago.quantize.accuracy_control import divergence
from galago.quantize.calibration import CalibrationSet
from galago.quantize.compile_openvino import compile_graph, make_stateful, state_names
from galago.quantize.ear.measure import HEADS
from galago.quantize.ear.oracle import Oracle
from galago.quantize.quantize import (
    QuantizationConfig,
    QuantizationError,
    quantize_graph,
    quantized_layers,
)
from galago.quantize.transfer import transfer
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
    exports: Exports, quantized: ov.Model, chunk_tokens: int
) -> None:
    """int8 against int8: the very same numbers, whether the engine keeps the states or the caller."""
    graph = transfer(quantized, exports.graph(0, 8), exports.graph(0, chunk_tokens))
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
    exports: Exports, quantized: ov.Model, calibration: CalibrationSet
) -> None:
    other = transfer(quantized, exports.graph(0, 8), exports.graph(0, 16))
    assert constants(other, ov.Type.i8) == constants(quantized, ov.Type.i8)
    samples = noise(48_000, seed=9)
    exact, found = Oracle(exports.graph(0, 16)).hear(samples), Oracle(other).hear(samples)
    kl = (np.exp(exact.phone_log_probs) * (exact.phone_log_probs - found.phone_log_probs)).sum(-1)
    assert 0.0 < kl.mean() < 0.01
    assert divergence(exports.graph(0, 8), quantized, calibration.samples, HEADS).kl_nats < 0.01


def test_no_layer_in_float_is_smoothed(exports: Exports, quantized: ov.Model) -> None:
    """The projected positions belong to a chunk size: they must come through quantization untouched."""
    before, after = constants(exports.graph(0, 8), ov.Type.f32), constants(quantized, ov.Type.f32)
    for block in range(2):
        name = f"blocks.{block}.attention/MatMul:1"
        assert after[name] == before[name]


def test_a_graph_transferred_to_its_own_chunk_is_unchanged(exports: Exports, quantized: ov.Model) -> None:
    same = transfer(quantized, exports.graph(0, 8), exports.graph(0, 8))
    samples = noise(20_000)
    np.testing.assert_array_equal(
        Oracle(same).hear(samples).token_log_probs, Oracle(quantized).hear(samples).token_log_probs
    )


def test_another_network_is_refused(exports: Exports, quantized: ov.Model) -> None:
    with pytest.raises(QuantizationError, match="differ in their layers"):
        transfer(quantized, exports.graph(2, 8), exports.graph(0, 8))


def test_weights_keep_to_seven_bits(
    exports: Exports, quantized: ov.Model, calibration: CalibrationSet
) -> None:
    """Two products of u8 and such an i8 fit 16 bits: 2 * 255 * 64 = 32640. Depthwise ones do not meet."""

    def largest(graph: ov.Model) -> int:
        found = 0
        for node in graph.get_ordered_ops():
            if (
                node.get_friendly_name() in quantized_layers(graph)
                and "depthwise" not in node.get_friendly_name()
            ):
                weight = node.input_value(1).get_node()
                while weight.get_type_name() != "Constant":
                    weight = weight.input_value(0).get_node()
                found = max(found, int(np.abs(weight.data.astype(int)).max()))
        return found

    assert largest(quantized) <= 64
    config = QuantizationConfig(seven_bit_weights=False)
    assert largest(quantize_graph(exports.graph(0, 8), calibration, config)) > 120


def test_a_layer_can_be_left_in_float(exports: Exports, calibration: CalibrationSet) -> None:
    name = "blocks.0.feed_forward1.expand/MatMul"
    config = QuantizationConfig(ignored_layers=(r"blocks\..*",), bias_correction=False)
    graph = quantize_graph(exports.graph(0, 8), calibration, config, also_ignored=["token_head/MatMul"])
    layers = quantized_layers(graph)
    assert name not in layers and "token_head/MatMul" not in layers
    assert "phone_head/MatMul" in layers


def test_unknown_layers_and_granularities_are_refused(exports: Exports, calibration: CalibrationSet) -> None:
    with pytest.raises(QuantizationError, match="no layer 'blocks.9/MatMul'"):
        quantize_graph(
            exports.graph(0, 8), calibration, QuantizationConfig(), also_ignored=["blocks.9/MatMul"]
        )
    with pytest.raises(QuantizationError, match="no granularity 'per-brick'"):
        QuantizationConfig(weights="per-brick")
    with pytest.raises(QuantizationError, match="no range 'median'"):
        QuantizationConfig(activation_range="median")
    with pytest.raises(QuantizationError, match="ignored_layers"):
        QuantizationConfig(ignored_layers=("(",))


def test_a_stateful_graph_has_no_state_inputs(quantized: ov.Model) -> None:
    assert state_names(make_stateful(quantized)) == []
