"""The alphabet of the voice: complete, in an order that never changes, and strict."""

from __future__ import annotations

import hashlib

import pytest

from galago.runtime.language.phones import PHONES, SILENCE
from galago.runtime.language.voice_phones import (
    MARK_OF_CHARACTER,
    MARKS,
    STRESSED_VOWELS,
    VOICE_PHONES,
    encode_voice_phones,
    without_stress,
)


def test_the_order_is_the_one_that_voices_were_trained_with() -> None:
    assert len(VOICE_PHONES) == len(set(VOICE_PHONES)) == 1 + 6 + 24 + 45
    digest = hashlib.sha256("\n".join(VOICE_PHONES).encode()).hexdigest()
    assert digest.startswith("1c4278d5945ca0e1")


def test_without_stress_it_is_the_alphabet_of_the_ear() -> None:
    spoken = {without_stress(phone) for phone in VOICE_PHONES[1:] if phone not in MARKS}
    assert spoken == set(PHONES) - {SILENCE}


def test_a_sentence_becomes_rows() -> None:
    rows = encode_voice_phones(["^", "HH", "AH0", "L", "OW1", "!"])
    assert [VOICE_PHONES[row] for row in rows] == ["^", "HH", "AH0", "L", "OW1", "!"]
    assert 0 not in rows  # padding


@pytest.mark.parametrize("phone", ["AH", "SIL", "_", "", "hh", "AH3"])
def test_a_name_outside_the_alphabet_is_refused_with_its_place(phone: str) -> None:
    with pytest.raises(ValueError, match=f"phone 1: {phone!r} is not in the alphabet"):
        encode_voice_phones(["^", phone])


def test_punctuation_becomes_marks() -> None:
    assert set(MARK_OF_CHARACTER.values()) <= set(MARKS)
    assert [MARK_OF_CHARACTER[c] for c in ",;:.?!—…"] == [",", ",", ",", ".", "?", "!", ",", "."]
    assert len(STRESSED_VOWELS) == 45
