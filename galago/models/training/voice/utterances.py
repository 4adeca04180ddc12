"""What was said, in the alphabet of the voice, with the frames that each phone and mark lasts.

Words and times come from the forced alignment, whose phones have no stress; stress comes from a dictionary,
marks from the punctuation of the text. Silence between two words belongs to the mark between them::

    text       Author of the danger trail, Philip Steels
    phones     ^ AO1 TH ER0 ' ' AH1 V ' ' DH AH0 ' ' D ... L , F IH1 ...
    frames     4 19  11 11   0   4  4   0  4  4   0  7     14 34 10 5

The aligner gives silence at the very ends to the phones that stand there; it is taken off them by loudness.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galago.models.training.ear.align import Alignment
from galago.runtime.language.phones import SILENCE, Pronunciation
from galago.runtime.language.voice_phones import (
    BEGIN,
    MARK_OF_CHARACTER,
    MARKS,
    VOWELS,
    WORD_BOUNDARY,
    without_stress,
)

__all__ = ["Utterance", "marks_of_text", "stress", "utterance_of"]

LOUDNESS_RANGE_NATS = 6.0  # 52 dB below the loudest frame there is nothing of a phone
LONGEST_BEGIN_FRAMES = 5
LONGEST_END_FRAMES = 15
Dictionary = Mapping[str, Sequence[Pronunciation]]


@dataclass(frozen=True)
class Utterance:
    """One clip: ``counts[i]`` frames for ``phones[i]``, from ``begin_frame`` of the clip on."""

    id: str
    split: str
    phones: tuple[str, ...]
    counts: tuple[int, ...]
    begin_frame: int

    @property
    def num_frames(self) -> int:
        return sum(self.counts)


def marks_of_text(text: str, words: Sequence[str]) -> list[str]:
    """The mark behind each of ``words`` as they stand in ``text``; behind the last one it ends a sentence.

    Words that do not all stand in the text, in this order, have plain boundaries between them.
    """
    plain = unicodedata.normalize("NFKD", text).replace("’", "'").lower()
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    pieces = re.findall(r"[a-z']+|[^a-z']+", plain)
    found: list[str] = []
    marks: list[str] = []
    for piece in pieces:
        word = piece.strip("'") if piece.startswith("'") and piece.endswith("'") else piece
        if re.match(r"[a-z']", piece) and word:
            found.append(word)
            marks.append(WORD_BOUNDARY)
        elif marks:
            named = [MARK_OF_CHARACTER[c] for c in piece if c in MARK_OF_CHARACTER]
            marks[-1] = max([marks[-1], *named], key=MARKS.index)
    if found != list(words):
        marks = [WORD_BOUNDARY] * len(words)
    if marks[-1] not in ".?!":
        marks[-1] = "."
    return marks


def stress(word: str, phones: Sequence[str], dictionary: Dictionary) -> Pronunciation:
    """``phones`` of ``word`` with the stress that the dictionary gives them.

    A pronunciation that it does not hold takes the stresses of one with as many vowels; a word that it does
    not hold is stressed on its first vowel.
    """
    variants = dictionary.get(word, ())
    for variant in variants:
        if [without_stress(phone) for phone in variant] == list(phones):
            return tuple(variant)
    num_vowels = sum(phone in VOWELS for phone in phones)
    stresses = ["1", *"0" * num_vowels]
    for variant in variants:
        given = [phone[-1] for phone in variant if phone[-1] in "012"]
        if len(given) == num_vowels:
            stresses = given
            break
    rest = iter(stresses)
    return tuple(phone + next(rest) if phone in VOWELS else phone for phone in phones)


def utterance_of(
    alignment: Alignment,
    split: str,
    text: str,
    energy: NDArray[np.float32],
    dictionary: Dictionary,
) -> Utterance:
    """Phones, marks and frames of one aligned clip.

    Args:
        alignment: times in frames of 10 ms; its words in their order.
        energy: (T,) natural log of each frame's loudness (``frame_energy``).
    """
    spoken = [(name, begin, begin + count) for name, begin, count in alignment.phones if name != SILENCE]
    num_frames = len(energy)
    loud = np.flatnonzero(energy > _quiet(energy))
    first, last = spoken[0], spoken[-1]
    begin = min(max(int(loud[0]), first[1]), first[2] - 1)
    end = max(min(int(loud[-1]) + 1, last[2], num_frames), last[1] + 1)
    spoken[0] = (first[0], begin, first[2])
    spoken[-1] = (last[0], spoken[-1][1], end)
    start = max(0, begin - LONGEST_BEGIN_FRAMES)
    stop = min(num_frames, end + LONGEST_END_FRAMES)
    phones: list[str] = [BEGIN]
    counts: list[int] = [begin - start]
    position = 0
    marks = marks_of_text(text, [name for name, _, _ in alignment.words])
    for (word, word_begin, word_frames), mark in zip(alignment.words, marks, strict=True):
        inside: list[tuple[str, int, int]] = []
        while position < len(spoken) and spoken[position][1] < word_begin + word_frames:
            inside.append(spoken[position])
            position += 1
        phones += stress(word, [name for name, _, _ in inside], dictionary)
        ends = [begin for _, begin, _ in inside[1:]] + [inside[-1][2]]
        counts += [end - begin for (_, begin, _), end in zip(inside, ends, strict=True)]
        phones.append(mark)
        following = spoken[position][1] if position < len(spoken) else stop
        counts.append(following - inside[-1][2])
    return Utterance(alignment.id, split, tuple(phones), tuple(counts), start)


def _quiet(energy: NDArray[np.float32]) -> float:
    """Below this a frame at the edge of a clip is silence: a little above the clip's own floor."""
    return max(float(np.percentile(energy, 2)) + 0.7, float(energy.max()) - LOUDNESS_RANGE_NATS)
