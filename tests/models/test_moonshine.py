"""Moonshine's encoder: heard in chunks as in a stream, alike in every batch, as large as published."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from galago.models.flops import count_parameters
from galago.models.moonshine import MOONSHINE_PRESETS, MoonshineConfig, MoonshineEncoder
from tests.models.test_wav2vec2 import speech

STEP = 384
SMALL = MoonshineConfig(
    width=16,
    num_blocks=2,
    num_heads=2,
    feed_forward_width=24,
    rotary_width=6,
    left_context_rows=15,
    norm_horizon_rows=40,
)


def encoder(**changes: Any) -> MoonshineEncoder:
    torch.manual_seed(3)
    model = MoonshineEncoder(SMALL.with_(**changes)).eval()
    for parameter in model.parameters():  # some begin at zero or one: nothing may hide there
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return model


def heard(model: MoonshineEncoder, x: Tensor, chunk_rows: int | None) -> Tensor:
    return model.hear(x, torch.full((len(x),), x.shape[1]), chunk_rows=chunk_rows)


def start(model: MoonshineEncoder, batch: int = 1) -> dict[str, Tensor]:
    return {name: torch.zeros(batch, *shape) for name, shape in model.state_shapes().items()}


def stream(model: MoonshineEncoder, x: Tensor, chunk_rows: int) -> Tensor:
    states, rows, keep = start(model, len(x)), [], torch.zeros(1)
    for chunk in torch.split(x, STEP * chunk_rows, dim=1):
        row, states = model.forward_chunk(chunk, keep, states)
        rows.append(row)
        keep = torch.ones(1)
    return torch.cat(rows, dim=1)


@torch.no_grad()
@pytest.mark.parametrize(("chunk_rows", "num_chunks"), [(5, 500), (10, 100), (20, 50)])
def test_a_stream_is_the_whole(chunk_rows: int, num_chunks: int) -> None:
    """The difference is rounding, and does not grow; rotations are counted from elsewhere."""
    model = encoder()
    x = speech(STEP * chunk_rows * num_chunks)
    found, expected = stream(model, x, chunk_rows), heard(model, x, chunk_rows)
    assert found.shape == (1, chunk_rows * num_chunks, 16)
    assert float((found - expected).abs().max()) <= 1e-4
    assert float(expected.std()) > 0.3


@torch.no_grad()
def test_no_chunk_hears_a_later_one() -> None:
    model, chunk_rows, num_rows = encoder(), 5, 20
    x = speech(STEP * num_rows)
    before = heard(model, x, chunk_rows)
    for end in range(chunk_rows, num_rows, chunk_rows):
        changed = torch.cat([x[:, : STEP * end], speech(STEP * (num_rows - end), seed=end)], dim=1)
        after = heard(model, changed, chunk_rows)
        torch.testing.assert_close(after[:, :end], before[:, :end], atol=1e-5, rtol=0)
        assert not torch.allclose(after[:, end:], before[:, end:], atol=1e-2)


@torch.no_grad()
def test_attention_forgets_what_is_further_than_the_left_context() -> None:
    """In a network of one block and with a statistic that forgets: the past beyond both is nearly gone."""
    model = encoder(num_blocks=1, norm_horizon_rows=5)
    x = speech(STEP * 60)
    changed = torch.cat([speech(STEP * 5, seed=9), x[:, STEP * 5 :]], dim=1)
    change = (heard(model, changed, 5) - heard(model, x, 5)).abs().amax(-1)[0]
    assert float(change[:25].max()) > 1e-2 and float(change[30:].max()) < 1e-4


@torch.no_grad()
@pytest.mark.parametrize("chunk_rows", [None, 5, 10])
def test_an_utterance_is_heard_alike_in_every_batch(chunk_rows: int | None) -> None:
    """Alone, beside longer ones, whatever the padding holds, and however the last row or chunk is filled."""
    model = encoder()
    for num_samples in (STEP * 3 - 70, STEP * 10, STEP * 17 + 5):
        num_rows = -(-num_samples // STEP)
        step = STEP * (chunk_rows or 1)
        alone = torch.full((1, -(-num_samples // step) * step), 1e3)
        alone[:, :num_samples] = speech(num_samples)
        batch = torch.full((3, STEP * 40), -1e3)
        batch[1, :num_samples] = alone[0, :num_samples]
        batch[0], batch[2] = speech(STEP * 40, seed=8)[0], speech(STEP * 40, seed=9)[0]
        counts = torch.tensor([STEP * 40, num_samples, STEP * 21])
        expected = model.hear(alone, torch.tensor([num_samples]), chunk_rows=chunk_rows)
        found = model.hear(batch, counts, chunk_rows=chunk_rows)
        torch.testing.assert_close(found[1, :num_rows], expected[0, :num_rows], atol=1e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("num_samples", [STEP * 24, STEP * 21 + 100, STEP * 3])
def test_a_last_chunk_that_is_filled_up_is_heard_as_if_it_ended_there(num_samples: int) -> None:
    """With zeros, which neither attention nor the norm hears; they come in the middle of a stream, too."""
    model, chunk_rows = encoder(), 20
    num_rows = -(-num_samples // STEP)
    x = torch.zeros(1, STEP * chunk_rows * 2)
    x[:, :num_samples] = speech(num_samples)
    whole = model.hear(x, torch.tensor([num_samples]), chunk_rows=chunk_rows)
    found = stream(model, x, chunk_rows)
    torch.testing.assert_close(found[:, :num_rows], whole[:, :num_rows], atol=1e-4, rtol=0)
    if num_rows <= chunk_rows:  # one chunk that hears everything: with any other fill, the same
        alone = model.hear(x[:, : STEP * num_rows], torch.tensor([STEP * num_rows]), chunk_rows=num_rows)
        torch.testing.assert_close(found[:, :num_rows], alone, atol=1e-4, rtol=0)
    paused = torch.cat([x, x], dim=1)
    torch.testing.assert_close(
        stream(model, paused, chunk_rows), heard(model, paused, chunk_rows), atol=1e-4, rtol=0
    )


@torch.no_grad()
def test_keep_0_forgets() -> None:
    """After any past, also one of huge values, a stream that is told to forget is a new stream."""
    model = encoder()
    first, second = torch.split(speech(STEP * 20), STEP * 10, dim=1)
    fresh, states = model.forward_chunk(first, torch.ones(1), start(model))
    spoiled = {name: state * 50.0 + 10.0 for name, state in states.items()}
    forgot, after = model.forward_chunk(first, torch.zeros(1), spoiled)
    torch.testing.assert_close(forgot, fresh, atol=1e-5, rtol=0)
    following = model.forward_chunk(second, torch.ones(1), after)[0]
    torch.testing.assert_close(
        following, model.forward_chunk(second, torch.ones(1), states)[0], atol=1e-5, rtol=0
    )
    assert not torch.allclose(model.forward_chunk(first, torch.ones(1), spoiled)[0], fresh, atol=1e-2)


@torch.no_grad()
def test_one_chunk_of_everything_is_the_whole() -> None:
    """With an endless memory: the two ways to hear differ in statistics, and one chunk knows them all."""
    model = encoder(norm_horizon_rows=10**9)
    x = speech(STEP * 12, batch=2)
    torch.testing.assert_close(heard(model, x, 12), heard(model, x, None), atol=1e-4, rtol=0)
    assert not torch.allclose(heard(model, x, 4), heard(model, x, None), atol=1e-2)


@torch.no_grad()
def test_published_rows_hear_whole_utterances_whatever_the_padding() -> None:
    model = encoder()
    short, long = speech(5000), speech(9000, seed=2)
    padded = torch.full((2, 9000), 1e3)
    padded[0, :5000], padded[1] = short[0], long[0]
    rows, num_rows = model(padded, torch.tensor([5000, 9000]))
    assert num_rows.tolist() == [(5000 - 895) // STEP + 1, (9000 - 895) // STEP + 1]
    alone, _ = model(short, torch.tensor([5000]))
    torch.testing.assert_close(rows[:1, : alone.shape[1]], alone, atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match="894 samples are less than one row hears"):
        model(short[:, :894], torch.tensor([894]))


@pytest.mark.parametrize(("preset", "num_parameters"), [("tiny", 7_681_248), ("base", 20_153_120)])
def test_as_big_as_published(preset: str, num_parameters: int) -> None:
    with torch.device("meta"):
        model = MoonshineEncoder(MOONSHINE_PRESETS[preset])
    assert count_parameters(model) == num_parameters


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_heads": 3}, "width 16 must be even and a multiple of num_heads 3"),
        ({"rotary_width": 5}, "rotary_width 5 is no even part of 8 channels"),
        ({"rotary_width": 10}, "rotary_width 10 is no even part of 8 channels"),
        ({"left_context_rows": 0}, "left_context_rows must be at least 1"),
        ({"dropout": 1.0}, "dropout must be in"),
    ],
)
def test_a_network_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SMALL.with_(**changes)


def test_samples_that_are_no_whole_chunks_are_refused() -> None:
    model = encoder()
    for num_samples, chunk_rows in ((STEP * 3 + 1, None), (STEP * 6, 5)):
        with pytest.raises(ValueError, match=f"{num_samples} samples are no multiple of"):
            heard(model, torch.zeros(1, num_samples), chunk_rows)
