"""How much each layer suffers from int8: signal-to-quantization-noise ratios, alone and in the graph.

``alone`` feeds a quantized layer with the float network's own activations: what this layer costs.
``in_graph`` compares the same layer's output between the two running graphs: what has added up by then.

SQNR = 10 log10(sum y^2 / sum (y - y_int8)^2), in dB; each 6 dB is a bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov

from galago.quantize.calibration import Array
from galago.quantize.compile_openvino import compile_graph
from galago.quantize.quantize import quantized_layers

__all__ = ["LayerSqnr", "layer_sqnr", "sqnr_db"]

_EXACT_DB = 200.0  # stands for no noise at all, so that a report holds finite numbers


@dataclass(frozen=True)
class LayerSqnr:
    """One quantized layer; both in dB, higher is better."""

    name: str
    alone_db: float
    in_graph_db: float


def sqnr_db(signal: float, noise: float) -> float:
    """From two energies (sums of squares); capped at 200 dB."""
    if noise <= 0.0 or signal <= 0.0:
        return _EXACT_DB if noise <= 0.0 else -_EXACT_DB
    return min(_EXACT_DB, 10.0 * math.log10(signal / noise))


class _Energies:
    """Sums of squares of a signal and of its error over many samples."""

    def __init__(self) -> None:
        self.signal = self.noise = 0.0

    def add(self, exact: Array, found: Array) -> None:
        self.signal += float(np.square(exact, dtype=np.float64).sum())
        self.noise += float(np.square(exact - found, dtype=np.float64).sum())

    @property
    def db(self) -> float:
        return sqnr_db(self.signal, self.noise)


def layer_sqnr(graph: ov.Model, quantized: ov.Model, samples: Iterable[dict[str, Array]]) -> list[LayerSqnr]:
    """Compare every quantized layer of ``quantized`` with the same layer of the float ``graph``.

    Args:
        graph, quantized: with explicit states.
        samples: steps as in a calibration set.

    Returns:
        a row a layer, in the order of the graph.
    """
    names = quantized_layers(quantized)
    alone, sources = _isolated(quantized, names)
    exact = _Tap(graph, sorted({*names, *sources}))
    in_graph = _Tap(quantized, names)
    isolated = compile_graph(alone).create_infer_request()
    running = {name: _Energies() for name in names}
    single = {name: _Energies() for name in names}
    for sample in samples:
        wanted, found = exact(sample), in_graph(sample)
        isolated.infer({source: wanted[source] for source in sources})
        for index, name in enumerate(names):
            running[name].add(wanted[name], found[name])
            single[name].add(wanted[name], isolated.get_output_tensor(index).data)
    return [LayerSqnr(name, single[name].db, running[name].db) for name in names]


class _Tap:
    """Runs a graph and hands out what leaves the named nodes."""

    def __init__(self, model: ov.Model, names: Sequence[str]) -> None:
        copy = model.clone()
        nodes = {node.get_friendly_name(): node for node in copy.get_ordered_ops()}
        first = len(copy.outputs)
        self._index = {name: first + i for i, name in enumerate(names)}
        copy.add_outputs([nodes[name].output(0) for name in names])
        self._request = compile_graph(copy).create_infer_request()

    def __call__(self, sample: dict[str, Array]) -> dict[str, Array]:
        self._request.infer(sample)
        return {name: self._request.get_output_tensor(i).data.copy() for name, i in self._index.items()}


def _isolated(quantized: ov.Model, names: Sequence[str]) -> tuple[ov.Model, list[str]]:
    """A graph of nothing but the named layers, each between an input and an output of its own.

    Between the input and the layer stands what quantization put there (smoothing, FakeQuantize).

    Returns:
        the graph, whose outputs are in the order of ``names``, and the names of its inputs: the float nodes
        whose values they take.
    """
    copy = quantized.clone()
    nodes = {node.get_friendly_name(): node for node in copy.get_ordered_ops()}
    parameters: dict[str, Any] = {}
    results = []
    for name in names:
        port = nodes[name].input(0)
        while _is_inserted(port.get_source_output().get_node()):
            port = port.get_source_output().get_node().input(0)
        source = port.get_source_output()
        node = source.get_node()
        key = node.get_friendly_name()
        if node.get_type_name() == "Parameter" and key in parameters:
            continue  # this input was cut before, for another layer that shares the inserted nodes
        if key not in parameters:
            parameter = ov.opset13.parameter(source.get_partial_shape(), source.get_element_type(), name=key)
            parameter.output(0).get_tensor().set_names({key})
            parameters[key] = parameter
        port.replace_source_output(parameters[key].output(0))
    results = [ov.opset13.result(nodes[name].output(0)) for name in names]
    return ov.Model(results, list(parameters.values()), "layers"), list(parameters)


def _is_inserted(node: Any) -> bool:
    return node.get_type_name() == "FakeQuantize" or "nncf_smooth_quant" in node.get_friendly_name()
