"""Where a decoder that writes began to go round in circles, as the native core decides it.

A decoder that takes the likeliest piece each time may write the same again and again, or hear the same rows
twice. Both are seen in the text alone, but people repeat themselves, too:

- a round of up to :data:`LONGEST_ROUND` pieces that is written :data:`MOST_ROUNDS` times in a row is a
  circle; one of them stays;
- where a passage of :data:`REPEATED_WORDS` words stands in a text again, the rest stays only if the
  characters of a CTC head fit the text with it at least as well as without (:mod:`galago.models.ctc_path`).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from galago.models.ctc_path import path_ratio

__all__ = ["LONGEST_ROUND", "MOST_ROUNDS", "REPEATED_WORDS", "said_once", "without_circle"]

MOST_ROUNDS, LONGEST_ROUND, REPEATED_WORDS = 4, 12, 5


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
