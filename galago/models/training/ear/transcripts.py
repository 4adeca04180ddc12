"""Transcripts as the recogniser spells them: lower-case words of a-z and the apostrophe."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["UnspeakableTextError", "normalise"]

_PUNCTUATION = re.compile(r"[.,;:!?\"()\[\]{}<>…–—“”*_/\\-]+")
_WORD = re.compile(r"'?[a-z]+(?:'[a-z]*)*")
_SYMBOL_WORDS = {"&": " and ", "%": " percent ", "+": " plus ", "=": " equals ", "#": " pound ", "@": " at "}


class UnspeakableTextError(ValueError):
    """The text holds something whose spoken form is not known (a digit, another script)."""


def normalise(text: str) -> list[str]:
    """Return the words of ``text`` in lower case, punctuation and accents taken off.

    Digits are refused rather than guessed: ``1999`` is read in three ways, and a wrong transcript
    teaches a wrong sound.

    Raises:
        UnspeakableTextError: ``text`` holds digits or letters outside a-z.
    """
    plain = unicodedata.normalize("NFKD", text).replace("’", "'")
    plain = "".join(c for c in plain if not unicodedata.combining(c)).lower()
    for symbol, word in _SYMBOL_WORDS.items():
        plain = plain.replace(symbol, word)
    words = []
    for raw in _PUNCTUATION.sub(" ", plain).split():
        word = raw.strip("'") if raw.startswith("'") and raw.endswith("'") else raw
        if not word:
            continue
        if not _WORD.fullmatch(word):
            raise UnspeakableTextError(f"cannot spell {raw!r} with a-z and the apostrophe")
        words.append(word)
    return words
