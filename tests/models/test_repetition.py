"""What a decoder wrote in circles: found in the text, and kept where the characters say that it was said."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from galago.models.repetition import (
    LONGEST_ROUND,
    MOST_ROUNDS,
    said_once,
    without_circle,
)
from galago.models.tokenizer import TOKENS, encode_words

TEXT = "one two three four five".split()


def spoken(text: str, *, sure: float = 0.9) -> Tensor:
    """Log-probabilities of rows that say ``text``: each character, then a blank."""
    labels = [token for label in encode_words(text.split()) for token in (label, 0)]
    rows = torch.full((len(labels), len(TOKENS)), (1.0 - sure) / (len(TOKENS) - 1))
    rows[torch.arange(len(labels)), labels] = sure
    return rows.log()


@pytest.mark.parametrize("length", [1, 5, LONGEST_ROUND])
def test_of_a_circle_one_round_stays(length: int) -> None:
    round_ = [10 + i for i in range(length)]
    for rounds in (1, MOST_ROUNDS - 1):
        assert without_circle([1, 2, *round_ * rounds, 3]) == 3 + length * rounds
    assert without_circle([1, 2, *round_ * MOST_ROUNDS, 3, 4]) == 2 + length
    assert without_circle([*round_ * 9]) == length


def test_what_is_sure_stays() -> None:
    assert without_circle([7] * 9, num_sure=6) == 6
    assert without_circle([7] * 9, num_sure=9) == 9
    twice = TEXT * 2
    assert said_once(twice, spoken(" ".join(TEXT)), num_sure=6) == twice


def test_what_is_longer_than_a_round_is_no_circle() -> None:
    assert without_circle(list(range(LONGEST_ROUND + 1)) * MOST_ROUNDS) == (LONGEST_ROUND + 1) * MOST_ROUNDS
    assert without_circle([]) == 0


def test_a_passage_stays_if_it_was_said_twice() -> None:
    twice = TEXT * 2
    assert said_once(twice, spoken(" ".join(twice))) == twice
    assert said_once(twice, spoken(" ".join(TEXT))) == TEXT
    later = ["and", *TEXT, "or", *TEXT, "and", "so", "on"]
    assert said_once(later, spoken("and one two three four five or")) == later[:7]
    assert said_once(TEXT[:4] * 2, spoken("one")) == TEXT[:4] * 2  # four words in a row may be chance
