"""Transcripts: what is spelled alike, and what is refused rather than guessed."""

from __future__ import annotations

import pytest

from galago.models.training.ear.transcripts import UnspeakableTextError, normalise


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("  — … ", []),
        ("MARK IS GOING TO SEE ELEPHANT", "mark is going to see elephant".split()),
        ('"Well," he said; "it\'s 100%!"'.replace("100", "ten"), "well he said it's ten percent".split()),
        ("Café naïve", ["cafe", "naive"]),
        ("twenty-one", ["twenty", "one"]),
        ("salt & pepper", ["salt", "and", "pepper"]),
        ("don’t 'quote' me", ["don't", "quote", "me"]),
        ("'tis the dogs' turn", ["'tis", "the", "dogs'", "turn"]),
        ("line one\nline two", ["line", "one", "line", "two"]),
    ],
)
def test_normalise(text: str, words: list[str]) -> None:
    assert normalise(text) == words


def test_what_was_normalised_stays_as_it_is() -> None:
    words = normalise("The quick, brown fox — it's 'here' — jumps & runs.")
    assert normalise(" ".join(words)) == words


@pytest.mark.parametrize("text", ["1999", "room 4b", "привет", "東京", "a$b", "''''x''''y"])
def test_what_cannot_be_spoken_for_sure_is_refused(text: str) -> None:
    with pytest.raises(UnspeakableTextError, match="cannot spell"):
        normalise(text)
