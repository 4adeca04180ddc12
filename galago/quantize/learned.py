"""A plan from a network that was trained with its integers: scales that training has found, not observers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import openvino as ov

from galago.models.fake_quantization import LearnedScales, read_scales
from galago.models.integers import PerChannel
from galago.models.training.checkpoints import CheckpointError, load
from galago.quantize.layers import channels_first, weight_of
from galago.quantize.plan import LayerPlan, QuantizationPlan, weight_sha256
from galago.quantize.quantize import QuantizationConfig, chosen_layers
from galago.quantize.quantizer import QuantizationError

__all__ = ["checkpoint_scales", "plan_of_learned"]


def checkpoint_scales(path: Path) -> dict[str, LearnedScales]:
    """The scales in a run's ``model.pt``, by the module's name; none where it was trained in float.

    Raises:
        CheckpointError: the file is damaged.
    """
    try:
        return read_scales(load(path))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path}: holds no scales of this version: {error}") from error


def plan_of_learned(
    graph: ov.Model, learned: Mapping[str, LearnedScales], config: QuantizationConfig
) -> QuantizationPlan:
    """Every layer that was trained with its integers gets them; every other one stays in float.

    Args:
        graph: float, exported from the network with its module's names.
        config: of which only ``ignored_layers`` counts here.

    Raises:
        QuantizationError: a trained layer is not in the graph, or has another number of output channels.
    """
    layers = chosen_layers(graph, QuantizationConfig(ignored_layers=()))
    kept = chosen_layers(graph, config)
    modules = {name.partition("/")[0]: name for name in layers}
    plans = {}
    for module, scales in learned.items():
        name = modules.get(module)
        if name is None:
            raise QuantizationError(f"{module}: was trained with integers, but is no layer of the graph")
        rows = channels_first(layers[name], weight_of(layers[name]))
        if len(scales.weight.scale) != len(rows):
            raise QuantizationError(
                f"{name}: {len(scales.weight.scale)} scales for {len(rows)} output channels"
            )
        if name in kept:
            plans[name] = LayerPlan(
                weight=scales.weight,
                weight_integers=scales.weight_integers,
                weight_granularity=PerChannel(0),
                weight_sha256=weight_sha256(rows),
                input=scales.input,
                input_integers=scales.input_integers,
            )
    return QuantizationPlan(plans, is_learned=True)
