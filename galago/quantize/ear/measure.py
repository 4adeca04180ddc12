"""What is measured while packing: busy times, divergence, word error rates, phone priors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import openvino as ov

from galago.models.ear import Ear
from galago.models.training.ear.corpus import Corpus
from galago.quantize.accuracy_control import divergence
from galago.quantize.calibration import Array
from galago.quantize.ear.calibrate import Stream
from galago.quantize.ear.evaluate import dev_utterances, whole_text, word_error_rate
from galago.quantize.ear.oracle import Oracle
from galago.quantize.ear.recipe import EarEvaluation

__all__ = ["HEADS", "measure_target", "phone_log_priors", "word_error_rates"]

HEADS = ("phone_log_probs", "token_log_probs")


def phone_log_priors(oracle: Oracle, streams: Sequence[Stream]) -> list[float]:
    """Natural log of the mean posterior of each phone: what decoding divides by.

    The network's own mean is used, not the counts of an alignment: it is its own bias that is divided out.
    """
    total = np.sum(
        [np.exp(oracle.hear(s.samples).phone_log_probs.astype(np.float64)).sum(0) for s in streams], axis=0
    )
    mean = np.maximum(total / total.sum(), 1e-5)
    return [round(float(value), 4) for value in np.log(mean / mean.sum())]


def measure_target(
    graph: ov.Model,
    packed: ov.Model,
    oracle: Oracle,
    samples: Sequence[dict[str, Array]],
    times: Mapping[str, float],
) -> dict[str, Any]:
    """The report's row of one chunk size.

    Args:
        graph, packed: with explicit states; the float graph, and what of it is packed.
        oracle: over the packed graph.
        samples: steps that no range has seen.
        times: what was measured before.
    """
    return {
        "chunk_ms": oracle.chunk_ms,
        "divergence": asdict(divergence(graph, packed, samples, HEADS)),
        **times,
    }


def word_error_rates(
    model: Ear,
    streaming: Oracle,
    packed: Sequence[Oracle],
    corpora: Mapping[str, Corpus],
    recipe: EarEvaluation,
    say: Callable[[str], None],
    *,
    label: str = "",
) -> dict[str, dict[str, Any]]:
    """Word error rates by graph and corpus, greedy.

    Args:
        model: for the full context, in torch.
        streaming: the float graph with the chunks of the first of ``packed``.
        packed: the graphs of the bundle.
        label: before the name of each graph.
    """
    utterances = dev_utterances(
        [corpora[name] for name in recipe.corpora],
        splits=recipe.splits,
        clips_per_corpus=recipe.clips_per_corpus,
    )
    say(f"evaluate: {len(utterances)} clips")
    streamed = word_error_rate(streaming, utterances)
    found = {
        f"{label}float, full context": whole_text(model, utterances),
        f"{label}float, chunks of {streaming.chunk_ms} ms": streamed,
    }
    for oracle in packed:
        found[f"{label}packed, chunks of {oracle.chunk_ms} ms"] = word_error_rate(oracle, utterances)
    for name, row in found.items():
        say(f"  {name}: {row['all'].percent:.2f} %")
    same_chunk = found[f"{label}packed, chunks of {streaming.chunk_ms} ms"]
    lost = same_chunk["all"].percent - streamed["all"].percent
    if lost > recipe.max_wer_points:
        say(
            f"  WARNING: packed, it loses {lost:.2f} points of word error rate; "
            f"{recipe.max_wer_points} are allowed"
        )
    return {name: {corpus: rate.as_dict() for corpus, rate in row.items()} for name, row in found.items()}
