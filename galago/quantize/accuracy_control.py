"""Quantize, measure, and give back to float the layers that cost too much, with the reasons written down.

Which ones is a knapsack: enough of the cost must go, at the least time lost. It is packed greedily, by cost
saved per time lost, and what turns out not to be needed becomes int8 again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from galago.quantize.calibration import Array, CalibrationSet
from galago.quantize.compile_openvino import compile_graph
from galago.quantize.integer_graph import quantize_graph
from galago.quantize.plan import QuantizationPlan
from galago.quantize.sensitivity import LayerSqnr, cost_alone, layer_sqnr
from galago.quantize.timing import estimated_savings

__all__ = [
    "AccuracyConfig",
    "Controlled",
    "Divergence",
    "Revert",
    "SavingsOf",
    "control_accuracy",
    "divergence",
]


@dataclass(frozen=True)
class AccuracyConfig:
    """What int8 may cost, as the caller of :func:`control_accuracy` measures it."""

    max_cost: float = 0.001
    max_reverted_layers: int = 12
    even_if_slower: bool = False  # keep int8 where it was measured not to be faster


@dataclass(frozen=True)
class Divergence:
    """How far a quantized graph's answers are from the float graph's, over the rows of all heads."""

    kl_nats: float  # mean Kullback-Leibler divergence of a row, float || int8
    mean_abs_log_prob: float  # over the classes that the float graph gives 1 % at least
    disagreement: float  # share of rows whose best class differs


@dataclass(frozen=True)
class Revert:
    """Layers that went back to float in one round, and what the graph cost before and after.

    Layers that a later round was enough without are int8 again, and in no round.
    """

    layers: tuple[str, ...]
    sqnr_db: tuple[float, ...]
    cost_alone: tuple[float, ...]  # of the graph with nothing but this layer quantized
    lost_ms: tuple[float, ...]  # what each layer takes longer in float
    cost_before: float
    cost_after: float


@dataclass(frozen=True)
class Controlled:
    """A quantized graph and how it came about."""

    graph: ov.Model = field(repr=False)
    plan: QuantizationPlan = field(repr=False)  # serves the other shapes of the network, too
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
            "scales": "learned" if self.plan.is_learned else "observed",
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


#: Of a float and a quantized graph: how much longer each layer takes in float, in ms, by its name.
SavingsOf = Callable[[ov.Model, ov.Model], Mapping[str, float]]


def control_accuracy(
    graph: ov.Model,
    plan: QuantizationPlan,
    held_out: CalibrationSet,
    accuracy: AccuracyConfig,
    cost_of: Callable[[ov.Model], float],
    savings_of: SavingsOf = estimated_savings,
) -> Controlled:
    """Quantize ``graph`` by ``plan``; while it costs too much, return layers to float.

    Candidates are the layers with the lowest SQNR alone. Each round returns twice as many as the one before.
    When the cost is low enough, layers that save most time are tried in int8 again.

    Args:
        graph: float, with explicit states.
        held_out: samples that no range has seen, for the layers' signal-to-noise ratios.
        cost_of: cost of a quantized graph with explicit states, lower is better, 0 for the float graph; the
            mean KL divergence of :func:`divergence` where a role has nothing better.
        savings_of: asked once, if at all; :func:`~galago.quantize.timing.measured_savings` measures on the
            engine.

    Returns:
        a graph within ``accuracy.max_cost``, or the one after the last round that is allowed.
    """
    quantized = quantize_graph(graph, plan)
    cost = cost_of(quantized)
    first = layers = tuple(layer_sqnr(graph, plan, held_out))
    if cost <= accuracy.max_cost or not first:
        return Controlled(quantized, plan, cost, accuracy.max_cost, layers, first, ())
    ranked = _ranked(graph, plan, first, accuracy, cost_of, savings_of(graph, quantized))
    rounds: list[tuple[list[_Candidate], float, float]] = []
    count = done = 0
    while cost > accuracy.max_cost and done < len(ranked):
        count = max(1, 2 * count)
        chosen = ranked[done : done + count]
        done += len(chosen)
        before, cost = cost, cost_of(quantize_graph(graph, plan.without(_names(ranked[:done]))))
        rounds.append((chosen, before, cost))
    reverted = ranked[:done]
    if cost <= accuracy.max_cost and len(reverted) > 1:
        for candidate in sorted(reverted, key=lambda each: -each.lost_ms):
            fewer = [each for each in reverted if each is not candidate]
            found = cost_of(quantize_graph(graph, plan.without(_names(fewer))))
            if found <= accuracy.max_cost:
                reverted, cost = fewer, found
    final = plan.without(_names(reverted))
    layers = tuple(layer_sqnr(graph, final, held_out))
    reverts = tuple(
        _revert([each for each in chosen if each in reverted], before, after)
        for chosen, before, after in rounds
        if any(each in reverted for each in chosen)
    )
    graph = quantize_graph(graph, final)
    return Controlled(graph, final, cost, accuracy.max_cost, layers, first, reverts)


@dataclass(frozen=True)
class _Candidate:
    name: str
    sqnr_db: float
    cost_alone: float
    lost_ms: float


def _names(candidates: Sequence[_Candidate]) -> list[str]:
    return [candidate.name for candidate in candidates]


def _ranked(
    graph: ov.Model,
    plan: QuantizationPlan,
    layers: Sequence[LayerSqnr],
    accuracy: AccuracyConfig,
    cost_of: Callable[[ov.Model], float],
    savings_ms: Mapping[str, float],
) -> list[_Candidate]:
    """As many layers as may go back, those first that cost most for the time that they save."""
    most = accuracy.max_reverted_layers
    worst = sorted(layers, key=lambda layer: layer.alone_db)[: 2 * most]
    costs = cost_alone(graph, plan, [layer.name for layer in worst], cost_of)
    saved_ms = {layer.name: max(0.0, savings_ms.get(layer.name, 0.0)) for layer in layers}
    # A layer that saves next to nothing is cheap, but not so cheap that it goes before all that matter.
    floor_ms = max(0.1 * sum(saved_ms.values()) / len(saved_ms), 1e-9)
    found = [
        _Candidate(layer.name, layer.alone_db, costs[layer.name], saved_ms[layer.name]) for layer in worst
    ]
    found.sort(key=lambda each: each.cost_alone / max(each.lost_ms, floor_ms), reverse=True)
    return found[:most]


def _revert(candidates: Sequence[_Candidate], before: float, after: float) -> Revert:
    return Revert(
        layers=tuple(_names(candidates)),
        sqnr_db=tuple(each.sqnr_db for each in candidates),
        cost_alone=tuple(each.cost_alone for each in candidates),
        lost_ms=tuple(each.lost_ms for each in candidates),
        cost_before=before,
        cost_after=after,
    )
