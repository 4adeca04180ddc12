"""Rotations of rows: products know distances only, wherever rows are counted from."""

from __future__ import annotations

import math

import pytest
import torch

from galago.models.transformer import SelfAttention, rotated


def test_products_depend_on_distance_only() -> None:
    """Whatever the first row's number, and between any two pairs of rows that are as far apart."""
    generator = torch.Generator().manual_seed(1)
    query, key = (torch.randn(8, generator=generator).double() for _ in range(2))
    rows = torch.Size([40, 8])
    queries = rotated(query.expand(rows), 6)
    keys = rotated(key.expand(rows), 6)
    products = queries @ keys.T
    for distance in range(-20, 20):
        of_distance = products.diagonal(distance)
        torch.testing.assert_close(of_distance, of_distance[:1].expand_as(of_distance))
    assert float(products[0].std()) > 0.1  # and they do depend on it
    moved = rotated(query.expand(rows), 6, first_row=1000) @ rotated(key.expand(rows), 6, first_row=1000).T
    torch.testing.assert_close(moved, products)


def test_a_pair_turns_by_the_angle_of_its_row() -> None:
    turned = rotated(torch.tensor([[1.0, 0.0, 1.0, 0.0, 3.0, 4.0]]).expand(3, 6), 4)
    for row in range(3):
        expected = [math.cos(row), math.sin(row), math.cos(row / 100), math.sin(row / 100), 3.0, 4.0]
        torch.testing.assert_close(turned[row], torch.tensor(expected))


def test_rotations_stand_at_the_end_of_what_is_remembered() -> None:
    """The last rows of a whole, and the same rows as a chunk behind the others."""
    torch.manual_seed(2)
    attention = SelfAttention(16, 2, rotary_width=6, has_bias=False).eval()
    assert [name for name, _ in attention.named_parameters()] == [
        f"{part}.weight" for part in ("query", "key", "value", "out")
    ]
    x = torch.randn(2, 12, 16)
    before = x[:, :8]
    bias = torch.zeros(1, 1, 4, 12)
    with torch.no_grad():
        chunk, key, value = attention.forward_chunk(
            x[:, 8:], attention.key(before), attention.value(before), bias
        )
        torch.testing.assert_close(chunk, attention(x)[:, 8:])
    assert key.shape == value.shape == (2, 8, 16)


@pytest.mark.parametrize(("width", "rotary_width"), [(16, 3), (16, 10), (10, 4)])
def test_channels_that_are_no_pairs_are_refused(width: int, rotary_width: int) -> None:
    with pytest.raises(ValueError, match=f"rotary_width {rotary_width} is no even part of {width // 2} chan"):
        SelfAttention(width, 2, rotary_width=rotary_width)
