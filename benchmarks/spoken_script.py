"""What the core would speak for a text, word by word, and the same with a word left out or said twice.

The core itself is asked, by its ``tool_speech_text`` that is built beside the library: so every voice that
is compared is given the same phones.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from galago.runtime.abi import find_library
from galago.runtime.language.voice_phones import BEGIN, WORD_BOUNDARY, without_stress
from galago.runtime.manifest import read_manifest


@dataclass(frozen=True)
class SpokenWord:
    """A word in its place: ``number`` counts the words of the text, ``mark`` is what stands behind it."""

    number: int
    phones: tuple[str, ...]
    mark: str = WORD_BOUNDARY

    @property
    def plain_phones(self) -> tuple[str, ...]:
        """Its phones without stress."""
        return tuple(map(without_stress, self.phones))


Segment = tuple[SpokenWord, ...]


@dataclass(frozen=True)
class Script:
    """All that is said of one text, sentence by sentence; a long one may be cut."""

    segments: tuple[Segment, ...]

    @property
    def words(self) -> list[SpokenWord]:
        """All words in their order."""
        return [word for segment in self.segments for word in segment]

    def without(self, number: int) -> Script:
        """The same without one word; the mark of a sentence's last word moves to the one before it."""

        def left(segment: Segment) -> Segment:
            kept = [word for word in segment if word.number != number]
            if kept and kept[-1] is not segment[-1]:
                kept[-1] = replace(kept[-1], mark=segment[-1].mark)
            return tuple(kept)

        return Script(tuple(filter(None, map(left, self.segments))))

    def doubled(self, number: int) -> Script:
        """The same with one word said twice, one right behind the other."""

        def twice(word: SpokenWord) -> Segment:
            return (replace(word, mark=WORD_BOUNDARY), word) if word.number == number else (word,)

        return Script(tuple(tuple(w for word in segment for w in twice(word)) for segment in self.segments))


def phones_of_segment(segment: Segment) -> list[str]:
    """Phones and marks in the alphabet of the voice."""
    return [BEGIN, *(phone for word in segment for phone in (*word.phones, word.mark))]


def words_of_segment(segment: Segment) -> list[int | None]:
    """Of each phone of :func:`phones_of_segment` the number of its word; None for a mark."""
    numbers: list[int | None] = [None]
    for word in segment:
        numbers += [*[word.number] * len(word.phones), None]
    return numbers


def parse_script(printed: str) -> Script:
    """What the tool prints, as a script.

    Raises:
        ValueError: a mark stands where a word should.
    """
    segments, numbers = [], count()
    for rows in json.loads(printed)["segments"]:
        words: list[SpokenWord] = []
        phones: list[str] = []
        of_word = None
        for row in rows[1:]:  # behind the mark that begins a sentence
            if "word" not in row:
                if not phones:
                    raise ValueError(f"a mark {row['phone']!r} with no word before it")
                words.append(SpokenWord(next(numbers), tuple(phones), row["phone"]))
                phones = []
            elif phones and row["word"] != of_word:
                raise ValueError(f"no mark between two words before {row['phone']!r}")
            else:
                phones.append(row["phone"])
            of_word = row.get("word")
        segments.append(tuple(words))
    return Script(tuple(segments))


def script_reader(bundle: Path) -> Callable[[str], Script]:
    """How the voice of a bundle reads texts.

    The function raises RuntimeError with the tool's words where a text cannot be read.

    Raises:
        SystemExit: the bundle has no voice, or the tool is not built.
    """
    voice = read_manifest(bundle).voice
    if voice is None:
        raise SystemExit(f"{bundle}: the bundle has no voice")
    tool = find_library().parent / "tests" / "native" / "tool_speech_text"
    if not tool.is_file():
        raise SystemExit(f"{tool} is not there: make native")
    command = [str(tool), "--pronunciations", str(bundle / voice.pronunciations)]
    command += [] if voice.g2p is None else ["--g2p", str(bundle / voice.g2p)]

    def read(text: str) -> Script:
        done = subprocess.run(command, input=text, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{tool.name} cannot read {text!r}: {done.stderr.strip()}")
        return parse_script(done.stdout)

    return read


def visits(path: Iterable[int | None], num_words: int, min_frames: int = 1) -> list[int]:
    """How often each word is come to along a path of frames.

    Args:
        path: of each frame the word that it belongs to; None between words.
        num_words: how many there are.
        min_frames: a shorter stay does not count, and does not end the stay before it.
    """
    found = [0] * num_words
    stays: list[list[int]] = []  # [word, frames], one after the other
    for word in path:
        if word is None:
            continue
        if stays and stays[-1][0] == word:
            stays[-1][1] += 1
        else:
            stays.append([word, 1])
    last = None
    for word, frames in stays:
        if frames >= min_frames and word != last:
            found[word] += 1
            last = word
    return found
