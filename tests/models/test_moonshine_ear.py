"""The ear on Moonshine's encoder: tokens of 40 ms, two heads, the same in chunks as in whole."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from galago.models.flops import count_parameters
from galago.models.front_end import LogMelFrontEnd
from galago.models.moonshine_ear import MOONSHINE_EAR_PRESETS, MoonshineEar, MoonshineEarConfig
from tests.models.test_moonshine import SMALL
from tests.models.test_wav2vec2 import speech

STEP = 640


def tiny_ear(**changes: Any) -> MoonshineEar:
    """Random weights, where nothing is trivially 0."""
    torch.manual_seed(3)
    shape = {**SMALL.as_dict(), "num_phones": 6, "num_tokens": 5, **changes}
    model = MoonshineEar(MoonshineEarConfig(**shape)).eval()
    for parameter in model.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return model


def frames(num_tokens: int, *, seed: int = 5) -> Tensor:
    return speech(STEP * num_tokens, seed=seed).reshape(1, num_tokens, STEP)


def both(model: MoonshineEar, x: Tensor, num_tokens: int, chunk_tokens: int | None) -> Tensor:
    """Logarithms of the probabilities of phones and of tokens, one behind the other."""
    found = model(x, torch.tensor([num_tokens]), chunk_tokens=chunk_tokens)
    assert found.num_tokens.tolist() == [num_tokens]
    return torch.cat([found.phone_logits.log_softmax(-1), found.token_logits.log_softmax(-1)], dim=-1)


@torch.no_grad()
@pytest.mark.parametrize(("chunk_tokens", "num_chunks"), [(3, 60), (6, 30), (12, 20)])
def test_a_stream_is_the_whole(chunk_tokens: int, num_chunks: int) -> None:
    """Both heads; every token at its time, there is no lag."""
    model = tiny_ear()
    x = frames(chunk_tokens * num_chunks)
    expected = both(model, x, x.shape[1], chunk_tokens)
    states, keep, rows = model.initial_states(), torch.zeros(1), []
    for chunk in torch.split(x, chunk_tokens, dim=1):
        *row, states = model.forward_chunk(chunk, keep, states)
        rows.append(torch.cat(row, dim=-1))
        keep = torch.ones(1)
    assert expected.shape == (1, chunk_tokens * num_chunks, 6 + 5)
    assert float((torch.cat(rows, dim=1) - expected).abs().max()) <= 1e-4


@torch.no_grad()
def test_zeros_are_the_start_of_a_stream() -> None:
    """A stream that forgets goes on as a new one, and the states of a new one are zeros."""
    model, x = tiny_ear(), frames(12)
    start = model.initial_states(batch=1)
    assert all(not state.any() for state in start.values())
    *fresh, states = model.forward_chunk(x, torch.ones(1), start)
    assert {n: s.shape for n, s in states.items()} == {n: s.shape for n, s in start.items()}
    *forgot, again = model.forward_chunk(x, torch.zeros(1), {n: 9.0 * s + 1.0 for n, s in states.items()})
    for found, expected in zip(forgot, fresh, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    *later, _ = model.forward_chunk(x, torch.ones(1), again)
    assert not torch.allclose(later[0], fresh[0], atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("num_tokens", [7, 11, 12])
def test_padding_changes_no_result(num_tokens: int) -> None:
    """Also of utterances that end within three tokens, or within a chunk."""
    model = tiny_ear()
    alone = frames(num_tokens)
    padded = torch.cat([alone, torch.full((1, 10, STEP), 1e3)], dim=1)
    for chunk_tokens in (None, 3, 6):
        expected = both(model, alone, num_tokens, chunk_tokens)
        assert expected.shape[1] == num_tokens
        found = both(model, padded, num_tokens, chunk_tokens)
        assert found.shape[1] == num_tokens + 10
        torch.testing.assert_close(found[:, :num_tokens], expected, atol=1e-4, rtol=0)


@torch.no_grad()
def test_without_chunks_every_token_hears_every_other() -> None:
    model, x = tiny_ear(), frames(24)
    before = both(model, x, 24, None)
    x[:, -1] += 0.5 * speech(STEP)
    assert bool(((both(model, x, 24, None) - before).abs().amax(-1) > 1e-6).all())


def test_chunks_are_multiples_of_three_tokens() -> None:
    model = tiny_ear()
    assert model.chunk_step_tokens == 3
    with pytest.raises(ValueError, match="chunk_tokens must be a multiple of 3, got 4"):
        model(frames(8), torch.tensor([8]), chunk_tokens=4)
    with pytest.raises(ValueError, match="chunk_tokens must be a multiple of 3, got 5"):
        model.forward_chunk(frames(5), torch.ones(1), model.initial_states())
    with pytest.raises(ValueError, match="left_context_tokens is 9 in this network"):
        model(frames(8), torch.tensor([8]), left_context_tokens=10)
    with pytest.raises(ValueError, match="left_context_rows 16 is no multiple of 5"):
        tiny_ear(left_context_rows=16)


def test_a_token_lasts_as_long_as_a_conformers() -> None:
    front_end = tiny_ear().front_end
    assert front_end.token_ms == LogMelFrontEnd().token_ms == 40
    assert (front_end.token_samples, front_end.num_samples(3)) == (STEP, STEP * 3)
    assert front_end.manifest_entry() == {
        "type": "raw_samples",
        "sample_rate_hz": 16000,
        "hop_samples": STEP,
    }
    samples = speech(STEP * 3 + 7, batch=2)
    torch.testing.assert_close(front_end(samples).flatten(1), samples[:, : STEP * 3])


def test_a_token_is_about_the_middle_of_what_its_rows_hear() -> None:
    """What the five rows of three tokens hear, seen in their gradients, lies around the tokens."""
    model = tiny_ear()
    samples = speech(STEP * 12).requires_grad_()
    states = {name: torch.zeros(1, *shape) for name, shape in model.encoder.stem.state_shapes().items()}
    # A statistic hears everything: with a weight of 1 in it, and none of its own, it is a constant.
    rows, _ = model.encoder.stem.forward_chunk(samples, states, num_rows=torch.tensor([1]))
    first_row, last_row = 10, 14  # of the seventh to ninth token
    centres: list[float] = []
    for row in (first_row, last_row):
        (gradient,) = torch.autograd.grad(rows[0, row].square().sum(), samples, retain_graph=True)
        heard = gradient[0, STEP * 2 :].nonzero().flatten() + STEP * 2  # behind what the statistic heard
        centres.append((int(heard.min()) + int(heard.max())) / 2)
    middle_token = STEP * 7 + model.front_end.token_centre_samples
    assert sum(centres) / 2 == pytest.approx(middle_token, abs=1.0)


def test_presets_hear_as_long_as_they_say() -> None:
    for preset, millions in (("tiny", 7.980), ("base", 20.584)):
        config = MOONSHINE_EAR_PRESETS[preset]
        assert (config.lookahead_tokens, config.left_context_tokens) == (0, 96)
        assert (config.num_tokens, config.num_phones) == (29, 40)
        with torch.device("meta"):
            model = MoonshineEar(config)
        assert count_parameters(model) / 1e6 == pytest.approx(millions, rel=2e-3)
        assert [name for name, _ in model.named_children()][-2:] == ["phone_head", "token_head"]
        assert model.heads == (model.phone_head, model.token_head)
