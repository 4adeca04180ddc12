"""How well the characters of a CTC head fit a known text, and where each of its words was said.

Of all paths that spell the text the best one counts (Viterbi, where Graves et al. 2006, section 4.1, have the
sum), as in the native core. Characters are :data:`galago.models.tokenizer.TOKENS`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from galago.models.tokenizer import TOKENS, encode_words

__all__ = ["FLOOR_NATS", "num_heard", "path_ratio", "word_places"]

FLOOR_NATS = -20.0
_SPACE = TOKENS.index(" ")


def path_ratio(words: Sequence[str], token_log_probs: Tensor) -> float:
    """Log-probability of the best path that spells the words, less that of the best path of all; <= 0.

    No row counts for less than ``FLOOR_NATS``, and all do where there are fewer rows than characters.

    Args:
        words: of letters and apostrophes.
        token_log_probs: (T, num_tokens).
    """
    scores, _ = _best_path(_labels(words), token_log_probs)
    return max(float(scores[-2:].max()), FLOOR_NATS * len(token_log_probs))


def word_places(words: Sequence[str], token_log_probs: Tensor) -> list[tuple[int, int]]:
    """Rows [begin, end) of each word on that path; spread evenly where the text cannot be spelled.

    Args:
        words: of letters and apostrophes, none of them empty.
        token_log_probs: (T, num_tokens).
    """
    labels = _labels(words)
    scores, steps = _best_path(labels, token_log_probs)
    num_rows, num_labels = steps.shape
    if torch.isneginf(scores[-2:].max()):
        edges = [num_rows * i // num_labels for i in range(num_labels + 1)]
        places = {i: (edges[i], edges[i + 1]) for i in range(num_labels)}
    else:
        places = {}
        label = num_labels - (2 if num_labels > 1 and scores[-2] > scores[-1] else 1)
        for row in range(num_rows - 1, -1, -1):
            places[label] = (row, places.get(label, (row, row + 1))[1])
            label -= int(steps[row, label])
    found, at = [], 1  # characters are every second label
    for word in words:
        spelled = [places[i] for i in range(at, at + 2 * len(word), 2) if i in places]
        found.append((spelled[0][0], spelled[-1][1]))
        at += 2 * (len(word) + 1)
    return found


def num_heard(token_log_probs: Tensor, begin: int, end: int) -> int:
    """How many characters the best path of all spells in rows [begin, end), spaces apart."""
    path = torch.unique_consecutive(token_log_probs[begin:end].argmax(-1))
    return int(((path != 0) & (path != _SPACE)).sum())


def _labels(words: Sequence[str]) -> Tensor:
    """Blanks and characters in turn."""
    labels = torch.zeros(2 * sum(len(word) + 1 for word in words) - 1 if words else 1, dtype=torch.long)
    labels[1::2] = torch.tensor(encode_words(words), dtype=torch.long)
    return labels


def _best_path(labels: Tensor, token_log_probs: Tensor) -> tuple[Tensor, Tensor]:
    """The score of each label after the last row, behind one that is never reached; and by how many labels
    the best path came on to each in each row.
    """
    rows = token_log_probs.detach().float()
    ratios = (rows - rows.max(-1, keepdim=True).values).clamp_min(FLOOR_NATS)
    # From the label before the last to a label, past a blank: not from a letter to the same one.
    may_skip = torch.zeros(len(labels), dtype=torch.bool)
    may_skip[3::2] = labels[3::2] != labels[1:-2:2]
    nowhere = torch.tensor(float("-inf"))
    scores = torch.full((len(labels) + 2,), float("-inf"))  # two that are never reached come first
    scores[2] = 0.0  # as if a blank had just been heard
    steps = torch.zeros(len(rows), len(labels), dtype=torch.int8)
    for row, ratio in enumerate(ratios):
        came = torch.stack([scores[2:], scores[1:-1], torch.where(may_skip, scores[:-2], nowhere)])
        best = came.max(0)
        scores[2:] = best.values + ratio[labels]
        steps[row] = best.indices
    return scores[1:], steps
