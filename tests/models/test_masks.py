"""Masks as their docstrings draw them."""

from __future__ import annotations

import doctest

import pytest
import torch

from galago.models import masks
from galago.models.masks import chunk_mask, padding_mask


def test_the_drawing_of_chunked_attention_is_what_comes_out() -> None:
    drawn = [line.split()[1:7] for line in (chunk_mask.__doc__ or "").splitlines() if line[10:14].strip()]
    rows = [row for row in drawn if len(row) == 6 and set(row) == {"1", "."}]
    assert len(rows) == 6
    expected = torch.tensor([[cell == "1" for cell in row] for row in rows])
    assert torch.equal(chunk_mask(6, 2, 2), expected)


def test_the_example_of_padding() -> None:
    found = doctest.testmod(masks, extraglobs={"torch": torch})
    assert found.attempted and not found.failed


@pytest.mark.parametrize("chunk_tokens", [1, 3, 4])
@pytest.mark.parametrize("left_context_tokens", [None, 0, 2, 5])
def test_each_cell_against_the_words_of_the_rule(chunk_tokens: int, left_context_tokens: int | None) -> None:
    num_tokens = 11
    mask = chunk_mask(num_tokens, chunk_tokens, left_context_tokens)
    for query in range(num_tokens):
        begin = query // chunk_tokens * chunk_tokens
        first = 0 if left_context_tokens is None else begin - left_context_tokens
        seen = [first <= key < begin + chunk_tokens for key in range(num_tokens)]
        assert mask[query].tolist() == seen


def test_full_context_sees_everything() -> None:
    assert chunk_mask(5, None, None).all()


def test_padding_of_nothing_and_of_all() -> None:
    assert padding_mask(torch.tensor([0, 2]), 2).tolist() == [[False, False], [True, True]]
