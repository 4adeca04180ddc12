"""ONNX -> OpenVINO: converting with stable layer names, making states, compiling at a stated precision."""

from __future__ import annotations

import functools
import re
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import numpy as np
import openvino as ov

from galago.quantize.export import NEXT_PREFIX, STATE_PREFIX

__all__ = ["Precision", "compile_graph", "convert_onnx", "core", "make_stateful", "state_names"]

Precision = Literal["f32", "bf16"]

_AUTOMATIC_NAME = re.compile(r"[A-Za-z]+_\d+")  # "MVN_1763": counts up within a process


@functools.cache
def core() -> ov.Core:
    """The one OpenVINO core of this process.

    Each core remembers the signal handlers that it found and puts them back when it goes. With two that go in
    the order of their making, the handler of one that is gone stays behind, on a stack that is freed: the
    next Ctrl-C would then crash the process instead of interrupting it.
    """
    return ov.Core()


def convert_onnx(path: Path) -> ov.Model:
    """Read an exported graph. Constant subgraphs (the projected positions) are folded on the way."""
    model = ov.convert_model(path)
    _name_nodes(model)
    return model


def _name_nodes(model: ov.Model) -> None:
    """Name what the conversion brought in after the layer that it serves.

    So two conversions write the same bytes, and the graphs of two chunk sizes call the same thing the same.
    """
    seen: Counter[str] = Counter()
    for node in reversed(model.get_ordered_ops()):  # consumers first: their names are settled
        name = node.get_friendly_name()
        consumers = [port for output in node.outputs() for port in output.get_target_inputs()]
        if not consumers or not (node.get_type_name() == "Constant" or _AUTOMATIC_NAME.fullmatch(name)):
            continue
        consumer = min(consumers, key=lambda port: (port.get_node().get_friendly_name(), port.get_index()))
        owner = consumer.get_node().get_friendly_name()
        if node.get_type_name() == "Constant":
            name = f"{owner}:{consumer.get_index()}"
        else:
            name = f"{owner.partition('/')[0]}/{node.get_type_name()}"
            seen[name] += 1
            name += f"'{seen[name]}"  # apart from the names that the export gave
        node.set_friendly_name(name)


def state_names(model: ov.Model) -> list[str]:
    """Names of the states that are inputs of the graph, without prefix, in its order."""
    names = [port.get_any_name() for port in model.inputs]
    return [name.removeprefix(STATE_PREFIX) for name in names if name.startswith(STATE_PREFIX)]


def make_stateful(model: ov.Model) -> ov.Model:
    """A copy of the graph whose states are variables: they stay inside the engine between two steps.

    A variable starts at zero, and the graph's ``keep`` forgets what it held.
    """
    copy = model.clone()
    results = {port.get_any_name(): port.get_node() for port in copy.outputs}
    parameters = {port.get_any_name(): port.get_node() for port in copy.inputs}
    states = state_names(copy)
    sinks = []
    for name in states:
        parameter, result = parameters.pop(STATE_PREFIX + name), results.pop(NEXT_PREFIX + name)
        shape = list(parameter.output(0).get_shape())
        # The zeros are said: without them int8 graphs do not compile where a scale can move behind a state
        # (OpenVINO 2026.4 looks for an input of ReadValue that is not there).
        zeros = ov.opset13.constant(np.zeros(shape, np.float32))
        read = ov.opset13.read_value(zeros, name, np.float32, shape)
        for port in parameter.output(0).get_target_inputs():
            port.replace_source_output(read.output(0))
        source = result.input_value(0)
        if source.get_node().get_output_size() > 1:  # assign takes whole nodes; this cast does nothing
            source = ov.opset13.convert(source, "f32").output(0)
        assign = ov.opset13.assign(source.get_node(), name)
        zeros.set_friendly_name(f"{name}/ReadValue:0")
        read.set_friendly_name(f"{name}/ReadValue")
        assign.set_friendly_name(f"{name}/Assign")
        sinks.append(assign)
    return ov.Model(list(results.values()), sinks, list(parameters.values()), copy.get_friendly_name())


def compile_graph(
    model: ov.Model | Path, precision: Precision = "f32", *, num_threads: int = 1, count_time: bool = False
) -> Any:
    """Compile for the CPU with a stated precision; OpenVINO's own default is bf16 where the CPU has it.

    Args:
        count_time: let requests tell the time of each node, which makes them slower.
    """
    options: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": num_threads,
        "NUM_STREAMS": 1,
        "PERF_COUNT": count_time,
    }
    return core().compile_model(model, "CPU", options)
