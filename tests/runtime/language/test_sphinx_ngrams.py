"""Language models of Sphinx: a file written here by the description is read back, a damaged one refused."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from galago.runtime.language.ngrams import NgramError
from galago.runtime.language.sphinx_ngrams import read_sphinx_trie

BASE = float(np.log(1.0001))
WORDS = ("a", "</s>", "<s>", "bee")  # in the order of the file
# Logarithms to the base 1.0001 of words; then n-grams as they are said, the last word last.
UNIGRAMS = {"a": (-100.0, -5.0), "</s>": (-200.0, 0.0), "<s>": (-900.0, -7.0), "bee": (-300.0, -2.0)}
BIGRAMS = {("<s>", "a"): (-10.0, -1.0), ("a", "bee"): (-20.0, -2.0), ("bee", "a"): (-30.0, -3.0)}
TRIGRAMS = {("<s>", "a", "bee"): -4.0, ("a", "bee", "a"): -6.0, ("bee", "a", "bee"): -8.0}


@dataclass
class Bits:
    """Fields behind each other, the lowest bit first."""

    value: int = 0
    size: int = 0

    def put(self, field: int, width: int) -> None:
        assert 0 <= field < 1 << width
        self.value |= field << self.size
        self.size += width

    def bytes(self) -> bytes:
        return self.value.to_bytes((self.size + 7) // 8, "little") + b"\xff" * 8


def trie() -> bytes:
    rows = {word: row for row, word in enumerate(WORDS)}
    tables = np.zeros((3, 65_536), dtype="<f4")
    # Backwards: sorted by the last word, then by the one before it, then by the first.
    bigrams = sorted((rows[w], rows[h], values) for (h, w), values in BIGRAMS.items())
    trigrams = sorted((rows[w], rows[h], rows[g], value) for (g, h, w), value in TRIGRAMS.items())
    word_bits, trigram_bits = len(WORDS).bit_length(), len(trigrams).bit_length()
    of_bigrams, of_trigrams = Bits(), Bits()
    for index, (w, h, (log_prob, back_off)) in enumerate(bigrams):
        first = sum(of[:2] < (w, h) for of in trigrams)
        for field, width in ((h, word_bits), (9000 + index, 16), (700 + index, 16), (first, trigram_bits)):
            of_bigrams.put(field, width)
        tables[0, 700 + index], tables[1, 9000 + index] = log_prob, back_off
    for field, width in ((0, word_bits), (0, 32), (len(trigrams), trigram_bits)):
        of_bigrams.put(field, width)
    for index, (_, _, g, log_prob) in enumerate(trigrams):
        of_trigrams.put(g, word_bits)
        of_trigrams.put(65_000 + index, 16)
        tables[2, 65_000 + index] = log_prob
    of_trigrams.put(0, word_bits + 16)
    unigrams = b"".join(
        struct.pack("<2fI", *UNIGRAMS[word], sum(of[0] < row for of in bigrams))
        for row, word in enumerate(WORDS)
    )
    names = "".join(word + "\0" for word in WORDS).encode()
    return b"".join(
        (
            b"Trie Language Model" + struct.pack("<B4I", 3, len(WORDS), len(bigrams), len(trigrams), 1),
            tables.tobytes(),
            unigrams + struct.pack("<2fI", 0.0, 0.0, len(bigrams)),
            of_bigrams.bytes(),
            of_trigrams.bytes(),
            struct.pack("<I", len(names)) + names,
        )
    )


def written(folder: Path, data: bytes) -> Path:
    path = folder / "tiny.lm.bin"
    path.write_bytes(data)
    return path


def test_a_trie_is_read_in_natural_logarithms(tmp_path: Path) -> None:
    model = read_sphinx_trie(written(tmp_path, trie()))
    assert model.words == ("<s>", "</s>", "a", "bee")
    assert len(model.bigrams) == len(BIGRAMS)
    assert len(model.trigrams) == len(TRIGRAMS)
    for (before, word), (log_prob, _) in BIGRAMS.items():
        assert model.log_prob(before, word) == pytest.approx(log_prob * BASE)
    for words, log_prob in TRIGRAMS.items():
        assert model.log_prob(*words) == pytest.approx(log_prob * BASE)
    assert model.log_prob("bee", "bee") == pytest.approx((-2.0 - 300.0) * BASE)
    assert model.log_prob("a", "bee", "bee") == pytest.approx((-2.0 - 2.0 - 300.0) * BASE)


def test_what_is_no_trie_is_refused(tmp_path: Path) -> None:
    whole = trie()
    for data, message in (
        (b"\\data\\\n", "does not begin with 'Trie Language Model'"),
        (whole[:19] + b"\x02" + whole[20:], "is of 2-grams"),
        (whole.replace(b"</s>\0", b"</S>\0"), "has no <s> or no </s>"),
        (whole.replace(b"bee\0", b"b\0e\0"), "5 names for 4 words"),
    ):
        with pytest.raises(NgramError, match=f"tiny.lm.bin: {message}"):
            read_sphinx_trie(written(tmp_path, data))


def test_a_trie_that_ends_early_is_refused(tmp_path: Path) -> None:
    whole = trie()
    for size in (0, 19, 20, 30, 40, 400_000, 786_480, *range(len(whole) - 80, len(whole))):
        with pytest.raises(NgramError, match="tiny.lm.bin: "):
            read_sphinx_trie(written(tmp_path, whole[:size]))
