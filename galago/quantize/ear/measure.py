"""What is measured while packing: busy times, divergence, word error rates, phone priors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import openvino as ov

from galago.models.conformer import Conformer
from galago.models.training.ear.corpus import Corpus
from galago.quantize.accuracy_control import divergence
from galago.quantize.calibration import Array
from galago.quantize.ear.calibrate import Stream
from galago.quantize.ear.evaluate import dev_utterances, whole_text, word_error_rate
from galago.quantize.ear.oracle import Oracle
from galago.quantize.ear.recipe import EarEvaluation
from galago.quantize.timing import step_ms

__all__ = ["HEADS", "measure_target", "phone_log_priors", "word_error_rates"]

TOKEN_MS = 40
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
    quantized: ov.Model,
    oracle: Oracle,
    samples: Sequence[dict[str, Array]],
    *,
    measure_time: bool,
) -> dict[str, Any]:
    """The report's row of one chunk size.

    Args:
        graph, quantized: with explicit states.
        oracle: over the packed ``quantized``.
        samples: steps that no range has seen.
    """
    row: dict[str, Any] = {
        "chunk_ms": TOKEN_MS * oracle.chunk_tokens,
        "divergence": asdict(divergence(graph, quantized, samples, HEADS)),
    }
    if measure_time:
        row |= {"step_ms_p50": step_ms(oracle.request), "float_step_ms_p50": step_ms(Oracle(graph).request)}
    return row


def word_error_rates(
    model: Conformer,
    streaming: Oracle,
    quantized: Sequence[Oracle],
    corpora: Mapping[str, Corpus],
    recipe: EarEvaluation,
    say: Callable[[str], None],
) -> dict[str, dict[str, Any]]:
    """Word error rates by graph and corpus, greedy.

    Args:
        model: for the full context, in torch.
        streaming: the float graph with the chunks of the first of ``quantized``.
        quantized: the packed graphs.
    """
    utterances = dev_utterances(
        [corpora[name] for name in recipe.corpora],
        splits=recipe.splits,
        clips_per_corpus=recipe.clips_per_corpus,
    )
    say(f"evaluate: {len(utterances)} clips")
    streamed = word_error_rate(streaming, utterances)
    found = {
        "float, full context": whole_text(model, utterances),
        f"float, chunks of {TOKEN_MS * streaming.chunk_tokens} ms": streamed,
    }
    for oracle in quantized:
        found[f"int8, chunks of {TOKEN_MS * oracle.chunk_tokens} ms"] = word_error_rate(oracle, utterances)
    for name, row in found.items():
        say(f"  {name}: {row['all'].percent:.2f} %")
    same_chunk = found[f"int8, chunks of {TOKEN_MS * streaming.chunk_tokens} ms"]
    lost = same_chunk["all"].percent - streamed["all"].percent
    if lost > recipe.max_wer_points:
        say(
            f"  WARNING: int8 loses {lost:.2f} points of word error rate; {recipe.max_wer_points} are allowed"
        )
    return {name: {corpus: rate.as_dict() for corpus, rate in row.items()} for name, row in found.items()}
