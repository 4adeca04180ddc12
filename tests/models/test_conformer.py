"""The ear: causal, the same in chunks as in whole, indifferent to padding, and as big as its name says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from galago.models.conformer import PRESETS, Conformer, ConformerConfig

SMALL = ConformerConfig(
    width=16,
    num_blocks=2,
    num_heads=1,
    kernel_tokens=5,
    subsampling_channels=(2, 3),
    phone_block=1,
    left_context_tokens=12,
    num_mels=16,
    num_phones=7,
    num_tokens=5,
)
NUM_CHUNKS = 500


def ear(**changes: Any) -> Conformer:
    torch.manual_seed(3)
    model = Conformer(SMALL.with_(**changes)).eval()
    for parameter in model.parameters():  # biases and position biases begin at zero: nothing may hide there
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return model


def features(num_frames: int, *, batch: int = 1, seed: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return -6.0 + 4.0 * torch.randn(batch, num_frames, SMALL.num_mels, generator=generator)


def whole(model: Conformer, x: Tensor, chunk_tokens: int | None) -> tuple[Tensor, Tensor]:
    output = model(x, torch.full((len(x),), x.shape[1]), chunk_tokens=chunk_tokens)
    return torch.log_softmax(output.phone_logits, -1), torch.log_softmax(output.token_logits, -1)


def stream(
    model: Conformer, x: Tensor, chunk_tokens: int, *, keep_first: float = 1.0
) -> tuple[Tensor, Tensor]:
    states = model.initial_states(len(x))
    phones, tokens = [], []
    for number, chunk in enumerate(torch.split(x, 4 * chunk_tokens, dim=1)):
        keep = torch.tensor([keep_first if number == 0 else 1.0])
        phone, token, states = model.forward_chunk(chunk, keep, states)
        phones.append(phone)
        tokens.append(token)
    return torch.cat(phones, dim=1), torch.cat(tokens, dim=1)


def whole_in_windows(model: Conformer, x: Tensor, chunk_tokens: int) -> tuple[Tensor, Tensor]:
    """:func:`whole` of a long ``x``, whose scores of all tokens with all would take gigabytes.

    Two blocks hear back less than two chunks, two left contexts and two kernels: a window that begins ten
    chunks early is the whole.
    """
    window, early = 60 * chunk_tokens, 10 * chunk_tokens
    assert 2 * (chunk_tokens + SMALL.left_context_tokens + SMALL.kernel_tokens) < early
    phones: list[Tensor] = []
    tokens: list[Tensor] = []
    for begin in range(0, x.shape[1] // 4, window):
        first = max(0, begin - early)
        last = begin + window + chunk_tokens  # a lookahead ends in the next chunk
        outputs = whole(model, x[:, 4 * first : 4 * last], chunk_tokens)
        for rows, output in zip((phones, tokens), outputs, strict=True):
            rows.append(output[:, begin - first : begin - first + window])
    return torch.cat(phones, dim=1), torch.cat(tokens, dim=1)


@torch.no_grad()
@pytest.mark.parametrize("lookahead_tokens", [0, 3])
@pytest.mark.parametrize("chunk_tokens", [4, 8, 16])
def test_a_stream_is_the_whole(chunk_tokens: int, lookahead_tokens: int) -> None:
    """500 chunks: the difference is rounding, and does not grow. Rows of a stream lag by the lookahead."""
    model = ear(lookahead_tokens=lookahead_tokens)
    x = features(4 * chunk_tokens * NUM_CHUNKS)
    num_rows = chunk_tokens * NUM_CHUNKS - lookahead_tokens
    expected = (whole if chunk_tokens == 4 else whole_in_windows)(model, x, chunk_tokens)
    for heard, wanted in zip(stream(model, x, chunk_tokens), expected, strict=True):
        difference = (heard[:, lookahead_tokens:] - wanted[:, :num_rows]).abs()
        assert float(difference.max()) <= 1e-4


@torch.no_grad()
@pytest.mark.parametrize("lookahead_tokens", [0, 2])
def test_no_chunk_hears_a_later_one(lookahead_tokens: int) -> None:
    """For every chunk: whatever comes after it (and the lookahead) changes nothing up to its end."""
    chunk_tokens, num_tokens = 4, 24
    model = ear(lookahead_tokens=lookahead_tokens)
    x = features(4 * num_tokens)
    before = whole(model, x, chunk_tokens)
    for end in range(chunk_tokens, num_tokens, chunk_tokens):
        changed = torch.cat([x[:, : 4 * end], features(4 * (num_tokens - end), seed=end)], dim=1)
        known = end - lookahead_tokens
        for old, new in zip(before, whole(model, changed, chunk_tokens), strict=True):
            torch.testing.assert_close(new[:, :known], old[:, :known], atol=1e-5, rtol=0)
            assert not torch.allclose(new[:, known:], old[:, known:], atol=1e-3)


@torch.no_grad()
def test_full_context_hears_the_future() -> None:
    model = ear()
    x = features(96)
    changed = torch.cat([x[:, :48], features(48, seed=9)], dim=1)
    assert not torch.allclose(
        whole(model, x, None)[1][:, :12], whole(model, changed, None)[1][:, :12], atol=1e-3
    )


@torch.no_grad()
@pytest.mark.parametrize("lookahead_tokens", [0, 2])
def test_keep_0_forgets(lookahead_tokens: int) -> None:
    """After any past, also one of huge values, a stream that is told to forget is a new stream."""
    model = ear(lookahead_tokens=lookahead_tokens)
    x = features(64)
    fresh, *_, states = model.forward_chunk(x[:, :32], torch.ones(1), model.initial_states())
    spoiled = {name: state * 50.0 + 10.0 for name, state in states.items()}
    forgot, *_, after = model.forward_chunk(x[:, :32], torch.zeros(1), spoiled)
    torch.testing.assert_close(forgot, fresh, atol=1e-5, rtol=0)
    following = model.forward_chunk(x[:, 32:], torch.ones(1), after)[0]
    expected = model.forward_chunk(x[:, 32:], torch.ones(1), states)[0]
    torch.testing.assert_close(following, expected, atol=1e-5, rtol=0)
    remembered = model.forward_chunk(x[:, :32], torch.ones(1), spoiled)[0]
    assert not torch.allclose(remembered, fresh, atol=1e-2)


@torch.no_grad()
def test_streams_of_a_batch_do_not_meet() -> None:
    model = ear()
    x = torch.cat([features(64, seed=1), features(64, seed=2)])
    together = stream(model, x, 4)[1]
    apart = torch.cat([stream(model, row[None], 4)[1] for row in x])
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("lookahead_tokens", [0, 3])
@pytest.mark.parametrize("chunk_tokens", [None, 4])
def test_padding_changes_no_result(chunk_tokens: int | None, lookahead_tokens: int) -> None:
    """A short utterance in a batch is heard as alone, whatever the padding holds, in its last tokens too."""
    model = ear(lookahead_tokens=lookahead_tokens)
    for num_frames in (4, 21, 38, 63):
        alone = features(num_frames)
        padded = torch.full((2, 80, SMALL.num_mels), 1e3)
        padded[0, :num_frames] = alone[0]
        padded[1] = features(80, seed=8)[0]
        single = model(alone, torch.tensor([num_frames]), chunk_tokens=chunk_tokens)
        both = model(padded, torch.tensor([num_frames, 80]), chunk_tokens=chunk_tokens)
        num_tokens = int(single.num_tokens[0])
        assert both.num_tokens.tolist() == [num_tokens, 20] and num_tokens == -(-num_frames // 4)
        for lonely, accompanied in (
            (single.phone_logits, both.phone_logits),
            (single.token_logits, both.token_logits),
        ):
            torch.testing.assert_close(accompanied[0, :num_tokens], lonely[0, :num_tokens], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("preset", "num_parameters", "millions"),
    [("3m", 3_245_781, 3), ("4m", 3_750_213, 4), ("10m", 10_117_317, 10), ("30m", 30_482_373, 30)],
)
def test_presets_have_the_size_of_their_name(preset: str, num_parameters: int, millions: int) -> None:
    with torch.device("meta"):
        model = Conformer(PRESETS[preset])
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == num_parameters
    assert abs(count / 1e6 - millions) <= 0.15 * millions


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"phone_block": 9}, "phone_block 9 is not among 2 blocks"),
        ({"width": 18, "num_heads": 4}, "width 18"),
        ({"num_blocks": 0}, "num_blocks must be at least 1"),
        ({"subsampling_channels": (4,)}, "subsampling_channels must be two counts"),
        ({"num_mels": 81}, "num_mels 81"),
        ({"dropout": 1.0}, "dropout must be in"),
        ({"lookahead_tokens": -1}, "lookahead_tokens must be at least 0"),
    ],
)
def test_a_network_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SMALL.with_(**changes)
