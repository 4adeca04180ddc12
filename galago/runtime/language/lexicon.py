"""How words sound: a pronouncing dictionary, and rules for the words it does not hold.

    lexicon = load_default()
    lexicon.pronounce("tomato")     [("T", "AH", "M", "EY", "T", "OW"), ("T", "AH", "M", "AA", "T", "OW")]

A word is looked up; else derived from a listed word (possessive, plural, -ed, -ing); else split at its
hyphens; else spelled letter by letter if it has no vowel or is written in capitals; else read by
letter-to-sound.

On disk a lexicon is one gzip file: header, front-coded words, front-coded pronunciations, the
letter-to-sound table. In memory the 126,000 words of CMUdict take about 6 MB; the table is unpacked, to
8 MB more, for the first word that nobody lists.
"""

from __future__ import annotations

import gzip
import itertools
import re
import struct
import unicodedata
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from galago.runtime.errors import CorruptError, InvalidArgumentError
from galago.runtime.language.cmudict import read_cmudict
from galago.runtime.language.inflection import inflected, stems
from galago.runtime.language.letter_to_sound import LetterToSound
from galago.runtime.language.phones import PHONE_INDEX, PHONES, SILENCE, Pronunciation, phones_sha256

__all__ = ["PHONES", "SILENCE", "Lexicon", "LexiconError", "Pronunciation", "build_lexicon", "load_default"]

DEFAULT_PATH = Path(__file__).resolve().parents[2] / "bundles" / "default" / "lexicon.gz"

MAX_VARIANTS = 8  # of a word that is put together from parts with variants of their own

_MAGIC = b"GLEX"
_VERSION = 1
_HEADER = struct.Struct("<4sI32sIIII")  # magic, version, phones' SHA-256, words, bytes of the three sections
_MAX_SHARED = 127

_LETTER_NAMES: Mapping[str, str] = {
    "a": "EY", "b": "B IY", "c": "S IY", "d": "D IY", "e": "IY", "f": "EH F", "g": "JH IY", "h": "EY CH",
    "i": "AY", "j": "JH EY", "k": "K EY", "l": "EH L", "m": "EH M", "n": "EH N", "o": "OW", "p": "P IY",
    "q": "K Y UW", "r": "AA R", "s": "EH S", "t": "T IY", "u": "Y UW", "v": "V IY",
    "w": "D AH B AH L Y UW", "x": "EH K S", "y": "W AY", "z": "Z IY",
}  # fmt: skip
_VOWELS = frozenset("aeiouy")
_SPELLED = re.compile(r"[a-z](\.[a-z])*\.?")  # "u.s.a.", "x"
_MAX_CAPITALS = 5  # a longer word in capitals is shouted, not spelled


class LexiconError(InvalidArgumentError):
    """A word cannot be pronounced, or a lexicon cannot be built; the message names the word."""

    # A status names one class: `of_status` answers with the parent.
    status: ClassVar[int | None] = None


