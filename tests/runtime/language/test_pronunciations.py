"""The dictionary of the voice on disk: written, read again, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from galago.runtime.errors import CorruptError
from galago.runtime.language.heteronyms import HETERONYMS
from galago.runtime.language.pronunciations import (
    PronunciationsError,
    build_pronunciations,
    read_pronunciations,
    voice_words,
)
from galago.runtime.language.voice_phones import encode_voice_phones

WORDS = {f"{a}{b}{c}": ("B", "AH0", "T") for a in "ab" for b in "cde" for c in ("", "f", "'s")}


def test_what_is_written_is_read_again() -> None:
    data = build_pronunciations(WORDS)
    assert read_pronunciations(data) == WORDS
    assert build_pronunciations(dict(reversed(WORDS.items()))) == data


@pytest.mark.parametrize(
    ("word", "phones"), [("", ("B",)), ("é", ("B",)), ("x", ()), ("x", ("AH",)), ("x", (" ",))]
)
def test_what_it_cannot_hold_is_refused(word: str, phones: tuple[str, ...]) -> None:
    with pytest.raises(PronunciationsError):
        build_pronunciations({word: phones})


def test_damaged_bytes_are_an_error() -> None:
    data = build_pronunciations(WORDS)
    for damaged in (b"", data[:20], data[:-1], b"X" + data[1:]):
        with pytest.raises(CorruptError):
            read_pronunciations(damaged)


def test_every_sense_is_written_in_phones_of_the_voice() -> None:
    for word, senses in HETERONYMS.items():
        assert len(set(senses.values())) >= 2, word
        for phones in senses.values():
            assert encode_voice_phones(phones)


def test_heteronyms_stand_beside_the_dictionary(tmp_path: Path) -> None:
    path = tmp_path / "small.dict"
    path.write_text("read R EH1 D\nread(2) R IY1 D\nb. B IY1\n")
    words = voice_words(path)
    assert words["read"] == words["read/verb"] == ("R", "IY1", "D")
    assert words["read/past"] == ("R", "EH1", "D") and words["b."] == ("B", "IY1")
    path.write_text("read R EH D\n")
    with pytest.raises(PronunciationsError, match="stress"):
        voice_words(path)
