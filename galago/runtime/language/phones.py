"""The phone inventory of the ear: silence and the 39 phones of CMUdict without stress.

The order is that of the acoustic model's phone head: a phone's index here is its row there. Index 0 is
silence and at the same time the blank of CTC.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

SILENCE = "SIL"

PHONES: tuple[str, ...] = (
    SILENCE,
    *("AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY"),
    *("F", "G", "HH", "IH", "IY", "JH", "K", "L", "M", "N", "NG", "OW", "OY"),
    *("P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH"),
)

PHONE_INDEX: dict[str, int] = {phone: index for index, phone in enumerate(PHONES)}

Pronunciation = tuple[str, ...]
"""Phones of one word, without silence: ``("HH", "AH", "L", "OW")``."""


def phones_sha256(phones: Sequence[str] = PHONES) -> bytes:
    """SHA-256 (32 bytes) of the phone names, one a line: what ties a compiled grammar to a bundle."""
    return hashlib.sha256("\n".join(phones).encode()).digest()
