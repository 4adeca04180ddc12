"""Pronunciations of words that no dictionary holds, from their letters.

A word is read as a sequence of graphones, one a letter: the letter with the phones it makes (none, one or
two). An n-gram model over graphones, trained from aligned dictionary entries, scores them; a small beam
finds the best reading.

    python -m galago.runtime.language.letter_to_sound CMUDICT    held-out accuracy, trained on the rest
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import struct
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from galago.runtime.language.graphone_model import BOUNDARY, MAX_ORDER, MAX_TOKEN, TOKEN_BITS, GraphoneModel
from galago.runtime.language.letter_alignment import LETTER_INDEX, LETTERS, align, chunk_phones
from galago.runtime.language.phones import Pronunciation

ORDER = 6
PRUNE_THRESHOLD = 3e-6  # nats a graphone; gives a table of some 430 KB after gzip
_MIN_GRAPHONE_COUNT = 3  # rarer ones are acronyms and slips of the dictionary
_BEAM_WIDTH = 12
_HELD_OUT_EVERY = 20
_COUNT = struct.Struct("<I")

Graphone = tuple[int, int]  # letter index, chunk code
Entries = Sequence[tuple[str, Pronunciation]]


class LetterToSound:
    """Reads any word over ``a``-``z`` and the apostrophe."""

    def __init__(self, graphones: Sequence[Graphone], model: GraphoneModel) -> None:
        self._graphones = list(graphones)  # token id = index + 2; 1 is the boundary
        self._model = model
        self._tokens_of_letter: dict[str, list[int]] = defaultdict(list)
        for token, (letter, _) in enumerate(self._graphones, start=BOUNDARY + 1):
            self._tokens_of_letter[LETTERS[letter]].append(token)

    @classmethod
    def train(
        cls, entries: Entries, *, order: int = ORDER, threshold: float = PRUNE_THRESHOLD
    ) -> LetterToSound:
        """Train from (word, phones); entries with characters outside ``LETTERS`` are skipped."""
        usable = [(word, phones) for word, phones in entries if word and LETTER_INDEX.keys() >= set(word)]
        read = [
            [
                (LETTER_INDEX[letter], code)
                for letter, code in zip(word, alignment.chunks.tolist(), strict=True)
            ]
            for (word, _), alignment in zip(usable, align(usable), strict=True)
            if alignment is not None
        ]
        counts = Counter(itertools.chain.from_iterable(read))
        graphones = sorted(graphone for graphone, count in counts.items() if count >= _MIN_GRAPHONE_COUNT)
        if len(graphones) > MAX_TOKEN - BOUNDARY:
            commonest = sorted(graphones, key=lambda graphone: (-counts[graphone], graphone))
            graphones = sorted(commonest[: MAX_TOKEN - BOUNDARY])
        token_of = {graphone: token for token, graphone in enumerate(graphones, start=BOUNDARY + 1)}
        sequences = [
            [token_of[graphone] for graphone in word]
            for word in read
            if all(graphone in token_of for graphone in word)
        ]
        if not sequences:
            raise ValueError("no entry to learn letter-to-sound from")
        return cls(graphones, GraphoneModel.train(sequences, order=order, threshold=threshold))

    def pronounce(self, word: str, *, num_best: int = 1) -> list[Pronunciation]:
        """The ``num_best`` likeliest pronunciations of ``word``, best first; none of them is empty.

        Raises ValueError for characters outside ``a``-``z`` and apostrophe (and for a letter the
        training data never used).
        """
        history = np.array([BOUNDARY], np.int64)
        scores = np.zeros(1)
        readings: list[tuple[int, ...]] = [()]
        mask = (1 << (TOKEN_BITS * (MAX_ORDER - 1))) - 1
        for letter in word:
            tokens = np.array(self._tokens_of_letter.get(letter, []), np.int64)
            if not len(tokens):
                raise ValueError(f"letter-to-sound cannot read {letter!r} in {word!r}")
            ngrams = ((history[:, None] << TOKEN_BITS) | tokens).ravel()
            total = (scores[:, None] + self._model.log_prob(ngrams).reshape(len(history), -1)).ravel()
            best = np.argsort(-total, kind="stable")[:_BEAM_WIDTH]
            readings = [(*readings[index // len(tokens)], int(tokens[index % len(tokens)])) for index in best]
            history, scores = ngrams[best] & mask, total[best]
        scores = scores + self._model.log_prob((history << TOKEN_BITS) | BOUNDARY)
        pronunciations: dict[Pronunciation, None] = {}
        for index in np.argsort(-scores, kind="stable"):
            phones = tuple(
                phone
                for token in readings[index]
                for phone in chunk_phones(self._graphones[token - BOUNDARY - 1][1])
            )
            if phones:
                pronunciations[phones] = None
        if not pronunciations:
            raise ValueError(f"letter-to-sound finds no phones in {word!r}")
        return list(pronunciations)[:num_best]

    def to_bytes(self) -> bytes:
        """Serialise, uncompressed; the same model gives the same bytes."""
        table = np.array(self._graphones, np.uint16).tobytes()
        return _COUNT.pack(len(self._graphones)) + table + self._model.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> LetterToSound:
        """Inverse of ``to_bytes``. Raises ValueError for bytes that are none."""
        if len(data) < _COUNT.size:
            raise ValueError("letter-to-sound table: cut short")
        (num_graphones,) = _COUNT.unpack_from(data)
        end = _COUNT.size + 4 * num_graphones
        if len(data) < end or num_graphones > MAX_TOKEN - BOUNDARY:
            raise ValueError(f"letter-to-sound table: {num_graphones} graphones in {len(data)} bytes")
        table = np.frombuffer(data[_COUNT.size : end], "<u2").reshape(-1, 2)
        graphones = [(int(letter), int(code)) for letter, code in table]
        return cls(graphones, GraphoneModel.from_bytes(data[end:]))


def is_held_out(word: str) -> bool:
    """Every 20th word, by its hash: the same words whatever the order of the dictionary."""
    digest = hashlib.sha256(word.encode()).digest()
    return int.from_bytes(digest[:4], "little") % _HELD_OUT_EVERY == 0


def edit_distance(left: Sequence[str], right: Sequence[str]) -> int:
    """Levenshtein distance: substitutions, insertions and deletions cost one each."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(right, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


