"""The best CTC path that spells a text: its score beside all paths, and where its words are."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from galago.models.ctc_path import FLOOR_NATS, num_heard, path_ratio, word_places
from galago.models.tokenizer import TOKENS, encode_words, greedy_text
from tests.models.test_repetition import spoken


def test_a_ratio_is_the_best_of_all_paths() -> None:
    """Of all 29^T, but for those of tokens that no row has: by trying every one."""
    torch.manual_seed(3)
    tokens = [0, *encode_words(["a b"])]
    rows = torch.full((5, len(TOKENS)), -30.0)
    rows[:, tokens] = torch.log_softmax(torch.randn(5, len(tokens)), -1)
    best: dict[str, float] = {}
    for path in product(tokens, repeat=5):
        text = greedy_text(path)
        spelled = "".join(TOKENS[t] for i, t in enumerate(path) if t and (i == 0 or path[i - 1] != t))
        score = float(sum(rows[i, t] for i, t in enumerate(path)))
        if spelled == text:  # without spaces at its ends
            best[text] = max(best.get(text, -math.inf), score)
    top = float(rows.max(-1).values.sum())
    for text in ("a b", "ab", "aa", "b", ""):
        assert path_ratio(text.split(), rows) == pytest.approx(best[text] - top, abs=1e-4)


def test_a_text_that_does_not_fit_is_as_bad_as_can_be() -> None:
    rows = spoken("a")
    assert path_ratio(["abcdef"], rows) == FLOOR_NATS * len(rows)
    assert path_ratio(["a"], rows) == pytest.approx(0.0, abs=1e-6)


def test_words_are_where_their_characters_are() -> None:
    rows = spoken("ab c dd")  # each character, then a blank: "ab" in rows 0 to 2, "c" in 6, "dd" in 10 to 12
    assert word_places(["ab", "c", "dd"], rows) == [(0, 3), (6, 7), (10, 13)]
    quiet = torch.cat([spoken("ab c dd")[1:2].repeat(5, 1), rows, rows[1:2].repeat(4, 1)])
    assert word_places(["ab", "c", "dd"], quiet) == [(5, 8), (11, 12), (15, 18)]
    assert word_places(["ab", "dd"], rows) == [(0, 3), (10, 13)]  # what is not in the text is between them
    assert word_places([], rows) == []


def test_of_too_few_rows_each_word_has_a_share() -> None:
    places = word_places(["abcd", "efgh"], torch.zeros(6, len(TOKENS)))
    assert places[0][0] <= places[0][1] <= places[1][0] <= places[1][1] <= 6


def test_what_is_heard_are_characters_of_the_best_path() -> None:
    rows = spoken("ab c dd")
    assert num_heard(rows, 0, len(rows)) == 5
    assert num_heard(rows, 3, 9) == 1
    assert num_heard(rows, 4, 4) == 0
    assert num_heard(rows.repeat_interleave(2, dim=0), 0, 2 * len(rows)) == 5
