"""The alphabets: their order is fixed by the bundle format, and text goes there and back."""

from __future__ import annotations

import pytest

from galago.models.tokenizer import PHONES, TOKENS, encode_phones, encode_words, greedy_text
from galago.runtime.language import lexicon


def test_phones_are_silence_and_the_lexicons_inventory() -> None:
    assert len(PHONES) == 40 and PHONES[0] == "SIL"
    assert list(PHONES[1:]) == sorted(PHONES[1:])
    assert PHONES == tuple(lexicon.PHONES)


def test_tokens_are_blank_space_apostrophe_and_the_letters() -> None:
    assert TOKENS == ("<blank>", " ", "'", *"abcdefghijklmnopqrstuvwxyz")


def test_words_become_tokens_with_one_space_between() -> None:
    assert encode_words(["it's", "a"]) == [11, 22, 2, 21, 1, 3]
    assert encode_words([]) == []
    assert encode_phones(["SIL", "AA", "ZH"]) == [0, 1, 39]


@pytest.mark.parametrize("word", ["Cat", "café", "1999", "a-b"])
def test_what_cannot_be_spelled_is_refused(word: str) -> None:
    with pytest.raises(KeyError):
        encode_words([word])


@pytest.mark.parametrize(
    ("best", "text"),
    [
        ([], ""),
        ([0, 0, 0], ""),
        ([3, 3, 0, 3, 4, 4], "aab"),  # a blank parts two of a kind
        ([1, 3, 1, 1, 0, 1, 4, 1], "a b"),  # spaces never double, nor stand at an end
        ([22, 10, 7, 0, 7], "thee"),
    ],
)
def test_greedy_text_drops_repeats_then_blanks(best: list[int], text: str) -> None:
    assert greedy_text(best) == text


def test_text_survives_the_way_there_and_back() -> None:
    words = "bring me the kettle it's full".split()
    separated = [index for token in encode_words(words) for index in (token, 0)]
    assert greedy_text(separated) == " ".join(words)
