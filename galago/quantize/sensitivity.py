"""How much each layer suffers from int8: signal-to-quantization-noise ratios, alone and in the graph.

``alone`` feeds a quantized layer with the float network's own activations: what this layer costs.
``in_graph`` compares the same layer's output between the two running graphs: what has added up by then.

SQNR = 10 log10(sum y^2 / sum (y - y_int8)^2), in dB; each 6 dB is a bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov

from galago.quantize.calibration import Array
from galago.quantize.compile_openvino import compile_graph
from galago.quantize.integer_graph import quantize_graph
from galago.quantize.layers import MOVEMENTS, weighted_layers
from galago.quantize.plan import QuantizationPlan
from galago.quantize.taps import Port, Tap, port_of

__all__ = ["LayerSqnr", "cost_alone", "layer_sqnr", "sqnr_db"]

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


def cost_alone(
    graph: ov.Model, plan: QuantizationPlan, names: Sequence[str], cost_of: Callable[[ov.Model], float]
) -> dict[str, float]:
    """What ``cost_of`` says of the graph with nothing but one layer quantized, for each of ``names``."""
    return {name: cost_of(quantize_graph(graph, plan.only(name))) for name in names}


def layer_sqnr(
    graph: ov.Model, plan: QuantizationPlan, samples: Iterable[dict[str, Array]]
) -> list[LayerSqnr]:
    """Compare every quantized layer with the same layer of the float ``graph``.

    Args:
        graph: float, with explicit states.
        samples: steps as in a calibration set.

    Returns:
        a row a layer, in the order of the plan.
    """
    names = list(plan.layers)
    quantized = quantize_graph(graph, plan)
    alone, sources = _isolated(quantized, names)
    # Smoothed, as the quantized one is: then both name the same numbers by the same ports.
    smoothed = quantize_graph(graph, plan.without(names))
    exact = Tap(smoothed, [*((name, 0) for name in names), *sources])
    in_graph = Tap(quantized, [(name, 0) for name in names])
    isolated = compile_graph(alone).create_infer_request()
    running = {name: _Energies() for name in names}
    single = {name: _Energies() for name in names}
    for sample in samples:
        wanted, found = exact(sample), in_graph(sample)
        isolated.infer({_key(port): wanted[port] for port in sources})
        for index, name in enumerate(names):
            running[name].add(wanted[name, 0], found[name, 0])
            single[name].add(wanted[name, 0], isolated.get_output_tensor(index).data)
    return [LayerSqnr(name, single[name].db, running[name].db) for name in names]


def _key(port: Port) -> str:
    return f"{port[0]}#{port[1]}"


def _isolated(quantized: ov.Model, names: Sequence[str]) -> tuple[ov.Model, list[Port]]:
    """A graph of nothing but the named layers, each between an input and an output of its own.

    Between the input and the layer stands what quantization put there, and what only moves values.

    Returns:
        the graph, whose outputs are in the order of ``names``, and the ports of the float graph whose values
        its inputs take.
    """
    copy = quantized.clone()
    nodes = weighted_layers(copy)
    parameters: dict[Port, Any] = {}
    for name in names:
        port = nodes[name].input(0)
        while port.get_source_output().get_node().get_type_name() in ("FakeQuantize", *MOVEMENTS):
            port = port.get_source_output().get_node().input(0)
        source = port.get_source_output()
        if source.get_node().get_friendly_name() in {_key(known) for known in parameters}:
            continue  # this input was cut before, for another layer that shares the inserted nodes
        key = port_of(source)
        if key not in parameters:
            parameter = ov.opset13.parameter(source.get_partial_shape(), source.get_element_type())
            parameter.set_friendly_name(_key(key))
            parameter.output(0).get_tensor().set_names({_key(key)})
            parameters[key] = parameter
        port.replace_source_output(parameters[key].output(0))
    results = [ov.opset13.result(nodes[name].output(0)) for name in names]
    return ov.Model(results, list(parameters.values()), "layers"), list(parameters)
