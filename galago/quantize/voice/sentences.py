"""Sentences for packing a voice: of the corpora that it learned from, or random phones for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from galago.models.training.toml_tables import RecipeError
from galago.models.training.voice.recipe import VoiceCorpusRecipe, VoiceRecipe
from galago.models.training.voice.utterances import marks_of_text
from galago.models.training.voice.voice_data import Statistics, VoiceData
from galago.quantize.calibration import Array, CalibrationError
from galago.runtime.language.phones import Pronunciation
from galago.runtime.language.voice_phones import BEGIN, MARKS, VOICE_PHONES, encode_voice_phones

__all__ = ["Sentence", "SpokenCorpora", "chosen", "phones_of_text", "random_sentences"]


@dataclass(frozen=True)
class Sentence:
    """What is read, and as it was recorded: frames of each phone and their log-mel magnitudes."""

    name: str
    phones: tuple[int, ...]  # rows of the alphabet
    counts: NDArray[np.int64] | None = field(default=None, repr=False)  # (P,); None: as the reader says
    log_mel: Array | None = field(default=None, repr=False)  # (sum(counts), num_mels)


class SpokenCorpora:
    """Corpora that were prepared for training a voice, in their folder.

    Raises:
        CorpusError: one is not there, or was not prepared.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        # The source of a prepared corpus need not be there; its name is all that is used of it.
        corpora = tuple(VoiceCorpusRecipe(path=f"{name}.tar", name=name) for name in names)
        recipe = VoiceRecipe(name="packing", corpora=corpora)
        self._data = VoiceData(recipe, folder, folder)

    def sentences(self, names: Sequence[str], splits: Sequence[str]) -> list[Sentence]:
        """The clips of corpora and splits, in their order."""
        found = []
        for clip in (*self._data.train, *self._data.dev):
            if clip.corpus.name in names and clip.utterance.split in splits:
                features = self._data.features(clip)
                phones = tuple(int(row) for row in features.phones)
                name = f"{clip.corpus.name}:{clip.clip.id}"
                found.append(Sentence(name, phones, features.counts, features.log_mel))
        return found

    def statistics(self) -> Statistics:
        """What one unit of a pitch or energy shift is, among others."""
        return self._data.statistics()


def random_sentences(count: int, num_phones: int, seed: int) -> list[Sentence]:
    """Random sounds between the marks of a sentence, of up to ``num_phones``."""
    rng = np.random.default_rng(seed)
    begin, end = VOICE_PHONES.index(BEGIN), VOICE_PHONES.index(".")
    found = []
    for number in range(count):
        size = int(rng.integers(num_phones // 2, num_phones - 1))
        sounds = rng.integers(len(MARKS) + 1, len(VOICE_PHONES), size)
        found.append(Sentence(f"random:{number}", (begin, *(int(row) for row in sounds), end)))
    return found


def chosen(sentences: Sequence[Sentence], count: int, max_phones: int, seed: int) -> list[Sentence]:
    """Random ones of at most ``max_phones`` phones.

    Raises:
        CalibrationError: there are fewer.
    """
    fitting = [sentence for sentence in sentences if len(sentence.phones) <= max_phones]
    if len(fitting) < count:
        raise CalibrationError(
            f"{count} sentences of at most {max_phones} phones wanted, {len(fitting)} found"
        )
    order = np.random.default_rng(seed).permutation(len(fitting))[:count]
    return [fitting[int(i)] for i in order]


def phones_of_text(text: str, words: Mapping[str, Pronunciation]) -> list[int]:
    """Rows of the alphabet for a sentence of plain words, as the native core reads it.

    Raises:
        RecipeError: a word is not in ``words``, or there is none.
    """
    spelled = [word.strip(".,;:?!").lower() for word in text.split()]
    unknown = [word for word in spelled if word not in words]
    if not spelled or unknown:
        raise RecipeError(f"golden.text: {text!r}: {unknown or 'no word'} not in the dictionary")
    phones: list[str] = [BEGIN]
    for word, mark in zip(spelled, marks_of_text(text, spelled), strict=True):
        phones += [*words[word], mark]
    return encode_voice_phones(phones)
