"""The two alphabets of the ear: phones and characters. Index 0 is the CTC blank of both."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["PHONES", "TOKENS", "encode_phones", "encode_words", "greedy_text"]

#: Silence, which is the blank, and the 39 phones of ARPAbet without stress.
PHONES: tuple[str, ...] = (
    *("SIL AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH".split()),
    *("K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH".split()),
)
TOKENS: tuple[str, ...] = ("<blank>", " ", "'", *"abcdefghijklmnopqrstuvwxyz")

_PHONE_INDEX = {phone: i for i, phone in enumerate(PHONES)}
_TOKEN_INDEX = {token: i for i, token in enumerate(TOKENS)}


def encode_words(words: Iterable[str]) -> list[int]:
    """Words of a-z and the apostrophe -> token indices, one space between words.

    Raises:
        KeyError: a character outside the alphabet.
    """
    return [_TOKEN_INDEX[character] for character in " ".join(words)]


def encode_phones(phones: Iterable[str]) -> list[int]:
    """Phone names -> indices. Raises KeyError for a phone outside :data:`PHONES`."""
    return [_PHONE_INDEX[phone] for phone in phones]


def greedy_text(best: Iterable[int], tokens: tuple[str, ...] = TOKENS) -> str:
    """Collapse the best token of each frame (repeats, then blanks) into text (Graves et al. 2006)."""
    text, previous = [], 0
    for index in best:
        if index != previous and index != 0:
            text.append(tokens[index])
        previous = index
    return " ".join("".join(text).split())
