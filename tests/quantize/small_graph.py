"""A graph of a few linear maps, made by hand: what an export would take minutes to try takes seconds here."""

from __future__ import annotations

import numpy as np
import openvino as ov

from galago.quantize.calibration import Array, CalibrationSet

WIDTH = 32
LAYERS = ("first/MatMul", "second/MatMul", "third/MatMul", "fourth/MatMul")
PLANTED = "third/MatMul"


def small_graph(*, planted: bool = False, outlier: bool = False, has_norm_bias: bool = True) -> ov.Model:
    """x (8, 32) -> LayerNorm -> first -> ReLU -> second -> ReLU -> third -> LayerNorm -> fourth -> log_probs.

    With ``planted``, one channel into the third layer is two thousand times the others, and its weights undo
    it in float. With ``outlier``, one channel of the norms is thirty times the others.
    """
    rng = np.random.default_rng(11)
    gain = 30.0 if outlier else 1.0
    op = ov.opset13
    x = op.parameter([8, WIDTH], np.float32, name="x")
    x.output(0).get_tensor().set_names({"x"})
    node = norm(x, "norm", rng, gain, has_bias=has_norm_bias)
    weights = [rng.normal(0.0, 0.25, (WIDTH, WIDTH)).astype(np.float32) for _ in LAYERS]
    if planted:
        weights[1][3] *= 2000.0
        weights[2][:, 3] /= 2000.0
    for index, (name, weight) in enumerate(zip(LAYERS, weights, strict=True)):
        if index == 3:
            node = norm(node, "last_norm", rng, gain, has_bias=has_norm_bias)
        node = op.matmul(node, op.constant(weight), False, True)
        node.set_friendly_name(name)
        if index < 2:
            node = op.relu(node)
            node.set_friendly_name(f"{name.partition('/')[0]}/Relu")
    node = op.log_softmax(node, -1)
    node.output(0).get_tensor().set_names({"log_probs"})
    return ov.Model([op.result(node)], [x], "small")


def norm(
    x: ov.Node, name: str, rng: np.random.Generator, gain_of_one: float, *, has_bias: bool = True
) -> ov.Node:
    """LayerNorm over the last axis as the ONNX frontend writes it, with weights around 1."""
    op = ov.opset13
    gain = rng.uniform(0.5, 1.5, WIDTH).astype(np.float32)
    gain[5] *= gain_of_one
    normed = op.mvn(x, op.constant(np.array([-1])), True, 1e-5, "INSIDE_SQRT")
    scaled = op.multiply(normed, op.constant(gain))
    if not has_bias:
        scaled.set_friendly_name(f"{name}/LayerNormalization")
        return scaled
    shifted = op.add(scaled, op.constant(rng.normal(0.0, 0.1, WIDTH).astype(np.float32)))
    for node, kind in ((normed, "MVN"), (scaled, "scaled"), (shifted, "LayerNormalization")):
        node.set_friendly_name(f"{name}/{kind}")
    return shifted


def samples(count: int, seed: int = 0) -> CalibrationSet:
    rng = np.random.default_rng(seed)
    drawn: list[Array] = [rng.normal(size=(8, WIDTH)).astype(np.float32) for _ in range(count)]
    return CalibrationSet("small", tuple({"x": x} for x in drawn), {"seed": seed})
