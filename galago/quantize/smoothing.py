"""SmoothQuant: outliers of a norm's output go into the weights behind it (Xiao et al. 2022, equations 3, 4).

    y = W x = (W diag(s)) (diag(1/s) x)        s_j = max|x_j| ** alpha / max|W_j| ** (1 - alpha)

The division costs nothing where x is the output of a LayerNorm: it goes into the norm's own weight and bias.
So this is what is smoothed: the norms all of whose outputs go into linear maps, those of attention and of
feed-forward networks. In float the network stays the same, to rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import openvino as ov

from galago.quantize.calibration import Array
from galago.quantize.layers import weight_of
from galago.quantize.taps import Tap

__all__ = ["smooth", "smoothing_factors"]

_SMALLEST = 1e-5  # of a channel's largest value: one that is never used shall not make a factor infinite


def _smoothable(graph: ov.Model) -> dict[str, tuple[list[Any], list[Any]]]:
    """Norms (the nodes that have the weight and, if there is one, the bias) and the linear maps behind them,
    by the name of the norm's last node.
    """
    found = {}
    for scaled in graph.get_ordered_ops():
        if scaled.get_type_name() != "Multiply" or _constant(scaled) is None:
            continue
        if scaled.input_value(0).get_node().get_type_name() != "MVN":
            continue
        norm = [scaled]
        readers = [port.get_node() for port in _readers(scaled)]
        if len(readers) == 1 and readers[0].get_type_name() == "Add" and _constant(readers[0]) is not None:
            norm += readers
        ports = _readers(norm[-1])
        if ports and all(_is_linear_map(port) for port in ports):
            consumers = sorted((port.get_node() for port in ports), key=lambda each: each.get_friendly_name())
            found[norm[-1].get_friendly_name()] = norm, consumers
    return found


def _constant(node: Any) -> Array | None:
    """The second input of a node, where it is a constant with a value a channel."""
    value = node.input_value(1).get_node()
    if value.get_type_name() != "Constant" or value.data.size != value.data.shape[-1]:
        return None
    return np.array(value.data, np.float32)


def _readers(node: Any) -> list[Any]:
    return list(node.output(0).get_target_inputs())


def _is_linear_map(port: Any) -> bool:
    node = port.get_node()
    if node.get_type_name() != "MatMul" or port.get_index() != 0 or node.get_attributes()["transpose_a"]:
        return False
    weight = node.input_value(1).get_node()
    return weight.get_type_name() == "Constant" and len(weight.data.shape) == 2


def smoothing_factors(
    graph: ov.Model, samples: Iterable[Mapping[str, Array]], alpha: float
) -> dict[str, Array]:
    """The factors s (C,) of every norm that can be smoothed, by its name.

    Args:
        graph: float, with explicit states.
        alpha: 0: all outliers stay where they are, 1: all go into the weights.
    """
    norms = _smoothable(graph)
    largest = {name: np.zeros(1, np.float32) for name in norms}
    tap = Tap(graph, [(name, 0) for name in norms])
    for sample in samples:
        for (name, _), values in tap(sample).items():
            seen = np.abs(values).reshape(-1, values.shape[-1]).max(axis=0)
            largest[name] = np.maximum(largest[name], seen)
    factors = {}
    for name, (_, consumers) in norms.items():
        weights = np.max([_by_input(node).max(axis=1) for node in consumers], axis=0)
        inputs = np.maximum(largest[name], _SMALLEST)
        factor = inputs**alpha / np.maximum(weights, _SMALLEST) ** (1.0 - alpha)
        factors[name] = np.asarray(factor, np.float32)
    return factors


def _by_input(node: Any) -> Array:
    """Magnitudes of a linear map's weights as (in, out)."""
    weight = np.abs(weight_of(node))
    return weight.T if node.get_attributes()["transpose_b"] else weight


def smooth(graph: ov.Model, factors: Mapping[str, Array]) -> ov.Model:
    """A copy of a float graph: norms answer by ``factors`` less, and the weights behind them make up for it.

    Raises:
        KeyError: a norm that ``factors`` names is not there to be smoothed.
    """
    copy = graph.clone()
    norms = _smoothable(copy)
    for name, factor in factors.items():
        norm, consumers = norms[name]
        for node in norm:
            before = node.input_value(1).get_node().data
            _set_constant(node, before / factor.reshape(before.shape))
        for node in consumers:
            rows = factor if node.get_attributes()["transpose_b"] else factor[:, None]
            _set_constant(node, weight_of(node) * rows)
    return copy


def _set_constant(node: Any, value: Any) -> None:
    constant = ov.opset13.constant(np.asarray(value, np.float32))
    constant.set_friendly_name(f"{node.get_friendly_name()}:1")
    node.input(1).replace_source_output(constant.output(0))
