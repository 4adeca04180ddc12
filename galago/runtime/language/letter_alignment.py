"""Which letters of a word make which phones: expectation-maximisation over one-to-few alignments.

Every letter makes no phone, one or two, in order::

    x      e  r  o  x              t  h   r  e  e
    Z      IH R  AA K S            TH     R  IY

The model is one distribution over phone chunks for each letter. Words of equal shape (letters x phones)
are aligned together, so that the loops run over shapes and numpy runs over words.

After: Black, Lenzo, Pagel, "Issues in building general letter to sound rules", ESCA SSW 1998.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from galago.runtime.language.phones import PHONE_INDEX, PHONES, Pronunciation

LETTERS = "abcdefghijklmnopqrstuvwxyz'"
LETTER_INDEX = {letter: index for index, letter in enumerate(LETTERS)}
MAX_PHONES_A_LETTER = 2

# A chunk is no phone (code 0), one phone (its index) or two (40 * first + second): a phone index is never 0.
NUM_CHUNK_CODES = len(PHONES) * len(PHONES)

_SMOOTHING = 1e-6  # expected count given to every chunk of every letter: no path is ever impossible
_IMPOSSIBLE = -1e30


class Alignment(NamedTuple):
    """The best alignment of one word: the chunk code of each letter, and the log-probability per letter."""

    chunks: NDArray[np.int64]  # (num_letters,)
    score: float


def chunk_phones(code: int) -> Pronunciation:
    """The phones of a chunk code."""
    first, second = divmod(code, len(PHONES))
    return tuple(PHONES[index] for index in (first, second) if index)


def align(entries: Sequence[tuple[str, Pronunciation]], *, num_iterations: int = 8) -> list[Alignment | None]:
    """Train the letter model on ``entries`` (word, phones) and align them with it.

    Words may hold ``LETTERS`` only. An entry with more than two phones a letter has no alignment: None.
    """
    shapes: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, (word, phones) in enumerate(entries):
        if 0 < len(phones) <= MAX_PHONES_A_LETTER * len(word):
            shapes[len(word), len(phones)].append(index)
    batches = [_Batch(entries, members) for _, members in sorted(shapes.items())]

    log_probs = np.full((len(LETTERS), NUM_CHUNK_CODES), -np.log(NUM_CHUNK_CODES))
    for _ in range(num_iterations):
        counts = np.full_like(log_probs, _SMOOTHING)
        for batch in batches:
            batch.add_expected_counts(log_probs, counts)
        log_probs = np.log(counts / counts.sum(axis=1, keepdims=True))

    alignments: list[Alignment | None] = [None] * len(entries)
    for batch in batches:
        chunks, scores = batch.best_paths(log_probs)
        for row, index in enumerate(batch.members):
            alignments[index] = Alignment(chunks[row], float(scores[row]))
    return alignments


class _Batch:
    """Words of one shape: ``num_letters`` letters, ``num_phones`` phones."""

    def __init__(self, entries: Sequence[tuple[str, Pronunciation]], members: Sequence[int]) -> None:
        self.members = members
        self.letters = np.array([[LETTER_INDEX[c] for c in entries[i][0]] for i in members])  # (N, L)
        phones = np.array([[PHONE_INDEX[p] for p in entries[i][1]] for i in members])  # (N, P)
        self.num_letters, self.num_phones = self.letters.shape[1], phones.shape[1]
        # codes[width][:, end]: the chunk that ends before phone `end` and holds `width` phones.
        self.codes = [np.zeros((len(members), self.num_phones + 1), np.int64) for _ in range(3)]
        self.codes[1][:, 1:] = phones * len(PHONES)
        self.codes[2][:, 2:] = phones[:, :-1] * len(PHONES) + phones[:, 1:]

    def _arcs(self, log_probs: NDArray[np.float64], letter: int) -> list[NDArray[np.float64]]:
        """Log-probability of each width (list) for words x phone ends (N, P + 1)."""
        rows = self.letters[:, letter, None]
        arcs = [log_probs[rows, codes] for codes in self.codes]
        for width in (1, 2):
            arcs[width][:, :width] = _IMPOSSIBLE
        return arcs

    def add_expected_counts(self, log_probs: NDArray[np.float64], counts: NDArray[np.float64]) -> None:
        """Forward-backward; adds the expected count of each (letter, chunk) to ``counts``."""
        num_words = len(self.members)
        arcs = [self._arcs(log_probs, letter) for letter in range(self.num_letters)]
        forward = np.full((self.num_letters + 1, num_words, self.num_phones + 1), _IMPOSSIBLE)
        forward[0, :, 0] = 0.0
        for letter in range(self.num_letters):
            steps = [_shift_right(forward[letter], width) + arcs[letter][width] for width in range(3)]
            forward[letter + 1] = np.logaddexp.reduce(steps, axis=0)
        total = forward[-1, :, -1, None]  # (N, 1)

        backward = np.full((num_words, self.num_phones + 1), _IMPOSSIBLE)
        backward[:, -1] = 0.0
        for letter in reversed(range(self.num_letters)):
            rows = np.broadcast_to(self.letters[:, letter, None], backward.shape)
            before = []
            for width in range(3):
                through = arcs[letter][width] + backward  # at the chunk's end
                posterior = np.exp(np.minimum(_shift_right(forward[letter], width) + through - total, 0.0))
                np.add.at(counts, (rows, self.codes[width]), posterior)
                before.append(_shift_left(through, width))
            backward = np.logaddexp.reduce(before, axis=0)

    def best_paths(self, log_probs: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Viterbi. Returns chunk codes (N, L) and log-probability per letter (N,)."""
        num_words = len(self.members)
        score = np.full((num_words, self.num_phones + 1), _IMPOSSIBLE)
        score[:, 0] = 0.0
        widths = np.zeros((self.num_letters, num_words, self.num_phones + 1), np.int64)
        for letter in range(self.num_letters):
            arcs = self._arcs(log_probs, letter)
            steps = np.stack([_shift_right(score, width) + arcs[width] for width in range(3)])
            widths[letter] = steps.argmax(axis=0)
            score = steps.max(axis=0)
        chunks = np.zeros((num_words, self.num_letters), np.int64)
        words = np.arange(num_words)
        end = np.full(num_words, self.num_phones)
        codes = np.stack(self.codes)
        for letter in reversed(range(self.num_letters)):
            width = widths[letter, words, end]
            chunks[:, letter] = codes[width, words, end]
            end = end - width
        return chunks, score[:, -1] / self.num_letters


def _shift_right(scores: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """``out[:, j] = scores[:, j - width]``."""
    if width == 0:
        return scores
    out = np.full_like(scores, _IMPOSSIBLE)
    out[:, width:] = scores[:, :-width]
    return out


def _shift_left(scores: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """``out[:, j] = scores[:, j + width]``."""
    if width == 0:
        return scores
    out = np.full_like(scores, _IMPOSSIBLE)
    out[:, :-width] = scores[:, width:]
    return out
