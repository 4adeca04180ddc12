"""Busy times of graphs and of their layers, as they decide on dtypes and go into reports and bundles."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino as ov

from galago.quantize.calibration import Array
from galago.quantize.compile_openvino import Precision, compile_graph
from galago.quantize.layers import weighted_layers

__all__ = ["both_step_ms", "estimated_savings", "layer_times_ms", "measured_savings", "step_ms"]

_NUM_TIMED_STEPS = 300
_NUM_PROFILED_STEPS = 60
_NUM_WARM_UP_STEPS = 5


def _busy_ns(request: Any) -> int:
    begin = time.process_time_ns()
    request.infer()
    return time.process_time_ns() - begin


def _median_ms(times_ns: list[int]) -> float:
    return round(float(np.median(times_ns)) / 1e6, 3)


def step_ms(request: Any) -> float:
    """Median busy time of an infer request with set inputs, in ms; what else runs here does not count."""
    request.infer()
    return _median_ms([_busy_ns(request) for _ in range(_NUM_TIMED_STEPS)])


def both_step_ms(first: Any, second: Any) -> tuple[float, float, float]:
    """:func:`step_ms` of two requests that take turns, and the median of second / first of each turn.

    A machine that slows down slows both steps of a turn: their ratio says which one is faster when the two
    medians, each over slow and fast times, do not.
    """
    times_ns: tuple[list[int], list[int]] = ([], [])
    for request in (first, second):
        request.infer()
    for _ in range(_NUM_TIMED_STEPS):
        for request, times in zip((first, second), times_ns, strict=True):
            times.append(_busy_ns(request))
    ratio = float(np.median(np.array(times_ns[1]) / np.maximum(times_ns[0], 1)))
    return _median_ms(times_ns[0]), _median_ms(times_ns[1]), round(ratio, 3)


def layer_times_ms(
    graph: ov.Model, sample: Mapping[str, Array], precision: Precision = "f32"
) -> dict[str, float]:
    """Time of each layer with weights on the engine, in ms, by its name.

    A layer that the engine has fused with others counts with them, and one that it has folded away not at
    all.
    """
    times: dict[str, list[float]] = {name: [] for name in weighted_layers(graph)}
    request = compile_graph(graph, precision, count_time=True).create_infer_request()
    for step in range(_NUM_PROFILED_STEPS + _NUM_WARM_UP_STEPS):
        request.infer(dict(sample))
        for row in request.profiling_info if step >= _NUM_WARM_UP_STEPS else ():
            # Some integer layers are called after what follows: "token_head/MatMul/DequantizationMultiply".
            name = row.node_name.partition("/Dequantization")[0]
            if name in times:
                times[name].append(row.real_time.total_seconds() * 1e3)
    # The engine counts whole microseconds: means of the faster half, which nothing has interrupted.
    return {name: float(np.mean(np.sort(found)[: len(found) // 2])) for name, found in times.items() if found}


def measured_savings(
    graph: ov.Model, quantized: ov.Model, sample: Mapping[str, Array], precision: Precision = "f32"
) -> dict[str, float]:
    """How much longer each layer takes in float, in ms, as the engine itself counts its time."""
    in_float, in_int8 = (layer_times_ms(each, sample, precision) for each in (graph, quantized))
    return {name: in_float[name] - in_int8[name] for name in in_float.keys() & in_int8.keys()}


def estimated_savings(graph: ov.Model, quantized: ov.Model) -> dict[str, float]:
    """Multiply-adds of each layer in millions, where nothing may be measured: the same on every machine."""
    found = {}
    for name, node in weighted_layers(graph).items():
        weights = int(np.prod(node.input_value(1).get_shape()))
        outputs, channels = int(np.prod(node.get_output_shape(0))), _num_channels(node)
        found[name] = outputs * (weights / channels) / 1e6
    return found


def _num_channels(node: Any) -> int:
    shape = node.get_output_shape(0)
    return int(shape[-1] if node.get_type_name() == "MatMul" else shape[1])
