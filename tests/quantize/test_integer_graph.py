"""What the engine answers with integers, against the same arithmetic by hand."""

from __future__ import annotations

import numpy as np
import openvino as ov
import pytest

from galago.quantize.calibration import Array
from galago.quantize.compile_openvino import compile_graph
from galago.quantize.integer_graph import quantize_graph
from galago.quantize.layers import weight_of, weighted_layers
from galago.quantize.plan import QuantizationPlan
from galago.quantize.quantize import QuantizationConfig, plan_quantization
from galago.quantize.sensitivity import sqnr_db
from galago.quantize.smoothing import smooth, smoothing_factors
from tests.quantize.small_graph import samples, small_graph


def answer(graph: ov.Model, x: Array) -> Array:
    return np.array(compile_graph(graph)({"x": x})["log_probs"])


def two_layers(bias: Array | None) -> ov.Model:
    """x (8, 32) -> linear -> ReLU -> linear, the first one with or without a bias."""
    rng, op = np.random.default_rng(5), ov.opset13
    x = op.parameter([8, 32], np.float32, name="x")
    x.output(0).get_tensor().set_names({"x"})
    node = x
    for name in ("first/MatMul", "second/MatMul"):
        node = op.matmul(node, op.constant(rng.normal(size=(32, 32)).astype(np.float32)), False, True)
        node.set_friendly_name(name)
        if name.startswith("first"):
            node = op.relu(node if bias is None else op.add(node, op.constant(bias)))
    node.output(0).get_tensor().set_names({"log_probs"})
    return ov.Model([op.result(node)], [x], "two")


def by_hand(graph: ov.Model, plan: QuantizationPlan, bias: Array | None, x: Array) -> Array:
    """The same in float64 with every value rounded to its integer."""
    value = x.astype(np.float64)
    for name, node in weighted_layers(graph).items():
        layer = plan.layers[name]
        assert layer.input is not None
        scale, zero = float(layer.input.scale), float(layer.input.zero_point)
        value = scale * (np.clip(np.round(value / scale) + zero, 0, 255) - zero)
        steps = layer.weight.scale.numpy()[:, None].astype(np.float64)
        value = value @ (np.clip(np.round(weight_of(node) / steps), -63, 63) * steps).T
        if name.startswith("first"):
            value = np.maximum(value if bias is None else value + bias, 0.0)
    return np.asarray(value, np.float32)


@pytest.mark.parametrize("kind", ["none", "zeros", "equal", "any"])
def test_linear_maps_answer_by_their_scales_whatever_bias_they_have(kind: str) -> None:
    """Without a bias between two integer layers, OpenVINO 2026.4 answers noise: one is put there."""
    values = {
        "zeros": np.zeros(32, np.float32),
        "equal": np.full(32, 0.25, np.float32),
        "any": np.linspace(-1.0, 1.0, 32, dtype=np.float32),
    }
    bias = values.get(kind)
    graph = two_layers(bias)
    plan = plan_quantization(graph, samples(4), QuantizationConfig())
    (x,) = (sample["x"] for sample in samples(1, seed=2))
    wanted, found = by_hand(graph, plan, bias, x), answer(quantize_graph(graph, plan), x)
    # The engine multiplies scales in another order: a value between two steps may fall to the other side.
    assert sqnr_db(float((wanted**2).sum()), float(((wanted - found) ** 2).sum())) > 45.0


@pytest.mark.parametrize("has_norm_bias", [True, False])
def test_smoothing_leaves_the_float_network_as_it_was_and_moves_the_outlier(has_norm_bias: bool) -> None:
    graph, recorded = small_graph(outlier=True, has_norm_bias=has_norm_bias), samples(8)
    factors = smoothing_factors(graph, recorded, 0.5)
    assert set(factors) == {"norm/LayerNormalization", "last_norm/LayerNormalization"}
    smoothed = smooth(graph, factors)
    (x,) = (sample["x"] for sample in samples(1, seed=2))
    np.testing.assert_allclose(answer(smoothed, x), answer(graph, x), atol=2e-4)
    before, after = (weight_of(weighted_layers(g)["first/MatMul"]) for g in (graph, smoothed))
    factor = factors["norm/LayerNormalization"]
    np.testing.assert_allclose(after / before, np.tile(factor, (32, 1)), rtol=1e-5)
    assert int(np.argmax(factor)) == 5


def test_smoothing_factors_are_those_of_the_paper() -> None:
    """Equation 4 by hand, for one channel of the first norm."""
    graph, recorded = small_graph(outlier=True), samples(8)
    x = np.concatenate([sample["x"] for sample in recorded]).astype(np.float64)
    normed = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    nodes = {node.get_friendly_name(): node for node in graph.get_ordered_ops()}
    gain, shift = (
        nodes[f"norm/{kind}"].input_value(1).get_node().data for kind in ("scaled", "LayerNormalization")
    )
    largest = np.abs(normed * gain + shift).max(axis=0)
    weights = np.abs(weight_of(nodes["first/MatMul"])).max(axis=0)
    wanted = largest**0.75 / weights**0.25
    found = smoothing_factors(graph, recorded, 0.75)["norm/LayerNormalization"]
    np.testing.assert_allclose(found, wanted, rtol=1e-3)


def test_a_plan_with_smoothing_serves_the_graph_and_is_nearer_to_float() -> None:
    graph, recorded = small_graph(outlier=True), samples(8)
    (x,) = (sample["x"] for sample in samples(1, seed=2))
    exact = answer(graph, x)
    errors = []
    for alpha in (None, 0.5):
        plan = plan_quantization(graph, recorded, QuantizationConfig(smooth_quant_alpha=alpha))
        errors.append(np.abs(answer(quantize_graph(graph, plan), x) - exact).mean())
    assert errors[1] < 0.7 * errors[0]
