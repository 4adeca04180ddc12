"""From a float graph to a plan of its integers: observers look at real inputs of every layer.

Weights are int8 with a scale for each output channel, inputs uint8 with one scale, which is what CPUs
multiply fast. Both follow from the float graph alone, so one look serves every choice of layers.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

import openvino as ov

from galago.models.integers import Granularity, Integers, PerChannel, PerGroup, PerTensor
from galago.models.training.toml_tables import Positive, Range
from galago.quantize.calibration import CalibrationSet
from galago.quantize.layers import channels_first, weight_of, weighted_layers
from galago.quantize.plan import LayerPlan, QuantizationPlan, weight_sha256
from galago.quantize.quantizer import QuantizationError, Quantizer
from galago.quantize.smoothing import smooth, smoothing_factors
from galago.quantize.taps import Tap, port_of

__all__ = ["QuantizationConfig", "chosen_layers", "plan_quantization"]

_WEIGHTS = ("per-channel", "per-tensor", "per-group")
_ACTIVATIONS = ("per-tensor", "float")


@dataclass(frozen=True)
class QuantizationConfig:
    """How a graph is quantized; a table of the packing recipe, and a part of its report."""

    weights: str = "per-channel"
    activations: str = "per-tensor"  # "float": only the weights are integers, and products are of floats
    # Processors without VNNI add pairs of products in 16 bits, which overflow with 8-bit weights: with 7 bits
    # a bundle answers alike on old and new ones. It costs 1e-4 nats, the overflow up to 1.
    weight_bits: Annotated[int, Range(2, 8)] = 7
    weight_group: Positive = 64  # inputs that share a scale, of weights per group
    weight_observer: str = "min-max"
    activation_observer: str = "min-max"  # see galago.quantize.observers
    activation_symmetric: bool = False
    # SmoothQuant: 0: all outliers stay in the activations, 1: all go to the weights; unset: no smoothing.
    smooth_quant_alpha: Annotated[float, Range(0.0, 1.0)] | None = None
    # Regular expressions on layer names. The products inside attention stay in float by default: quantizing
    # their inputs, the caches among them, costs more time than the small products save.
    ignored_layers: tuple[str, ...] = (r".*\.attention/MatMul.*",)
    # Of the others, those whose weights alone are integers, of 8 bits: their products are of floats, which
    # do not overflow. They are a quarter of the size, and what they read may be of any range.
    float_inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for key, known in (("weights", _WEIGHTS), ("activations", _ACTIVATIONS)):
            if getattr(self, key) not in known:
                raise QuantizationError(
                    f"{key}: no granularity {getattr(self, key)!r} (known: {', '.join(known)})"
                )
        if self.weights == "per-group" and self.activations != "float":
            raise QuantizationError(
                "weights: sums of integers cannot have a scale for each group of their terms; "
                "per-group needs activations = 'float'"
            )
        for key in ("ignored_layers", "float_inputs"):
            for pattern in getattr(self, key):
                try:
                    re.compile(pattern)
                except re.error as error:
                    raise QuantizationError(f"{key}: {pattern!r}: {error}") from error
        _ = self.weight_quantizer, self.activation_quantizer  # refuse unknown observers here

    @property
    def weight_quantizer(self) -> Quantizer:
        """Of weights as (output channels, N)."""
        granularities: dict[str, Granularity] = {
            "per-channel": PerChannel(0),
            "per-tensor": PerTensor(),
            "per-group": PerGroup(self.weight_group),
        }
        return Quantizer(granularities[self.weights], Integers(self.weight_bits), self.weight_observer)

    @property
    def activation_quantizer(self) -> Quantizer:
        """Of the inputs of layers, whether or not they are quantized."""
        return Quantizer(PerTensor(), Integers(8, self.activation_symmetric), self.activation_observer)

    def has_float_input(self, layer: str) -> bool:
        """Whether only the weights of this layer become integers."""
        return self.activations == "float" or any(re.fullmatch(p, layer) for p in self.float_inputs)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def chosen_layers(graph: ov.Model, config: QuantizationConfig) -> dict[str, Any]:
    """The layers of a float graph that ``config`` does not ignore, by name, in the order of the graph."""
    patterns = [re.compile(pattern) for pattern in config.ignored_layers]
    layers = weighted_layers(graph)
    return {n: node for n, node in layers.items() if not any(p.fullmatch(n) for p in patterns)}


def plan_quantization(
    graph: ov.Model, calibration: CalibrationSet, config: QuantizationConfig
) -> QuantizationPlan:
    """What becomes an integer in ``graph``, and which.

    Args:
        graph: float, with explicit states.
        calibration: steps with the states of real streams; without those the caches' ranges are wrong.

    Raises:
        QuantizationError: a value is not finite, or groups do not fit the weights; the layer is named.
    """
    alpha = config.smooth_quant_alpha
    factors = {} if alpha is None else smoothing_factors(graph, calibration, alpha)
    smoothed = smooth(graph, factors) if factors else graph
    layers = chosen_layers(smoothed, config)
    sources = {n: port_of(node.input_value(0)) for n, node in layers.items() if not config.has_float_input(n)}
    observed = {port: config.activation_quantizer.observing() for port in sources.values()}
    if observed:
        tap = Tap(smoothed, list(observed))
        for sample in calibration:
            for port, values in tap(sample).items():
                observed[port].observe(values)
    plans = {}
    for name, node in layers.items():
        rows = channels_first(node, weight_of(node))
        quantizer = config.weight_quantizer
        if config.activations != "float" and name not in sources:
            quantizer = replace(quantizer, integers=Integers(8))
        try:
            scales = quantizer.scales(rows)
        except (ValueError, QuantizationError) as error:
            raise QuantizationError(f"{name}: {error}") from error
        plans[name] = LayerPlan(
            weight=scales,
            weight_integers=quantizer.integers,
            weight_granularity=quantizer.granularity,
            weight_sha256=weight_sha256(rows),
            input=observed[sources[name]].scales() if name in sources else None,
            input_integers=config.activation_quantizer.integers,
        )
    return QuantizationPlan(plans, factors)
