"""Where a decoder that writes began to go round in circles, as the native core decides it.

A decoder that takes the likeliest piece each time may write the same again and again, or hear the same rows
twice. Both are seen in the text alone, but people repeat themselves, too:

- a round of up to :data:`LONGEST_ROUND` pieces that is written :data:`MOST_ROUNDS` times in a row is a
  circle; one of them stays;
- where a passage of :data:`REPEATED_WORDS` words stands in a text again, the rest stays only if the
  characters of a CTC head fit the text with it at least as well as without (:func:`path_ratio`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from galago.models.tokenizer import encode_words

__all__ = ["LONGEST_ROUND", "MOST_ROUNDS", "REPEATED_WORDS", "path_ratio", "said_once", "without_circle"]

MOST_ROUNDS, LONGEST_ROUND, REPEATED_WORDS = 4, 12, 5
FLOOR_NATS = -20.0


def without_circle(pieces: Sequence[int], *, num_sure: int = 0) -> int:
    """How many of the pieces stay: all, or those up to the first circle with one of its rounds.

    The first ``num_sure`` stay in any case.
    """
    for count in range(max(MOST_ROUNDS, num_sure + 1), len(pieces) + 1):
        for length in range(1, min(LONGEST_ROUND, count // MOST_ROUNDS) + 1):
            begin = count - length * MOST_ROUNDS
            if pieces[begin + length : count] == pieces[begin : count - length]:
                return max(begin + length, num_sure)
    return len(pieces)


def said_once(words: Sequence[str], token_log_probs: Tensor, *, num_sure: int = 0) -> Sequence[str]:
    """The words, or those before the first passage that is written again and was not said again.

    Args:
        token_log_probs: (T, num_tokens) of the utterance.
        num_sure: the first words, which stay in any case.
    """
    for second in range(max(REPEATED_WORDS, num_sure), len(words) - REPEATED_WORDS + 1):
        passage = words[second : second + REPEATED_WORDS]
        if any(words[i : i + REPEATED_WORDS] == passage for i in range(second - REPEATED_WORDS + 1)):
            once = words[:second]
            is_once = path_ratio(once, token_log_probs) > path_ratio(words, token_log_probs)
            return once if is_once else words
    return words


def path_ratio(words: Sequence[str], token_log_probs: Tensor) -> float:
    """Log-probability of the best CTC path that spells the words, less that of the best path of all; <= 0.

    The best path instead of the sum over paths of Graves et al. (2006, section 4.1); no row counts for less
    than ``FLOOR_NATS``, and all do where there are fewer rows than characters.

    Args:
        words: of letters and apostrophes.
        token_log_probs: (T, num_tokens) of :data:`galago.models.tokenizer.TOKENS`.
    """
    rows = token_log_probs.detach().float()
    ratios = (rows - rows.max(-1, keepdim=True).values).clamp_min(FLOOR_NATS)
    worst = FLOOR_NATS * len(ratios)
    labels = torch.zeros(2 * sum(len(word) + 1 for word in words) - 1 if words else 1, dtype=torch.long)
    labels[1::2] = torch.tensor(encode_words(words), dtype=torch.long)
    # From the label before the last to a label, past a blank: not from a letter to the same one.
    may_skip = torch.zeros(len(labels), dtype=torch.bool)
    may_skip[3::2] = labels[3::2] != labels[1:-2:2]
    nowhere = torch.tensor(float("-inf"))
    scores = torch.full((len(labels) + 2,), float("-inf"))  # two that are never reached come first
    scores[2] = 0.0  # as if a blank had just been heard
    for row in ratios:
        skipped = torch.where(may_skip, scores[:-2], nowhere)
        scores[2:] = torch.maximum(torch.maximum(scores[2:], scores[1:-1]), skipped) + row[labels]
    return max(float(scores[-2:].max()), worst)
