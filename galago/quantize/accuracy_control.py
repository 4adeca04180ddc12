"""Quantize, measure, and give back to float the layers that cost too much, with the reasons written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from galago.quantize.calibration import Array, CalibrationSet
from galago.quantize.compile_openvino import compile_graph
from galago.quantize.quantize import QuantizationConfig, quantize_graph
from galago.quantize.sensitivity import LayerSqnr, layer_sqnr

__all__ = ["AccuracyConfig", "Controlled", "Divergence", "Revert", "control_accuracy", "divergence"]


@dataclass(frozen=True)
class AccuracyConfig:
    """What int8 may cost, as the caller of :func:`control_accuracy` measures it."""

    max_cost: float = 0.001
    max_reverted_layers: int = 12


@dataclass(frozen=True)
class Divergence:
    """How far a quantized graph's answers are from the float graph's, over the rows of all heads."""

    kl_nats: float  # mean Kullback-Leibler divergence of a row, float || int8
    mean_abs_log_prob: float  # over the classes that the float graph gives 1 % at least
    disagreement: float  # share of rows whose best class differs


@dataclass(frozen=True)
class Revert:
    """Layers that went back to float in one round, and what the graph cost before and after."""

    layers: tuple[str, ...]
    sqnr_db: tuple[float, ...]
    cost_before: float
    cost_after: float


@dataclass(frozen=True)
class Controlled:
    """A quantized graph and how it came about."""

    graph: ov.Model = field(repr=False)
    cost: float
    max_cost: float
    layers: tuple[LayerSqnr, ...]  # what is int8 in the end
    first_layers: tuple[LayerSqnr, ...]  # what was int8 before any layer went back
    reverts: tuple[Revert, ...]

    @property
    def reverted_layers(self) -> tuple[str, ...]:
        return tuple(name for revert in self.reverts for name in revert.layers)

    def as_dict(self) -> dict[str, Any]:
        return {
            "cost": self.cost,
            "max_cost": self.max_cost,
            "layers": [asdict(layer) for layer in self.first_layers],
            "reverts": [asdict(revert) for revert in self.reverts],
        }


def divergence(
    graph: ov.Model,
    quantized: ov.Model,
    samples: Sequence[dict[str, Array]],
    heads: Sequence[str],
    *,
    temperature: float | None = None,
) -> Divergence:
    """Run both graphs (explicit states) on ``samples``, each from the same states.

    Args:
        heads: outputs (1, num_classes) or (1, num_rows, num_classes): natural-log probabilities.
        temperature: with it the outputs are logits, and probabilities are softmax(logits / temperature).
    """
    requests = [compile_graph(model).create_infer_request() for model in (graph, quantized)]
    kl = absolute = wrong = 0.0
    rows = likely_total = 0
    for sample in samples:
        for request in requests:
            request.infer(sample)
        for head in heads:
            exact, found = (
                _log_probs(np.atleast_2d(request.get_tensor(head).data[0]).astype(np.float64), temperature)
                for request in requests
            )
            kl += float((np.exp(exact) * (exact - found)).sum())
            likely = exact > np.log(0.01)
            absolute += float(np.abs(exact - found)[likely].sum())
            likely_total += int(likely.sum())
            wrong += float((exact.argmax(-1) != found.argmax(-1)).sum())
            rows += len(exact)
    return Divergence(kl / rows, absolute / likely_total, wrong / rows)


def _log_probs(values: NDArray[np.float64], temperature: float | None) -> NDArray[np.float64]:
    if temperature is None:
        return values
    scaled = values / temperature - (values / temperature).max(axis=-1, keepdims=True)
    return np.asarray(scaled - np.log(np.exp(scaled).sum(axis=-1, keepdims=True)), np.float64)


def control_accuracy(
    graph: ov.Model,
    calibration: CalibrationSet,
    held_out: CalibrationSet,
    config: QuantizationConfig,
    accuracy: AccuracyConfig,
    cost_of: Callable[[ov.Model], float],
) -> Controlled:
    """Quantize ``graph``; while it costs too much, return the worst layers to float and quantize again.

    The worst are those with the lowest SQNR alone. Each round returns twice as many as the one before,
    because a round takes a whole quantization.

    Args:
        held_out: samples that no range has seen, for the layers' signal-to-noise ratios.
        cost_of: cost of a quantized graph with explicit states, lower is better, 0 for the float graph; the
            mean KL divergence of :func:`divergence` where a role has nothing better.

    Returns:
        the first graph within ``accuracy.max_cost``, or the one after the last round that is allowed.
    """
    quantized = quantize_graph(graph, calibration, config)
    cost = cost_of(quantized)
    first = layers = tuple(layer_sqnr(graph, quantized, held_out))
    reverts: list[Revert] = []
    reverted: list[str] = []
    count = 1
    while cost > accuracy.max_cost and layers and len(reverted) < accuracy.max_reverted_layers:
        worst = sorted(layers, key=lambda layer: layer.alone_db)[
            : min(count, accuracy.max_reverted_layers - len(reverted))
        ]
        reverted += [layer.name for layer in worst]
        quantized = quantize_graph(graph, calibration, config, also_ignored=reverted)
        before, cost = cost, cost_of(quantized)
        layers = tuple(layer_sqnr(graph, quantized, held_out))
        reverts.append(Revert(tuple(w.name for w in worst), tuple(w.alone_db for w in worst), before, cost))
        count *= 2
    return Controlled(quantized, cost, accuracy.max_cost, layers, first, tuple(reverts))
