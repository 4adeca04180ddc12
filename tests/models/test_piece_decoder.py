"""The attention decoder: the numbers of transformers' class, causality, and greedy writing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from galago.models.piece_decoder import PieceDecoder, PieceDecoderBlock, PieceDecoderConfig
from galago.models.pieces import BEGIN, END

SMALL = PieceDecoderConfig(
    width=64, num_blocks=2, num_heads=4, feed_forward_width=96, rotary_width=14, num_pieces=48
)


def small_decoder(config: PieceDecoderConfig = SMALL, *, seed: int = 3) -> PieceDecoder:
    """Random weights, where nothing is trivially 0 or 1."""
    torch.manual_seed(seed)
    model = PieceDecoder(config).eval()
    for parameter in model.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return model


def rows_of(num_rows: int, *, batch: int = 1, seed: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(batch, num_rows, SMALL.width, generator=generator)
    return rows, torch.ones(batch, num_rows, dtype=torch.bool)


@torch.no_grad()
def test_the_same_numbers_as_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    settings: dict[str, Any] = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "decoder_num_hidden_layers": 2,
        "encoder_num_hidden_layers": 1,
        "decoder_num_attention_heads": 4,
        "encoder_num_attention_heads": 4,
        "vocab_size": 48,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.9},
    }
    torch.manual_seed(2)
    theirs = transformers.MoonshineForConditionalGeneration(transformers.MoonshineConfig(**settings)).eval()
    ours = PieceDecoder(SMALL).eval()
    ours.set_float(True)
    decoder = theirs.model.decoder
    ours.embedding.weight.copy_(decoder.embed_tokens.weight)
    ours.norm.weight.copy_(decoder.norm.weight)
    for block, layer in zip(ours.blocks, decoder.layers, strict=True):
        assert isinstance(block, PieceDecoderBlock)
        for mine, other in (
            (block.attention_norm, layer.input_layernorm),
            (block.rows_norm, layer.post_attention_layernorm),
            (block.feed_forward_norm, layer.final_layernorm),
            (block.expand, layer.mlp.fc1),
            (block.project, layer.mlp.fc2),
        ):
            mine.load_state_dict(other.state_dict())
        for attention, other in (
            (block.attention, layer.self_attn),
            (block.rows_attention, layer.encoder_attn),
        ):
            for name, theirs_too in (("query", "q"), ("key", "k"), ("value", "v"), ("out", "o")):
                getattr(attention, name).load_state_dict(getattr(other, f"{theirs_too}_proj").state_dict())
    rows, valid = rows_of(37, batch=2)
    pieces = torch.randint(3, 48, (2, 11), generator=torch.Generator().manual_seed(1))
    hidden = decoder(input_ids=pieces, encoder_hidden_states=rows).last_hidden_state
    expected = hidden @ decoder.embed_tokens.weight.T
    found = ours(pieces, rows, valid)
    assert float((found - expected).abs().max()) <= 1e-4
    assert float(expected.std()) > 0.05  # they say something


@torch.no_grad()
def test_a_piece_knows_those_before_it_and_all_valid_rows() -> None:
    model = small_decoder()
    rows, valid = rows_of(20)
    pieces = torch.randint(3, 48, (1, 9), generator=torch.Generator().manual_seed(1))
    whole = model(pieces, rows, valid)
    for length in (1, 4, 8):
        torch.testing.assert_close(model(pieces[:, :length], rows, valid), whole[:, :length])
    valid[:, 15:] = False
    without = model(pieces, rows, valid)
    rows[:, 15:] += 100.0
    torch.testing.assert_close(model(pieces, rows, valid), without)
    assert float((without - whole).abs().max()) > 1e-3


@torch.no_grad()
def test_greedy_takes_the_likeliest_piece_until_the_end() -> None:
    model = small_decoder()
    model.embedding.weight[END] *= 6.0
    rows, valid = rows_of(20, batch=6)
    written = model.greedy(rows, valid, 12)
    lengths = {len(one.pieces) for one in written}
    assert max(lengths) <= 12 and len(lengths) > 1
    for i, one in enumerate(written):
        pieces = torch.tensor([[BEGIN, *one.pieces]])
        log_probs = model(pieces, rows[i : i + 1], valid[i : i + 1])[0].log_softmax(-1)
        best = log_probs.argmax(-1).tolist()
        assert best[: len(one.pieces)] == one.pieces
        assert len(one.pieces) == 12 or best[-1] == END
        expected = [float(log_probs[u, piece]) for u, piece in enumerate(one.pieces)]
        assert one.log_probs == pytest.approx(expected, abs=1e-4)


def test_behind_a_prefix_comes_only_what_may() -> None:
    """A word that was agreed does not grow: what follows begins another."""
    model = small_decoder()
    rows, valid = rows_of(30)
    free = model.greedy(rows, valid, 8, prefix=[7, 9])[0]
    assert free.pieces[:2] == [7, 9] and len(free.log_probs) == len(free.pieces)
    may = torch.ones(SMALL.num_pieces, dtype=torch.bool)
    assert model.greedy(rows, valid, 8, prefix=[7, 9], after_prefix=may)[0] == free
    may[free.pieces[2]] = False
    limited = model.greedy(rows, valid, 8, prefix=[7, 9], after_prefix=may)[0]
    assert limited.pieces[:2] == [7, 9] and limited.pieces[2:3] != free.pieces[2:3]


@torch.no_grad()
def test_its_matrices_are_what_four_bits_hold_unless_float_is_asked_for() -> None:
    model = small_decoder()
    rows, valid = rows_of(20)
    pieces = torch.tensor([[BEGIN, 7, 9]])
    in_integers = model(pieces, rows, valid)
    model.set_float(True)
    assert float((model(pieces, rows, valid) - in_integers).abs().max()) > 1e-3
    model.set_float(False)
    assert torch.equal(model(pieces, rows, valid), in_integers)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"num_heads": 5}, "multiple of num_heads 5"), ({"num_blocks": 0}, "num_blocks must be at least 1")],
)
def test_a_wrong_shape_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SMALL.with_(**changes)
