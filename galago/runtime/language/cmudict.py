"""Reader of pronouncing dictionaries in CMUdict's plain format.

One pronunciation a line, variants numbered, stress digits allowed and dropped::

    read R EH D
    read(2) R IY D
"""

from __future__ import annotations

import re
from pathlib import Path

from galago.runtime.language.phones import PHONE_INDEX, SILENCE, Pronunciation

_VARIANT = re.compile(r"\(\d+\)$")


def read_cmudict(path: str | Path) -> dict[str, list[Pronunciation]]:
    """Words (lower case) with their pronunciations, in the file's order, without repeats.

    Lines that begin with ``;;;`` or ``#`` are comments. Raises ValueError naming file, line and phone for
    a phone outside the inventory and for a word without phones; OSError if the file cannot be read.
    """
    words: dict[str, list[Pronunciation]] = {}
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.startswith((";;;", "#")) or not line.strip():
                continue
            name, *fields = line.split(" #", 1)[0].split()
            phones = tuple(field.rstrip("012") for field in fields)
            if not phones:
                raise ValueError(f"{path}:{number}: {name!r} has no phones")
            for phone in phones:
                if phone not in PHONE_INDEX or phone == SILENCE:
                    raise ValueError(f"{path}:{number}: unknown phone {phone!r} in {name!r}")
            variants = words.setdefault(_VARIANT.sub("", name).lower(), [])
            if phones not in variants:
                variants.append(phones)
    return words
