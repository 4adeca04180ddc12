"""int8 by NNCF: what is quantized, how finely, and what stays in float.

Weights are int8 per output channel, activations int8 per tensor, which is what CPUs multiply fast. Moving
outliers of the activations into the weights (SmoothQuant, Xiao et al. 2022) and taking a layer's mean error
into its bias are there to be asked for. For the default ear the range decides: over everything that
calibration saw it costs 0.0002 nats; NNCF's default, the mean of each step's extremes with SmoothQuant, forty
times that.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import openvino as ov

from galago.quantize.calibration import Array, CalibrationSet

__all__ = [
    "Granularity",
    "PerChannel",
    "PerTensor",
    "QuantizationConfig",
    "QuantizationError",
    "quantize_graph",
    "quantized_layers",
]


class QuantizationError(RuntimeError):
    """A graph cannot be quantized; the message names the layer."""


@dataclass(frozen=True)
class PerTensor:
    """One scale for all of a tensor: (A, B) -> scale ()."""


@dataclass(frozen=True)
class PerChannel:
    """A scale for each output channel: weight (out, in) -> scale (out, 1)."""


Granularity = PerTensor | PerChannel
_RANGES = ("min-max", "mean-min-max")
_GRANULARITIES: dict[str, Granularity] = {"per-tensor": PerTensor(), "per-channel": PerChannel()}


@dataclass(frozen=True)
class QuantizationConfig:
    """How a graph is quantized; a table of the packing recipe, and a part of its report."""

    weights: str = "per-channel"
    activations: str = "per-tensor"
    activation_range: str = "min-max"  # of all that calibration saw; of a step, on average: "mean-min-max"
    # 0: all outliers stay in the activations, 1: all go to the weights, below 0: no smoothing.
    smooth_quant_alpha: float = -1.0
    bias_correction: bool = False
    # Processors without VNNI add pairs of products in 16 bits, which overflow: weights keep to 7 of their 8
    # bits, so that a bundle answers alike on old and new ones. It costs 1e-4 nats, the overflow up to 1.
    seven_bit_weights: bool = True
    # Regular expressions on layer names. The products inside attention stay in float by default: quantizing
    # their inputs, the caches among them, costs more time than the small products save.
    ignored_layers: tuple[str, ...] = (r".*\.attention/MatMul.*",)

    def __post_init__(self) -> None:
        if self.activation_range not in _RANGES:
            raise QuantizationError(
                f"activation_range: no range {self.activation_range!r} (known: {', '.join(_RANGES)})"
            )
        for key in ("weights", "activations"):
            if getattr(self, key) not in _GRANULARITIES:
                known = ", ".join(_GRANULARITIES)
                raise QuantizationError(f"{key}: no granularity {getattr(self, key)!r} (known: {known})")
        for pattern in self.ignored_layers:
            try:
                re.compile(pattern)
            except re.error as error:
                raise QuantizationError(f"ignored_layers: {pattern!r}: {error}") from error

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


_HIDDEN_PREFIX = "weight of "
_LAYER_TYPES = ("MatMul", "Convolution", "GroupConvolution")


def quantize_graph(
    graph: ov.Model,
    calibration: CalibrationSet,
    config: QuantizationConfig,
    *,
    also_ignored: Sequence[str] = (),
) -> ov.Model:
    """A quantized copy of a float graph with explicit states.

    Args:
        calibration: steps with the states of real streams; without those the caches' ranges are wrong.
        also_ignored: names of layers that stay in float, beside what ``config`` ignores.

    Raises:
        QuantizationError: ``also_ignored`` names a layer that the graph does not have.
    """
    import nncf
    from nncf.quantization.advanced_parameters import (
        AdvancedQuantizationParameters,
        AdvancedSmoothQuantParameters,
        OverflowFix,
        QuantizationParameters,
    )
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    layers = [n.get_friendly_name() for n in graph.get_ordered_ops() if n.get_type_name() in _LAYER_TYPES]
    unknown = set(also_ignored) - set(layers)
    if unknown:
        raise QuantizationError(f"no layer {sorted(unknown)[0]!r} to leave out")
    patterns = [re.compile(pattern) for pattern in config.ignored_layers]
    ignored = [name for name in layers if name in also_ignored or any(p.fullmatch(name) for p in patterns)]
    logging.getLogger("nncf").setLevel(logging.WARNING)
    hidden, values = _hide_weights(graph, ignored)
    samples = [{**sample, **values} for sample in calibration]
    advanced = AdvancedQuantizationParameters(
        overflow_fix=OverflowFix.ENABLE if config.seven_bit_weights else OverflowFix.DISABLE,
        disable_bias_correction=not config.bias_correction,
        activations_range_estimator_params=(
            RangeEstimatorParametersSet.MINMAX
            if config.activation_range == "min-max"
            else RangeEstimatorParametersSet.MEAN_MINMAX
        ),
        smooth_quant_alphas=AdvancedSmoothQuantParameters(matmul=config.smooth_quant_alpha),
        weights_quantization_params=QuantizationParameters(
            per_channel=isinstance(_GRANULARITIES[config.weights], PerChannel)
        ),
        activations_quantization_params=QuantizationParameters(
            per_channel=isinstance(_GRANULARITIES[config.activations], PerChannel)
        ),
    )
    quantized = nncf.quantize(
        hidden,
        nncf.Dataset(samples),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(samples),
        ignored_scope=nncf.IgnoredScope(names=ignored, validate=False),
        advanced_parameters=advanced,
    )
    _restore_weights(quantized, values)
    return quantized


def _hide_weights(graph: ov.Model, layers: Sequence[str]) -> tuple[ov.Model, dict[str, Array]]:
    """A copy in which the constant weights of ``layers`` are inputs, and their values by the inputs' names.

    NNCF smooths every layer with constant weights, ignored ones too: a multiplication at run time for
    nothing, and weights that are no longer those of the network.
    """
    copy = graph.clone()
    values: dict[str, Array] = {}
    parameters = []
    for node in copy.get_ordered_ops():
        if node.get_friendly_name() not in layers or node.get_type_name() not in _LAYER_TYPES:
            continue
        source = node.input_value(1)
        if source.get_node().get_type_name() != "Constant":
            continue
        name = f"{_HIDDEN_PREFIX}{node.get_friendly_name()}"
        parameter = ov.opset13.parameter(source.get_partial_shape(), source.get_element_type(), name=name)
        parameter.output(0).get_tensor().set_names({name})
        values[name] = np.array(source.get_node().data)
        node.input(1).replace_source_output(parameter.output(0))
        parameters.append(parameter)
    copy.add_parameters(parameters)
    return copy, values


def _restore_weights(graph: ov.Model, values: Mapping[str, Array]) -> None:
    for parameter in graph.get_parameters():
        name = parameter.get_friendly_name()
        if name not in values:
            continue
        constant = ov.opset13.constant(values[name])
        constant.set_friendly_name(f"{name.removeprefix(_HIDDEN_PREFIX)}:1")
        for port in parameter.output(0).get_target_inputs():
            port.replace_source_output(constant.output(0))
        graph.remove_parameter(parameter)


def quantized_layers(quantized: ov.Model) -> list[str]:
    """Names of the layers whose weights are int8, in the order of the graph."""
    return [
        node.get_friendly_name()
        for node in quantized.get_ordered_ops()
        if node.get_type_name() in _LAYER_TYPES
        and node.get_input_size() == 2
        and _has_int8(node.input_value(1))
    ]


def _has_int8(source: Any) -> bool:
    """Whether a weight's chain (Constant -> Convert -> Multiply ...) begins with int8."""
    node = source.get_node()
    while node.get_type_name() in ("Multiply", "Subtract", "Convert", "Reshape", "Transpose"):
        node = node.input_value(0).get_node()
    return node.get_type_name() == "Constant" and node.get_element_type() in (ov.Type.i8, ov.Type.u8)
