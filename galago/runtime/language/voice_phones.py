"""The alphabet of the voice: what text becomes before it becomes sound.

A sentence is written as phones of ARPAbet, vowels with their stress (0 none, 1 primary, 2 secondary, as
CMUdict writes them), and *marks*: one at the very beginning, one between two words, one at the end::

    "Hello, world?"    ^ HH AH0 L OW1 , W ER1 L D ?

Every mark lasts as long as the pause that it stands for, which between two words is most often 0 frames;
so a break is a longer mark, and nothing else has to change. The order below is that of the rows of the
voice's embedding: append, never insert.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = [
    "BEGIN",
    "MARKS",
    "MARK_OF_CHARACTER",
    "PADDING",
    "STRESSED_VOWELS",
    "VOICE_PHONES",
    "VOICE_PHONE_INDEX",
    "VOWELS",
    "WORD_BOUNDARY",
    "encode_voice_phones",
    "without_stress",
]

PADDING = "_"  # fills a row of a batch; it is never spoken
BEGIN = "^"  # the silence before the first word
WORD_BOUNDARY = " "  # between two words without punctuation
MARKS: tuple[str, ...] = (BEGIN, WORD_BOUNDARY, ",", ".", "?", "!")

VOWELS: tuple[str, ...] = (
    *("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY"),
    *("IH", "IY", "OW", "OY", "UH", "UW"),
)
_CONSONANTS: tuple[str, ...] = (
    *("B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N", "NG"),
    *("P", "R", "S", "SH", "T", "TH", "V", "W", "Y", "Z", "ZH"),
)
STRESSED_VOWELS: tuple[str, ...] = tuple(f"{vowel}{stress}" for vowel in VOWELS for stress in "012")

VOICE_PHONES: tuple[str, ...] = (PADDING, *MARKS, *_CONSONANTS, *STRESSED_VOWELS)
VOICE_PHONE_INDEX: Mapping[str, int] = {phone: index for index, phone in enumerate(VOICE_PHONES)}

#: Which mark a character of punctuation becomes; between two words the strongest (the last in MARKS) counts.
MARK_OF_CHARACTER: Mapping[str, str] = {
    **dict.fromkeys(",;:()[]—–", ","),
    **dict.fromkeys(".…", "."),
    "?": "?",
    "!": "!",
}


def encode_voice_phones(phones: Iterable[str]) -> list[int]:
    """Rows of the voice's embedding for phones and marks.

    Raises:
        ValueError: a name outside :data:`VOICE_PHONES`; the message says which and where. A vowel without its
            stress is such a name.
    """
    rows: list[int] = []
    for position, phone in enumerate(phones):
        if phone not in VOICE_PHONE_INDEX or phone == PADDING:
            raise ValueError(f"phone {position}: {phone!r} is not in the alphabet of the voice")
        rows.append(VOICE_PHONE_INDEX[phone])
    return rows


def without_stress(phone: str) -> str:
    """``"AH0"`` -> ``"AH"``: the ear's name of a phone. Consonants and marks stay as they are."""
    return phone[:-1] if phone[-1] in "012" else phone