def evaluate(
    model: LetterToSound, references: Iterable[tuple[str, Sequence[Pronunciation]]]
) -> dict[str, float]:
    """Word accuracy and phone error rate in [0, 1]; a word counts against its nearest reference."""
    num_words = num_right = num_errors = num_phones = 0
    for word, pronunciations in references:
        heard = model.pronounce(word)[0]
        errors, length = min((edit_distance(heard, phones), len(phones)) for phones in pronunciations)
        num_words += 1
        num_right += errors == 0
        num_errors += errors
        num_phones += length
    return {
        "num_words": num_words,
        "word_accuracy": num_right / max(num_words, 1),
        "phone_error_rate": num_errors / max(num_phones, 1),
    }


def main() -> None:
    """Train without the held-out words, measure on them, print one JSON object."""
    import gzip

    from galago.runtime.language.cmudict import read_cmudict

    parser = argparse.ArgumentParser(description="Held-out accuracy of letter-to-sound on a CMUdict file.")
    parser.add_argument("dictionary", type=Path)
    parser.add_argument("--order", type=int, default=ORDER)
    parser.add_argument("--threshold", type=float, default=PRUNE_THRESHOLD)
    args = parser.parse_args()
    words = {
        word: pronunciations
        for word, pronunciations in read_cmudict(args.dictionary).items()
        if LETTER_INDEX.keys() >= set(word)
    }
    begin = time.perf_counter()
    model = LetterToSound.train(
        [(word, phones) for word, variants in words.items() if not is_held_out(word) for phones in variants],
        order=args.order,
        threshold=args.threshold,
    )
    trained = time.perf_counter()
    table = model.to_bytes()
    result = evaluate(
        LetterToSound.from_bytes(table), ((word, words[word]) for word in sorted(words) if is_held_out(word))
    )
    result["train_s"] = round(trained - begin, 1)
    result["ms_a_word"] = round((time.perf_counter() - trained) / result["num_words"] * 1e3, 2)
    result["table_gzip_bytes"] = len(gzip.compress(table, 9, mtime=0))
    print(json.dumps({key: round(value, 4) for key, value in result.items()}))


if __name__ == "__main__":
    main()
