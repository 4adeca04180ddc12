"""Attention: the worked example, the shift against a gather, parity with a public implementation."""

from __future__ import annotations

import math
import warnings

import pytest
import torch

from galago.models.attention import RelativeAttention, attend, relative_positions, relative_shift


def test_the_worked_example() -> None:
    """Five words of three dimensions, unscaled: one query mixes the values by its likeness to each key."""
    query = torch.tensor([[0.2, 0.9, 0.0]])
    rows = torch.tensor([[0.1, 0, 0.8], [0.1, 0.9, 0], [0, 0.1, 0.8], [0.2, 0.1, 0.6], [0.9, 0, 0.1]])
    mixed, weights = attend(query, rows, rows, scale=1.0)
    torch.testing.assert_close(
        weights, torch.tensor([[0.151, 0.340, 0.162, 0.169, 0.178]]), atol=5e-4, rtol=0
    )
    torch.testing.assert_close(mixed, torch.tensor([[0.243, 0.339, 0.370]]), atol=5e-4, rtol=0)


def test_the_default_scale_is_one_over_the_root_of_the_width() -> None:
    generator = torch.Generator().manual_seed(1)
    query, key, value = (torch.randn(2, 3, 7, 16, generator=generator) for _ in range(3))
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(attend(query, key, value)[0], expected)


@pytest.mark.parametrize(("num_queries", "num_keys"), [(1, 1), (1, 6), (3, 3), (4, 12), (7, 8)])
def test_relative_shift_picks_what_a_gather_picks(num_queries: int, num_keys: int) -> None:
    scores = torch.randn(2, 3, num_queries, num_keys + num_queries - 1)
    row, column = torch.arange(num_queries)[:, None], torch.arange(num_keys)[None, :]
    index = (num_queries - 1 - row + column).expand(2, 3, -1, -1)
    assert torch.equal(relative_shift(scores, num_keys), scores.gather(-1, index))


def test_each_score_meets_the_position_of_its_distance() -> None:
    """Query i of the newest T tokens and key j of all S are S - T + i - j tokens apart."""
    num_queries, num_keys = 3, 5
    by_distance = torch.arange(num_keys - 1, -num_queries, -1.0).expand(num_queries, -1)
    distances = relative_shift(by_distance.contiguous(), num_keys)
    expected = [[num_keys - num_queries + i - j for j in range(num_keys)] for i in range(num_queries)]
    assert distances.tolist() == expected


def test_positions_are_the_sinusoids_of_their_distance() -> None:
    table = relative_positions(5, -5, 8)
    assert table.shape == (11, 8)
    assert table[5].tolist() == [0, 1, 0, 1, 0, 1, 0, 1]  # distance 0
    rates = [10_000.0 ** (-2 * i / 8) for i in range(4)]
    expected = [f(5 * rate) for rate in rates for f in (math.sin, math.cos)]
    torch.testing.assert_close(table[0], torch.tensor(expected), atol=1e-5, rtol=0)


def test_a_width_that_heads_cannot_share_is_refused() -> None:
    with pytest.raises(ValueError, match="10 is not divisible by 4"):
        RelativeAttention(10, 4)


def test_parity_with_the_public_conformer() -> None:
    """The same weights in transformers' Wav2Vec2-Conformer with relative positions: the same result."""
    reason = "transformers is not installed: there is no public implementation to compare with"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not ours to judge
        pytest.importorskip("transformers", reason=reason)
        from transformers import Wav2Vec2ConformerConfig
        from transformers.models.wav2vec2_conformer import modeling_wav2vec2_conformer as public
    width, num_heads, num_tokens = 48, 4, 23
    config = Wav2Vec2ConformerConfig(
        hidden_size=width,
        num_attention_heads=num_heads,
        position_embeddings_type="relative",
        attention_dropout=0.0,
    )
    theirs = public.Wav2Vec2ConformerSelfAttention(config).eval()  # type: ignore[no-untyped-call]
    ours = RelativeAttention(width, num_heads).eval()
    torch.nn.init.normal_(theirs.pos_bias_u)
    torch.nn.init.normal_(theirs.pos_bias_v)
    for mine, name in (("query", "q"), ("key", "k"), ("value", "v"), ("out", "out"), ("position", "pos")):
        getattr(ours, mine).load_state_dict(getattr(theirs, f"linear_{name}").state_dict())
    ours.content_bias.data.copy_(theirs.pos_bias_u[:, None])
    ours.position_bias.data.copy_(theirs.pos_bias_v[:, None])
    x = torch.randn(2, num_tokens, width)
    with torch.no_grad():
        embedded = public.Wav2Vec2ConformerRelPositionalEmbedding(config)(x)  # type: ignore[no-untyped-call]
        expected = theirs(x, relative_position_embeddings=embedded)[0]
        positions = relative_positions(num_tokens - 1, 1 - num_tokens, width)
        torch.testing.assert_close(positions, embedded[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(ours(x, positions, torch.zeros(1)), expected, atol=1e-4, rtol=0)
