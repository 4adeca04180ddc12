"""A plan laid into a float graph: int8 weights, and FakeQuantize before the layers that have them.

    x ─► FakeQuantize ─► MatMul ─► y          What an engine finds here it turns into a product of
                          ▲                   integers: FakeQuantize says range and number of steps,
    i8 ─► Convert ─► Multiply                 the Multiply says the scale of each output channel.

Where a layer's input is only moved (transposed, reshaped) on its way to the layer, it becomes an integer
before that: bytes are moved faster than floats.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from galago.models.integers import PerGroup
from galago.quantize.layers import MOVEMENTS, channels_first, channels_restored, weight_of, weighted_layers
from galago.quantize.plan import LayerPlan, QuantizationPlan, weight_sha256
from galago.quantize.quantizer import QuantizationError, Quantizer
from galago.quantize.smoothing import smooth

__all__ = ["quantize_graph"]

_Key = tuple[str, int, float, float]


def quantize_graph(graph: ov.Model, plan: QuantizationPlan) -> ov.Model:
    """A quantized copy of a float graph with explicit states, of any shape of the network.

    All shapes share their int8 weights and their scales: one calibration serves them.

    Raises:
        QuantizationError: the graph lacks a layer or a norm of the plan, or its weights are other ones: it is
            another network, or these weights depend on the graph's shape.
    """
    try:
        copy = smooth(graph, plan.smoothing) if plan.smoothing else graph.clone()
    except KeyError as error:
        raise QuantizationError(f"no norm {error} that could be smoothed") from error
    nodes = weighted_layers(copy)
    inserted: dict[_Key, Any] = {}
    for name, layer in plan.layers.items():
        if name not in nodes:
            raise QuantizationError(f"no layer {name!r} in this graph")
        _store_weights(nodes[name], layer)
        _quantize_input(nodes[name], layer, inserted)
        if nodes[name].get_type_name() == "MatMul":
            _give_bias(nodes[name])
    copy.validate_nodes_and_infer_types()
    return copy


def _store_weights(node: Any, layer: LayerPlan) -> None:
    name, weight = node.get_friendly_name(), weight_of(node)
    rows = channels_first(node, weight)
    if weight_sha256(rows) != layer.weight_sha256:
        raise QuantizationError(
            f"{name}: its weights are not those that were observed: this is another network, "
            "or they depend on the graph's shape, and the layer must be ignored"
        )
    integers = Quantizer(layer.weight_granularity, layer.weight_integers).quantize(rows, layer.weight)
    scale = layer.weight.scale.numpy()
    if isinstance(layer.weight_granularity, PerGroup):
        values, factors = _in_groups(node, integers, scale, layer.weight_granularity.size)
    else:
        values = channels_restored(node, integers, weight.shape)
        column = np.broadcast_to(scale, (len(rows),))[:, None]
        factors = channels_restored(node, column, weight.shape)
    constant = ov.opset13.constant(values.astype(np.int8))
    factor = ov.opset13.constant(factors.astype(np.float32))
    decoded = ov.opset13.convert(constant, "f32")
    scaled = ov.opset13.multiply(decoded, factor)
    parts = {"integers": constant, "scale": factor, "float": decoded, "weight": scaled}
    if values.shape != weight.shape:
        shape = ov.opset13.constant(np.array(weight.shape, np.int64))
        scaled = ov.opset13.reshape(scaled, shape, special_zero=False)
        parts |= {"shape": shape, "joined": scaled}
    for what, part in parts.items():
        part.set_friendly_name(f"{name}/{what}")
    node.input(1).replace_source_output(scaled.output(0))


def _in_groups(node: Any, integers: NDArray[np.int32], scale: Any, size: int) -> tuple[Any, Any]:
    """Weights (out, groups, size) and their scales (out, groups, 1), for a Reshape to (out, in)."""
    is_linear = node.get_type_name() == "MatMul" and node.get_attributes()["transpose_b"]
    if not is_linear or len(node.input_value(1).get_shape()) != 2:
        raise QuantizationError(f"{node.get_friendly_name()}: only linear maps can have weights per group")
    return integers.reshape(len(integers), -1, size), scale.reshape(len(integers), -1, 1)


def _quantize_input(node: Any, layer: LayerPlan, inserted: dict[_Key, Any]) -> None:
    if layer.input is None:
        return
    port = node.input(0)
    while _only_moves(port.get_source_output()):
        port = port.get_source_output().get_node().input(0)
    source = port.get_source_output()
    scale, zero_point = float(layer.input.scale), float(layer.input.zero_point)
    key = source.get_node().get_friendly_name(), source.get_index(), scale, zero_point
    if key not in inserted:
        integers = layer.input_integers
        # One step more below than symmetric integers use: with 256 levels engines know the type.
        lowest = integers.highest - 2**integers.bits + 1
        ends = [scale * (end - zero_point) for end in (lowest, integers.highest)]
        low, high = (ov.opset13.constant(np.array(end, np.float32)) for end in ends)
        quantized = ov.opset13.fake_quantize(source, low, high, low, high, 2**integers.bits)
        for what, part in {"input": quantized, "low": low, "high": high}.items():
            part.set_friendly_name(f"{node.get_friendly_name()}/{what}")
        inserted[key] = quantized.output(0)
    port.replace_source_output(inserted[key])


def _give_bias(node: Any) -> None:
    """Make sure that a linear map has a bias whose values are not all equal; it changes nothing.

    OpenVINO 2026.4 loses the scales of a linear map with int8 weights per channel when integers come next and
    between the two there is no such bias: the answers are noise. A bias of zeros would be taken out again;
    2 ** -100 in one channel, or the next float to an equal bias, is far below every step.
    """
    num_channels = node.get_output_partial_shape(0)[-1].get_length()
    ports = list(node.output(0).get_target_inputs())
    if len(ports) == 1 and ports[0].get_node().get_type_name() == "Add":
        other = ports[0].get_node().input(1 - ports[0].get_index())
        found = other.get_source_output().get_node()
        if found.get_type_name() == "Constant" and found.data.size in (1, num_channels):
            if np.ptp(found.data) == 0.0 and num_channels > 1:
                value = np.full(num_channels, found.data.ravel()[0], np.float32)
                value[0] = np.nextafter(value[0], np.float32(np.inf)) if value[0] else 2.0**-100
                other.replace_source_output(ov.opset13.constant(value).output(0))
            return
    value = np.zeros(num_channels, np.float32)
    value[0] = 2.0**-100
    bias = ov.opset13.constant(value)
    added = ov.opset13.add(node, bias)
    bias.set_friendly_name(f"{node.get_friendly_name()}/bias")
    added.set_friendly_name(f"{node.get_friendly_name()}/Add")
    for port in ports:
        port.replace_source_output(added.output(0))


def _only_moves(source: Any) -> bool:
    node = source.get_node()
    return node.get_type_name() in MOVEMENTS and len(source.get_target_inputs()) == 1
