"""Regular English endings: the stems that a word may come from, and how the ending sounds on each.

    kettles = kettle + Z      boxes = box + IH Z      baked = bake + T      pitting = pit + IH NG

The endings are -s (plural, third person and possessive), -ed and -ing.
"""

from __future__ import annotations

from collections.abc import Iterator

from galago.runtime.language.phones import Pronunciation

SIBILANTS = frozenset({"S", "Z", "SH", "ZH", "CH", "JH"})
VOICELESS = frozenset({"P", "T", "K", "F", "TH", "S", "SH", "CH", "HH"})
_VOWELS = frozenset("aeiou")


def stems(word: str) -> Iterator[tuple[str, str]]:
    """Pairs of possible stem and ending (``"s"``, ``"ed"``, ``"ing"``), the likeliest first."""
    if word.endswith("'s"):
        yield word[:-2], "s"
    elif word.endswith("s'"):
        yield word[:-2], "s"
        yield word[:-1], ""
    elif word.endswith("s") and not word.endswith("ss"):
        yield word[:-1], "s"
        if word.endswith("es"):
            yield word[:-2], "s"
        if word.endswith("ies"):
            yield word[:-3] + "y", "s"
    elif word.endswith("ed"):
        yield from ((stem, "ed") for stem in _verb_stems(word[:-2]))
        if word.endswith("ied"):
            yield word[:-3] + "y", "ed"
    elif word.endswith("ing"):
        yield from ((stem, "ing") for stem in _verb_stems(word[:-3]))


def _verb_stems(stem: str) -> Iterator[str]:
    """Undo what spelling does before -ed and -ing: a dropped e, a doubled consonant."""
    if len(stem) < 2:
        return
    yield stem
    yield stem + "e"
    if stem[-1] == stem[-2] and stem[-1] not in _VOWELS:
        yield stem[:-1]


def inflected(phones: Pronunciation, ending: str) -> list[Pronunciation]:
    """``phones`` of the stem with the ending; two where the ending's vowel is said both ways."""
    last = phones[-1]
    if ending == "s":
        if last in SIBILANTS:
            return [(*phones, "IH", "Z"), (*phones, "AH", "Z")]
        return [(*phones, "S" if last in VOICELESS else "Z")]
    if ending == "ed":
        if last in {"T", "D"}:
            return [(*phones, "IH", "D"), (*phones, "AH", "D")]
        return [(*phones, "T" if last in VOICELESS else "D")]
    if ending == "ing":
        return [(*phones, "IH", "NG")]
    return [phones]
