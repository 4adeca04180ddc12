"""The layers of a graph that have weights: linear maps and convolutions, by the names of their nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino as ov

from galago.quantize.calibration import Array

__all__ = [
    "MOVEMENTS",
    "channels_first",
    "channels_restored",
    "quantized_layers",
    "weight_of",
    "weighted_layers",
]

_LAYER_TYPES = ("MatMul", "Convolution", "GroupConvolution")
_DECODING = ("Multiply", "Subtract", "Convert", "Reshape", "Transpose")
#: What changes a tensor's shape and none of its values.
MOVEMENTS = ("Reshape", "Transpose", "Squeeze", "Unsqueeze")


def weighted_layers(graph: ov.Model) -> dict[str, Any]:
    """Nodes with constant weights as their second input, by name, in the order of the graph."""
    return {
        node.get_friendly_name(): node
        for node in graph.get_ordered_ops()
        if node.get_type_name() in _LAYER_TYPES
        and _decoded(node.input_value(1)).get_type_name() == "Constant"
        and _decoded(node.input_value(0)).get_type_name() != "Constant"
    }


def quantized_layers(graph: ov.Model) -> list[str]:
    """Names of the layers whose weights are int8, in the order of the graph."""
    return [
        name
        for name, node in weighted_layers(graph).items()
        if _decoded(node.input_value(1)).get_element_type() in (ov.Type.i8, ov.Type.u8)
    ]


def _decoded(source: Any) -> Any:
    """The node at the beginning of a weight's chain: Constant -> Convert -> Multiply ..."""
    node = source.get_node()
    while node.get_type_name() in _DECODING:
        node = node.input_value(0).get_node()
    return node


def weight_of(node: Any) -> Array:
    """The weights of a float layer, in the shape that the graph has them."""
    return np.array(node.input_value(1).get_node().data, np.float32)


def _channel_axes(node: Any, num_axes: int) -> tuple[int, ...]:
    """The axes of a layer's weights that number its output channels."""
    if node.get_type_name() == "MatMul":
        return (num_axes - 2 if node.get_attributes()["transpose_b"] else num_axes - 1,)
    return (0,) if node.get_type_name() == "Convolution" else (0, 1)  # of groups: group, channel in it


def _order(node: Any, num_axes: int) -> list[int]:
    front = _channel_axes(node, num_axes)
    return [*front, *(axis for axis in range(num_axes) if axis not in front)]


def channels_first(node: Any, weight: Array) -> Array:
    """Weights as (output channels, all that one of them is made of): the layout of ``torch.nn.Linear``."""
    order = _order(node, weight.ndim)
    num_channels = int(np.prod([weight.shape[axis] for axis in _channel_axes(node, weight.ndim)]))
    return weight.transpose(order).reshape(num_channels, -1)


def channels_restored(node: Any, rows: Any, shape: tuple[int, ...]) -> Any:
    """Undo :func:`channels_first` of an array (output channels, N), or of one (output channels, 1) make one
    that broadcasts to ``shape``."""
    order = _order(node, len(shape))
    front = _channel_axes(node, len(shape))
    is_whole = rows.shape[1] > 1 or int(np.prod(shape)) == rows.shape[0]
    sizes = [shape[axis] if is_whole or axis in front else 1 for axis in order]
    return np.ascontiguousarray(rows.reshape(sizes).transpose(np.argsort(order)))
