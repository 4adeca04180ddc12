"""Letter-to-sound: a tiny regular spelling is learned, kept in bytes, and read back."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from galago.runtime.language.graphone_model import BOUNDARY, TOKEN_BITS, GraphoneModel
from galago.runtime.language.letter_alignment import align, chunk_phones
from galago.runtime.language.letter_to_sound import LetterToSound, edit_distance, evaluate, is_held_out
from galago.runtime.language.lexicon import load_default

# A language of syllables: consonant, vowel; "sh" is one sound, "x" is two, a final "e" is silent.
_CONSONANTS = {"b": ("B",), "d": ("D",), "m": ("M",), "sh": ("SH",), "x": ("K", "S"), "s": ("S",)}
_VOWELS = {"a": ("AA",), "i": ("IH",), "o": ("OW",)}


def _entries() -> list[tuple[str, tuple[str, ...]]]:
    syllables = [
        (consonant + vowel, phones + _VOWELS[vowel])
        for consonant, phones in _CONSONANTS.items()
        for vowel in _VOWELS
    ]
    entries = []
    for (first, begin), (second, end) in itertools.product(syllables, syllables):
        entries.append((first + second, begin + end))
        entries.append((first + second + "me", (*begin, *end, "M")))
    return entries


@pytest.fixture(scope="module")
def model() -> LetterToSound:
    return LetterToSound.train([(w, p) for w, p in _entries() if not is_held_out(w)], threshold=0.0)


def test_alignment_gives_each_letter_its_phones() -> None:
    entries = _entries()
    alignments = align(entries)
    for word, letters in (("xashi", "K S|AA|SH||IH"), ("bidome", "B|IH|D|OW|M|")):
        index = [entry[0] for entry in entries].index(word)
        alignment = alignments[index]
        assert alignment is not None
        found = [" ".join(chunk_phones(code)) for code in alignment.chunks.tolist()]
        if word == "xashi":  # either letter of "sh" may carry its sound
            found = ["SH" if chunk == "SH" else chunk for chunk in found]
            assert sorted(found) == sorted(letters.split("|"))
        else:
            assert found == letters.split("|")


def test_alignment_refuses_more_than_two_phones_a_letter() -> None:
    assert align([("a", ("B", "AA", "B")), ("ba", ("B", "AA"))])[0] is None


def test_a_regular_spelling_is_read_without_error_on_words_it_never_saw(model: LetterToSound) -> None:
    held_out = [(word, [phones]) for word, phones in _entries() if is_held_out(word)]
    result = evaluate(model, held_out)
    assert result["num_words"] == len(held_out) > 10
    assert result["word_accuracy"] == 1.0
    assert result["phone_error_rate"] == 0.0


def test_the_best_readings_come_first_and_differ(model: LetterToSound) -> None:
    readings = model.pronounce("shabi", num_best=2)
    assert readings[0] == ("SH", "AA", "B", "IH")
    assert len(set(readings)) == len(readings) == 2


def test_an_unknown_letter_is_named(model: LetterToSound) -> None:
    with pytest.raises(ValueError, match="'z' in 'baz'"):
        model.pronounce("baz")


def test_bytes_are_deterministic_and_read_alike(model: LetterToSound) -> None:
    data = model.to_bytes()
    again = LetterToSound.from_bytes(data)
    assert again.to_bytes() == data
    for word, _ in _entries()[::7]:
        assert again.pronounce(word) == model.pronounce(word)


@pytest.mark.parametrize("num_bytes", [0, 3, 10, 200])
def test_cut_bytes_are_refused(model: LetterToSound, num_bytes: int) -> None:
    with pytest.raises(ValueError, match="letter-to-sound table"):
        LetterToSound.from_bytes(model.to_bytes()[:num_bytes])


@pytest.mark.parametrize("threshold", [-1.0, 1e-5, 1e-3])
def test_the_probabilities_of_each_context_sum_to_one_pruned_or_not(threshold: float) -> None:
    rng = np.random.default_rng(7)
    tokens = np.array([2, 3, 4, 5, 200])
    sequences = [
        rng.choice(tokens, rng.integers(1, 7), p=[0.5, 0.2, 0.1, 0.1, 0.1]).tolist() for _ in range(500)
    ]
    model = GraphoneModel.train(sequences, order=4, threshold=threshold)
    for context in ([BOUNDARY], [BOUNDARY, 2], [2, 3, 4], [200, 5], [5, 5, 5]):
        history = 0
        for token in context:
            history = history << TOKEN_BITS | token
        ngrams = (history << TOKEN_BITS) | np.array([BOUNDARY, *tokens])
        assert math.isclose(np.exp(model.log_prob(ngrams)).sum(), 1.0, rel_tol=1e-9)


def test_pruning_keeps_fewer_ngrams_the_higher_its_threshold() -> None:
    rng = np.random.default_rng(11)
    sequences = [rng.integers(2, 9, 5).tolist() for _ in range(300)]
    sizes = [GraphoneModel.train(sequences, order=3, threshold=t).num_ngrams for t in (-1.0, 1e-3, 1e-2)]
    assert sizes[0] > sizes[1] > sizes[2]


def test_edit_distance_counts_each_kind_of_error_once() -> None:
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance("", "abc") == 3
    assert edit_distance("abc", "abc") == 0


def test_the_shipped_table_reads_new_words_as_a_speaker_would() -> None:
    lexicon = load_default()
    assert [" ".join(lexicon.pronounce(word)[0]) for word in ("blit", "snorfing", "plade")] == [
        "B L IH T",
        "S N AO R F IH NG",
        "P L EY D",
    ]
