"""Words, their sounds and which follow which, as one file that the native core searches where it lies.

    python -m galago.runtime.language.word_model OUT [--arpa FILE.arpa] [--num-words N] [--num-bigrams N]

The format is described in ``word_model.h``: a tree of the words' phones, and a bigram model over them.
"""

from __future__ import annotations

import argparse
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from galago.runtime.language.lexicon import Lexicon, load_default
from galago.runtime.language.ngrams import BigramModel, NgramError, pocketsphinx_bigrams, read_arpa
from galago.runtime.language.phones import PHONE_INDEX, PHONES, Pronunciation

__all__ = ["build_word_model", "listed_pronunciations", "make_word_model"]

NUM_WORDS = 60_000
NUM_BIGRAMS = 1_350_000
MAX_WORDS = 65_533  # rows of words, with the two ends of a sentence, are 16 bits
_VERSION = 1
_STEPS_PER_NAT = 12.0
_UNIGRAM_STEPS_PER_NAT = 1024.0
_MAX_WORD_BYTES = 64


def listed_pronunciations(lexicon: Lexicon) -> Callable[[str], Sequence[Pronunciation]]:
    """What a dictionary lists for a word of a-z and apostrophes; nothing for words it only derives."""

    def pronunciations(word: str) -> Sequence[Pronunciation]:
        spelled = all("a" <= character <= "z" or character == "'" for character in word)
        return lexicon.pronounce(word) if spelled and word in lexicon else []

    return pronunciations


class _Node:
    """A node of the tree while it is built."""

    __slots__ = ("children", "phone", "words")

    def __init__(self, phone: int) -> None:
        self.phone = phone
        self.children: dict[int, _Node] = {}
        self.words: list[int] = []


def _steps(log_probs: NDArray[np.float64]) -> bytes:
    """Natural logarithms as steps of 1/12 nat below 0, a byte each."""
    return _padded(np.clip(np.rint(-log_probs * _STEPS_PER_NAT), 0, 255).astype(np.uint8).tobytes())


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def build_word_model(model: BigramModel, pronunciations: Callable[[str], Sequence[Pronunciation]]) -> bytes:
    """The file for ``model``; each of its words must have a pronunciation in the ear's phones.

    Raises NgramError naming a word that has none, is too long or has a phone that the ear does not know, or
    the number of words where those are too many.
    """
    if not 3 <= len(model.words) <= MAX_WORDS + 2:
        raise NgramError(f"{len(model.words) - 2} words: a word model has 1 to {MAX_WORDS}")
    root = _Node(0)
    for row, word in enumerate(model.words[2:], start=2):
        variants = pronunciations(word)
        if not variants or not all(variants) or not 0 < len(word.encode()) <= _MAX_WORD_BYTES:
            raise NgramError(f"{word!r}: has no pronunciation, or over {_MAX_WORD_BYTES} letters")
        for phones in dict.fromkeys(tuple(variant) for variant in variants):
            node = root
            for phone in phones:
                index = PHONE_INDEX.get(phone, 0)
                if index == 0:  # silence is none of a word's phones either
                    raise NgramError(f"{word!r}: the ear has no phone {phone!r}")
                node = node.children.setdefault(index, _Node(index))
            if row not in node.words:
                node.words.append(row)

    nodes, first_children = [root], []
    for node in nodes:  # grows while it is walked: breadth first
        first_children.append(len(nodes))
        nodes.extend(node.children[phone] for phone in sorted(node.children))
    look_ahead = np.full(len(nodes), -np.inf)
    parents = np.zeros(len(nodes), dtype=np.int64)
    for index, node in enumerate(nodes):
        parents[first_children[index] : first_children[index] + len(node.children)] = index
        if node.words:
            look_ahead[index] = max(model.unigrams[row] for row in node.words)
    for index in range(len(nodes) - 1, 0, -1):
        look_ahead[parents[index]] = max(look_ahead[parents[index]], look_ahead[index])

    spellings = [b"", b"", *(word.encode() for word in model.words[2:])]
    spelling_begin = np.cumsum([0, *(len(word) for word in spellings)])
    word_begin = np.cumsum([0, *(len(node.words) for node in nodes)])
    leaves = [row for node in nodes for row in node.words]
    counts = np.bincount(model.before, minlength=len(model.words))
    names = "".join(phone + "\n" for phone in PHONES).encode()
    joined = b"".join(spellings)

    def fixed(values: NDArray[np.float64]) -> bytes:
        steps = np.rint(values * _UNIGRAM_STEPS_PER_NAT)
        return _padded(np.clip(steps, -32768, 32767).astype("<i2").tobytes())

    sizes = (
        len(model.words),
        len(nodes),
        len(leaves),
        len(model.bigrams),
        len(PHONES),
        len(names),
        len(joined),
    )
    parts = [
        struct.pack("<4s8I", b"GWRD", _VERSION, *sizes),
        _padded(names),
        spelling_begin.astype("<u4").tobytes(),
        _padded(joined),
        fixed(model.unigrams),
        fixed(model.back_offs),
        np.concatenate([[0], np.cumsum(counts)]).astype("<u4").tobytes(),
        _padded(model.after.astype("<u2").tobytes()),
        _steps(model.bigrams),
        np.array([*first_children, len(nodes)], dtype="<u4").tobytes(),
        word_begin.astype("<u4").tobytes(),
        _padded(bytes(node.phone for node in nodes)),
        _steps(look_ahead),
        _padded(np.array(leaves, dtype="<u2").tobytes()),
    ]
    return b"".join(parts)


def make_word_model(
    model: BigramModel,
    *,
    lexicon: Lexicon | None = None,
    num_words: int = NUM_WORDS,
    num_bigrams: int = NUM_BIGRAMS,
) -> bytes:
    """The file for the likeliest words of ``model`` that ``lexicon`` (by default galago's own) lists.

    Raises NgramError where no word is left, or more are asked for than a file can hold.
    """
    if not 0 < num_words <= MAX_WORDS:
        raise NgramError(f"num_words is {num_words}, must be in [1, {MAX_WORDS}]")
    pronunciations = listed_pronunciations(lexicon or load_default())
    kept = model.limited(num_words, num_bigrams, keep=lambda word: bool(pronunciations(word)))
    return build_word_model(kept, pronunciations)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a word model and say how large it is."""
    parser = argparse.ArgumentParser(description="The words that open text is made of.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--arpa", type=Path, help="its bigrams are used [those of the package pocketsphinx]")
    parser.add_argument("--num-words", type=int, default=NUM_WORDS)
    parser.add_argument("--num-bigrams", type=int, default=NUM_BIGRAMS)
    args = parser.parse_args(arguments)
    model = read_arpa(args.arpa) if args.arpa is not None else pocketsphinx_bigrams()
    data = make_word_model(model, num_words=args.num_words, num_bigrams=args.num_bigrams)
    args.out.write_bytes(data)
    print(f"{args.out}: {len(data)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
