"""Running a graph to see what flows inside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import openvino as ov

from galago.quantize.calibration import Array
from galago.quantize.compile_openvino import compile_graph

__all__ = ["Port", "Tap", "port_of"]

#: A node's name and the number of its output.
Port = tuple[str, int]


def port_of(output: Any) -> Port:
    """The name of an output of a node."""
    return output.get_node().get_friendly_name(), output.get_index()


class Tap:
    """Runs a graph with explicit states and hands out what leaves the given ports."""

    def __init__(self, graph: ov.Model, ports: list[Port]) -> None:
        copy = graph.clone()
        nodes = {node.get_friendly_name(): node for node in copy.get_ordered_ops()}
        first = len(copy.outputs)
        self._index = {port: first + i for i, port in enumerate(dict.fromkeys(ports))}
        # A result of its own for each: an output may be one of the graph's already.
        copy.add_results([ov.opset13.result(nodes[name].output(index)) for name, index in self._index])
        self._request = compile_graph(copy).create_infer_request()

    def __call__(self, sample: Mapping[str, Array]) -> dict[Port, Array]:
        """What leaves the ports on one sample; valid until the next."""
        self._request.infer(dict(sample))
        return {port: self._request.get_output_tensor(i).data for port, i in self._index.items()}