class Lexicon:
    """Words, lower case, each with one pronunciation or more; the first is the commonest."""

    def __init__(
        self,
        words: Mapping[str, Sequence[Pronunciation]],
        letter_to_sound: LetterToSound | None = None,
    ) -> None:
        """Raises LexiconError for a word without pronunciation and for a phone outside the inventory."""
        self._letter_to_sound = letter_to_sound
        self._table = b""  # of letter-to-sound, until it is needed
        self._added: dict[str, list[Pronunciation]] = {}
        encoded = sorted((word.encode(), _encode(word, variants)) for word, variants in words.items())
        self._words = _Strings(word for word, _ in encoded)
        self._pronunciations = _Strings(phones for _, phones in encoded)

    @classmethod
    def from_cmudict(cls, path: str | Path, letter_to_sound: LetterToSound | None = None) -> Lexicon:
        """Read a dictionary in CMUdict's format (see ``galago.runtime.language.cmudict``)."""
        try:
            return cls(read_cmudict(path), letter_to_sound)
        except ValueError as error:
            raise LexiconError(str(error)) from error

    def __len__(self) -> int:
        """The number of listed words."""
        return len(self._words) + sum(self._words.index(word.encode()) is None for word in self._added)

    def __contains__(self, word: str) -> bool:
        """Whether the dictionary itself lists ``word`` (any case)."""
        return self._listed(_normalise(word)) is not None

    def words(self) -> Iterator[str]:
        """The listed words of the dictionary, sorted; those given to ``add`` are not among them."""
        return (word.decode() for word in self._words)

    def add(self, word: str, pronunciations: Iterable[Pronunciation]) -> None:
        """List ``word`` with these pronunciations instead of those it had.  Not kept by ``save``."""
        variants = [tuple(phones) for phones in pronunciations]
        _encode(word, variants)
        self._added[_normalise(word)] = variants

    def pronounce(self, word: str) -> list[Pronunciation]:
        """All pronunciations of one word, the likeliest first; never empty, none longer than needed.

        Case matters only where no dictionary helps: ``"PNG"`` is spelled, ``"png"`` too for want of a
        vowel, ``"gala"`` is read.  Accents are dropped.  Raises LexiconError naming word and character
        where a character has no sound (digits: write numbers as words).
        """
        text = _normalise(word)
        if not text.strip("-'. "):
            raise LexiconError(f"{word!r} holds nothing to pronounce")
        variants = self._listed(text)
        if variants is not None:
            return variants
        if "-" in text and text.strip("-"):
            return _joined([self.pronounce(part) for part in text.split("-") if part])
        if _SPELLED.fullmatch(text) or _looks_spelled(word.strip(), text):
            return [_spell(text)]
        for character in text:
            if not ("a" <= character <= "z" or character == "'"):
                raise LexiconError(f"{word!r} cannot be pronounced: no sound is known for {character!r}")
        return self._derived(text) or self._read(word, text)

    def _listed(self, text: str) -> list[Pronunciation] | None:
        if text in self._added:
            return list(self._added[text])
        index = self._words.index(text.encode())
        return None if index is None else _decode(self._pronunciations[index])

    def _derived(self, text: str) -> list[Pronunciation]:
        for stem, suffix in stems(text):
            variants = self._listed(stem)
            if variants is not None:
                return _unique(form for phones in variants for form in inflected(phones, suffix))
        return []

    def _read(self, word: str, text: str) -> list[Pronunciation]:
        if self._letter_to_sound is None and not self._table:
            raise LexiconError(f"{word!r} is not in the dictionary, and there is no letter-to-sound table")
        try:
            if self._letter_to_sound is None:
                self._letter_to_sound, self._table = LetterToSound.from_bytes(self._table), b""
            return self._letter_to_sound.pronounce(text)
        except ValueError as error:
            raise LexiconError(f"{word!r} cannot be pronounced: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write a ``lexicon.gz``; the same lexicon gives the same bytes."""
        sections = [
            _front_code(self._words),
            _front_code(self._pronunciations),
            self._table if self._letter_to_sound is None else self._letter_to_sound.to_bytes(),
        ]
        header = _HEADER.pack(_MAGIC, _VERSION, phones_sha256(), len(self._words), *map(len, sections))
        Path(path).write_bytes(gzip.compress(header + b"".join(sections), 9, mtime=0))

    @classmethod
    def load(cls, path: str | Path) -> Lexicon:
        """Read what ``save`` wrote.  Raises CorruptError naming the file; OSError if it cannot be read."""
        data = Path(path).read_bytes()
        try:
            return cls._from_bytes(gzip.decompress(data))
        except (ValueError, EOFError, gzip.BadGzipFile, struct.error, zlib.error) as error:
            raise CorruptError(f"{path}: {error}") from error

    @classmethod
    def _from_bytes(cls, data: bytes) -> Lexicon:
        magic, version, sha256, num_words, *sizes = _HEADER.unpack_from(data)
        if magic != _MAGIC or version != _VERSION:
            raise ValueError(f"not a lexicon of version {_VERSION}")
        if sha256 != phones_sha256():
            raise ValueError("the lexicon is written in other phones")
        ends = list(itertools.accumulate(sizes, initial=_HEADER.size))
        if ends[-1] != len(data):
            raise ValueError(f"{len(data)} bytes, expected {ends[-1]}")
        sections = [data[begin:end] for begin, end in itertools.pairwise(ends)]
        lexicon = cls({})
        lexicon._table = sections[2]
        lexicon._words = _Strings(_front_decode(sections[0]))
        lexicon._pronunciations = _Strings(_front_decode(sections[1]))
        for strings in (lexicon._words, lexicon._pronunciations):
            if len(strings) != num_words:
                raise ValueError(f"{len(strings)} words, expected {num_words}")
        return lexicon


def build_lexicon(cmudict_path: str | Path) -> Lexicon:
    """A lexicon with the words of a CMUdict file and a letter-to-sound table trained on them (some 15 s)."""
    try:
        words = read_cmudict(cmudict_path)
        model = LetterToSound.train(
            [(word, phones) for word, variants in words.items() for phones in variants]
        )
    except ValueError as error:
        raise LexiconError(str(error)) from error
    return Lexicon(words, model)


def load_default() -> Lexicon:
    """The lexicon of the bundle that ships with galago."""
    return Lexicon.load(DEFAULT_PATH)


class _Strings:
    """An immutable list of byte strings in one buffer: no object a string."""

    def __init__(self, strings: Iterable[bytes]) -> None:
        buffer, offsets = bytearray(), array("q", [0])
        for string in strings:
            buffer += string
            offsets.append(len(buffer))
        self._buffer, self._offsets = bytes(buffer), offsets

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __iter__(self) -> Iterator[bytes]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> bytes:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._buffer[self._offsets[index] : self._offsets[index + 1]]

    def index(self, string: bytes) -> int | None:
        """Where ``string`` stands in the list, which must be sorted; None if it is not there."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self[middle] < string:
                low = middle + 1
            else:
                high = middle
        return low if low < len(self) and self[low] == string else None


def _front_code(strings: Iterable[bytes]) -> bytes:
    """Each string as one byte, 128 + the length it shares with the one before, and what follows."""
    out = bytearray()
    before = b""
    for string in strings:
        shared = 0
        for a, b in zip(before[:_MAX_SHARED], string, strict=False):
            if a != b:
                break
            shared += 1
        out.append(128 + shared)
        out += string[shared:]
        before = string
    return bytes(out)


def _front_decode(data: bytes) -> Iterator[bytes]:
    before = b""
    for match in re.finditer(rb"([\x80-\xff])([^\x80-\xff]*)", data):
        before = before[: match[1][0] - 128] + match[2]
        yield before


def _encode(word: str, variants: Sequence[Pronunciation]) -> bytes:
    """Phone indices, variants parted by a zero byte (silence, which no pronunciation holds)."""
    if not word.isascii() or not variants or not all(variants):
        raise LexiconError(f"{word!r} needs ASCII letters and at least one phone")
    for phone in itertools.chain.from_iterable(variants):
        if phone not in PHONE_INDEX or phone == SILENCE:
            raise LexiconError(f"{word!r}: unknown phone {phone!r}")
    return b"\0".join(bytes(PHONE_INDEX[phone] for phone in phones) for phones in variants)


def _decode(data: bytes) -> list[Pronunciation]:
    return [tuple(PHONES[index] for index in variant) for variant in data.split(b"\0")]


def _normalise(word: str) -> str:
    """Lower case, plain apostrophes and hyphens, no accents."""
    decomposed = unicodedata.normalize("NFKD", word.strip().lower())
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return plain.translate({0x2018: "'", 0x2019: "'", 0x2010: "-", 0x2011: "-", ord("_"): "-"})


def _looks_spelled(word: str, text: str) -> bool:
    letters = text.replace(".", "")
    if not letters.isalpha() or not letters.isascii():
        return False
    return not _VOWELS & set(letters) or (word.isupper() and 1 < len(letters) <= _MAX_CAPITALS)


def _spell(text: str) -> Pronunciation:
    return tuple(" ".join(_LETTER_NAMES[letter] for letter in text.replace(".", "")).split())


def _unique(pronunciations: Iterable[Pronunciation]) -> list[Pronunciation]:
    return list(dict.fromkeys(pronunciations))


def _joined(parts: Sequence[Sequence[Pronunciation]]) -> list[Pronunciation]:
    """Every way to say the parts one after the other, up to ``MAX_VARIANTS``."""
    combinations = itertools.islice(itertools.product(*parts), MAX_VARIANTS)
    return _unique(tuple(itertools.chain.from_iterable(combination)) for combination in combinations)
