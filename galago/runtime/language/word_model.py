"""Words, their sounds and which follow which, as one file that the native core searches where it lies.

    python -m galago.runtime.language.word_model OUT [--arpa FILE.arpa] [--num-words N] [--num-bigrams N]
        [--num-trigrams N]

The format is described in ``word_model.h``: a tree of the words' phones, and a trigram model over them.
"""

from __future__ import annotations

import argparse
import struct
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from galago.runtime.language.lexicon import Lexicon, load_default
from galago.runtime.language.ngrams import NgramError, NgramModel, read_arpa
from galago.runtime.language.phones import PHONE_INDEX, PHONES, Pronunciation
from galago.runtime.language.sphinx_ngrams import pocketsphinx_ngrams
from galago.runtime.language.successor_lists import codebook, nearest, pack_lists, packed_number

__all__ = ["build_word_model", "listed_pronunciations", "make_word_model"]

NUM_WORDS = 60_000
NUM_BIGRAMS = 1_700_000
NUM_TRIGRAMS = 725_000
MAX_WORDS = 65_533  # rows of words, with the two ends of a sentence, are 16 bits
_VERSION = 2
_STEPS_PER_NAT = 12.0
_UNIGRAM_STEPS_PER_NAT = 1024.0
_MAX_WORD_BYTES = 64
_GROUP = 64  # neighbours whose places are counted from the first one's
_LISTS_PER_PLACE = 16
_SLACK_BYTES = 8


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


def build_word_model(model: NgramModel, pronunciations: Callable[[str], Sequence[Pronunciation]]) -> bytes:
    """The file for ``model``; each of its words must have a pronunciation in the ear's phones.

    Raises NgramError naming a word that has none, is too long or has a phone that the ear does not know, or
    the number of words where those are too many, or a trigram whose last two words are not listed.
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
    leaves = [row for node in nodes for row in node.words]
    names = "".join(phone + "\n" for phone in PHONES).encode()
    joined = b"".join(spellings)
    ngrams = _Ngrams(model)

    def fixed(values: NDArray[np.float64]) -> bytes:
        steps = np.rint(values * _UNIGRAM_STEPS_PER_NAT)
        return _padded(np.clip(steps, -32768, 32767).astype("<i2").tobytes())

    sizes = (
        len(model.words),
        len(nodes),
        len(leaves),
        ngrams.num_contexts,
        len(PHONES),
        len(names),
        len(joined),
        len(ngrams.bigrams),
        len(ngrams.trigrams),
    )
    parts = [
        struct.pack("<4s10I", b"GWRD", _VERSION, *sizes),
        _padded(names),
        _places(len(word) for word in spellings),
        _padded(joined),
        fixed(model.unigrams),
        fixed(model.back_offs),
        ngrams.codebooks,
        ngrams.bigram_begin,
        _padded(ngrams.bigrams),
        ngrams.trigram_begin,
        _padded(ngrams.trigrams),
        _places(len(node.children) for node in nodes),
        _places(len(node.words) for node in nodes),
        _padded(bytes(node.phone for node in nodes)),
        _steps(look_ahead),
        _padded(np.array(leaves, dtype="<u2").tobytes()),
    ]
    return b"".join(parts)


def _places(sizes: Iterable[int]) -> bytes:
    """Where each of some things begins that lie one behind the other, and where the last one ends."""
    begin = np.concatenate([[0], np.cumsum(list(sizes), dtype=np.int64)])
    of_groups = begin[::_GROUP]
    within = begin - np.repeat(of_groups, _GROUP)[: len(begin)]
    if within.max() > 65535:
        raise NgramError(f"{_GROUP} neighbours in a word model take {within.max()} entries, over 65535")
    return of_groups.astype("<u4").tobytes() + _padded(within.astype("<u2").tobytes())


class _Ngrams:
    """Bigrams and trigrams as they stand in the file."""

    def __init__(self, model: NgramModel) -> None:
        def begins_of(parts: Sequence[bytes]) -> NDArray[np.uint32]:
            return np.cumsum([0, *map(len, parts)]).astype("<u4")

        num_words = len(model.words)
        contexts, first_trigrams = np.unique(model.contexts, return_index=True)
        self.num_contexts = len(contexts)
        values = (model.bigrams, model.bigram_back_offs[contexts], model.trigrams)
        levels = [codebook(of_kind) for of_kind in values]
        self.codebooks = b"".join(of_kind.astype("<f4").tobytes() for of_kind in levels)
        of_bigrams, of_contexts, of_trigrams = (
            nearest(of_kind, given) for of_kind, given in zip(levels, values, strict=True)
        )

        begin = np.concatenate([[0], np.cumsum(np.bincount(model.before, minlength=num_words))])
        context_begin = np.searchsorted(model.before[contexts], np.arange(num_words + 1))
        of_words = []
        for first_context, behind, followed in zip(
            context_begin.tolist(),
            pack_lists(begin, model.after, of_bigrams),
            pack_lists(context_begin, model.after[contexts], of_contexts),
            strict=False,  # the last begin is where all end
        ):
            if followed:
                followed = packed_number(first_context) + followed
            of_words.append(packed_number(len(followed)) + followed + behind if behind else b"")
        self.bigrams = b"".join(of_words) + bytes(_SLACK_BYTES)
        self.bigram_begin = begins_of(of_words).tobytes()

        # A trigram's word is told by its place behind the word before it.
        middle = model.after[model.contexts]
        places = model.find_bigrams(middle, model.third) - begin[middle]
        lists = pack_lists(np.append(first_trigrams, len(places)), places, of_trigrams)
        self.trigrams = b"".join(lists) + bytes(_SLACK_BYTES)
        self.trigram_begin = begins_of(lists)[:-1:_LISTS_PER_PLACE].tobytes()


def make_word_model(
    model: NgramModel,
    *,
    lexicon: Lexicon | None = None,
    num_words: int = NUM_WORDS,
    num_bigrams: int = NUM_BIGRAMS,
    num_trigrams: int = NUM_TRIGRAMS,
) -> bytes:
    """The file for the likeliest words of ``model`` that ``lexicon`` (by default galago's own) lists.

    Raises NgramError where no word is left, or more are asked for than a file can hold.
    """
    if not 0 < num_words <= MAX_WORDS:
        raise NgramError(f"num_words is {num_words}, must be in [1, {MAX_WORDS}]")
    pronunciations = listed_pronunciations(lexicon or load_default())
    kept = model.limited(num_words, num_bigrams, num_trigrams, keep=lambda word: bool(pronunciations(word)))
    return build_word_model(kept, pronunciations)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a word model and say how large it is."""
    parser = argparse.ArgumentParser(description="The words that open text is made of.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--arpa", type=Path, help="its n-grams are used [those of the package pocketsphinx]")
    parser.add_argument("--num-words", type=int, default=NUM_WORDS)
    parser.add_argument("--num-bigrams", type=int, default=NUM_BIGRAMS)
    parser.add_argument("--num-trigrams", type=int, default=NUM_TRIGRAMS)
    args = parser.parse_args(arguments)
    model = read_arpa(args.arpa) if args.arpa is not None else pocketsphinx_ngrams()
    data = make_word_model(
        model, num_words=args.num_words, num_bigrams=args.num_bigrams, num_trigrams=args.num_trigrams
    )
    args.out.write_bytes(data)
    print(f"{args.out}: {len(data)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
