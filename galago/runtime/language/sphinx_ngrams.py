"""Language models as CMU Sphinx stores them: a trie whose probabilities are quantised to 16 bits.

    "Trie Language Model", number of orders u8, n-grams of each order u32 x orders
    kind of the quantisation u32; tables of 65,536 float32: logarithms and back-offs of each order between
    the first and the last, logarithms of the last one
    words       (float32 logarithm, float32 back-off, u32 first bigram) x (words + 1)
    bigrams     bits, the lowest first: word, back-off 16, logarithm 16, first trigram; x (bigrams + 1)
    trigrams    bits: word, logarithm 16; x (trigrams + 1)
    names       u32 bytes; the words, a 0 behind each

The trie is written backwards: below a word stand the words before it, and below those what came still
earlier. Logarithms are to the base 1.0001. After each part of bits come 8 bytes that mean nothing.

K. Heafield, "KenLM: faster and smaller language model queries", WMT 2011.
"""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from galago.runtime.language.ngrams import SENTENCE_BEGIN, SENTENCE_END, NgramError, NgramModel

__all__ = ["pocketsphinx_ngrams", "read_sphinx_trie"]

_MAGIC = b"Trie Language Model"
_TABLE_SIZE = 65_536
_BASE = float(np.log(1.0001))
_WORD = np.dtype([("log_prob", "<f4"), ("back_off", "<f4"), ("first", "<u4")])
_SLACK_BYTES = 8


class _Bits:
    """Records of unsigned fields, packed without gaps."""

    def __init__(self, data: NDArray[np.uint8], num_records: int, widths: tuple[int, ...]) -> None:
        self._data = data
        self._num_records = num_records
        self._widths = widths

    @staticmethod
    def num_bytes(num_records: int, widths: tuple[int, ...]) -> int:
        return (num_records * sum(widths) + 7) // 8 + _SLACK_BYTES

    def field(self, index: int) -> NDArray[np.int64]:
        """(records,): one field, of at most 25 bits, of every record."""
        at = np.arange(self._num_records, dtype=np.int64) * sum(self._widths) + sum(self._widths[:index])
        value = np.zeros(self._num_records, dtype=np.int64)
        for byte in range(4):
            value |= self._data[(at >> 3) + byte].astype(np.int64) << (8 * byte)
        return (value >> (at & 7)) & ((1 << self._widths[index]) - 1)


def read_sphinx_trie(path: str | Path) -> NgramModel:
    """The trigram model of such a file.

    Raises NgramError where the file is none, or not of trigrams; OSError if it cannot be read.
    """
    data = Path(path).read_bytes()
    try:
        return _parse(data, str(path))
    except (struct.error, ValueError, IndexError) as error:
        raise NgramError(f"{path}: is no language model of Sphinx, or cut short: {error}") from error


def _parse(data: bytes, name: str) -> NgramModel:
    if not data.startswith(_MAGIC):
        raise NgramError(f"{name}: does not begin with {_MAGIC.decode()!r}")
    at = len(_MAGIC)
    if data[at] != 3:
        raise NgramError(f"{name}: is of {data[at]}-grams, not of trigrams")
    num_words, num_bigrams, num_trigrams, _kind = struct.unpack_from("<4I", data, at + 1)
    at += 1 + 16
    tables = np.frombuffer(data, "<f4", 3 * _TABLE_SIZE, at).astype(np.float64).reshape(3, -1) * _BASE
    at += 4 * tables.size
    of_words = np.frombuffer(data, _WORD, num_words + 1, at)
    at += of_words.nbytes
    word_bits, trigram_bits = int(num_words).bit_length(), int(num_trigrams).bit_length()
    widths = ((word_bits, 16, 16, trigram_bits), (word_bits, 16))
    parts = []
    for count, of_part in zip((num_bigrams + 1, num_trigrams + 1), widths, strict=True):
        size = _Bits.num_bytes(count, of_part)
        parts.append(_Bits(np.frombuffer(data, np.uint8, size, at), count, of_part))
        at += size
    (names_bytes,) = struct.unpack_from("<I", data, at)
    names = data[at + 4 : at + 4 + names_bytes].decode("utf-8", "surrogateescape").split("\0")
    if len(names) != num_words + 1 or names[-1]:
        raise NgramError(f"{name}: {len(names) - 1} names for {num_words} words")

    # The first n-gram below each, and where those of the last one end. What lies behind was dropped by the
    # program that wrote the file.
    bigram_begin = of_words["first"].astype(np.int64)
    bigrams, trigrams = parts
    trigram_begin = bigrams.field(3)[: bigram_begin[-1] + 1]
    last = np.repeat(np.arange(num_words), np.diff(bigram_begin))
    middle = bigrams.field(0)[: len(last)]
    of_trigrams = np.repeat(np.arange(len(last)), np.diff(trigram_begin))
    first = trigrams.field(0)[: len(of_trigrams)]
    rows = {word: row for row, word in enumerate(names[:-1])}
    if SENTENCE_BEGIN not in rows or SENTENCE_END not in rows:
        raise NgramError(f"{name}: has no {SENTENCE_BEGIN} or no {SENTENCE_END}")
    order = [rows.pop(SENTENCE_BEGIN), rows.pop(SENTENCE_END), *rows.values()]
    new_row = np.empty(num_words, dtype=np.int64)
    new_row[order] = np.arange(num_words)
    return NgramModel.from_ngrams(
        name,
        tuple(names[row] for row in order),
        of_words["log_prob"][order].astype(np.float64) * _BASE,
        of_words["back_off"][order].astype(np.float64) * _BASE,
        new_row[np.array([middle, last])],
        np.array([tables[0][bigrams.field(2)[: len(last)]], tables[1][bigrams.field(1)[: len(last)]]]),
        new_row[np.array([first, middle[of_trigrams], last[of_trigrams]])],
        tables[2][trigrams.field(1)[: len(of_trigrams)]],
    )


def pocketsphinx_ngrams() -> NgramModel:
    """The US English language model that the package ``pocketsphinx`` carries.

    CMU Sphinx, two-clause BSD licence; 72,000 words, two million bigrams, 1.7 million trigrams.

    Raises NgramError where the package is not installed.
    """
    package = importlib.util.find_spec("pocketsphinx")
    if package is None or package.origin is None:
        raise NgramError("no language model of pocketsphinx: pip install pocketsphinx")
    return read_sphinx_trie(Path(package.origin).parent / "model" / "en-us" / "en-us.lm.bin")
