"""Training with the errors of integers: ``[quantization_aware]`` of a recipe.

Such a run begins with the weights of a network that was trained in float. For some steps only the ranges of
the layers' inputs are followed; from then on the network is trained through its integers. What is exported is
a plain network and the scales that training found, which packing takes as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from torch import nn

from galago.models.fake_quantization import (
    FakeQuantizePolicy,
    insert_fake_quantization,
    observe_ranges,
)
from galago.models.integers import Integers
from galago.models.training.toml_tables import Positive, Range, RecipeError

__all__ = ["QuantizationAware", "begin_quantization_aware", "follow_ranges"]


@dataclass(frozen=True)
class QuantizationAware:
    """How a network is trained with its integers; the table of a training recipe."""

    weight_bits: Annotated[int, Range(2, 8)] = 7  # see the packing recipe's
    observe_steps: Positive = 20  # at first ranges are followed, and nothing is rounded
    learned_scales: bool = False  # of inputs, beside the weights (LSQ); else averages of batches' extremes
    momentum: Annotated[float, Range(0.0, 0.99999)] = 0.99  # of these averages
    ignored_modules: tuple[str, ...] = ()  # regular expressions; they stay in float, in the bundle as well


def begin_quantization_aware(
    model: nn.Module,
    settings: QuantizationAware,
    run: Callable[[nn.Module], Any],
    *,
    in_float: tuple[str, ...] = (),
    where: str,
) -> None:
    """Exchange the layers of ``model``, in place.

    Args:
        run: runs the network once on any input.
        in_float: modules that no graph quantizes, beside those that the recipe ignores.
        where: the table, for messages.

    Raises:
        RecipeError: a pattern is no regular expression, or leaves no layer.
    """
    policy = FakeQuantizePolicy(
        ignored=(*settings.ignored_modules, *in_float),
        weights=Integers(settings.weight_bits),
        learned=settings.learned_scales,
        momentum=settings.momentum,
    )
    try:
        insert_fake_quantization(model, policy, run)
    except ValueError as error:
        raise RecipeError(f"{where}.ignored_modules: {error}") from error


def follow_ranges(model: nn.Module, settings: QuantizationAware | None, step: int) -> None:
    """What is to be done before each step."""
    if settings is not None:
        observe_ranges(model, step < settings.observe_steps)
