"""The ear on raw samples: two heads, the same in chunks as in whole, full context without chunks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from galago.models.flops import count_parameters
from galago.models.front_end import LogMelFrontEnd
from galago.models.wav2vec2_ear import WAV2VEC2_EAR_PRESETS, Wav2Vec2Ear, Wav2Vec2EarConfig
from tests.models.test_wav2vec2 import BASE, NUM_CHUNKS, SMALL, STEP, speech

CHUNK_TOKENS = 4
SHAPE = {**SMALL.as_dict(), "num_phones": 6, "phone_block": 1}


def tiny_ear(**changes: object) -> Wav2Vec2Ear:
    """Random weights, where nothing is trivially 0; 20 samples a token."""
    torch.manual_seed(3)
    model = Wav2Vec2Ear(Wav2Vec2EarConfig(**{**SHAPE, **changes})).eval()
    for parameter in model.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return model


def frames(num_tokens: int, *, seed: int = 5) -> Tensor:
    return speech(STEP * num_tokens, seed=seed).reshape(1, num_tokens, STEP)


@torch.no_grad()
@pytest.mark.parametrize(
    "changes", [{}, {"position_lookahead_tokens": 0}, BASE], ids=["large", "causal", "base"]
)
def test_a_stream_is_the_whole(changes: dict[str, object]) -> None:
    """500 chunks, both heads."""
    model = tiny_ear(**changes)
    lag = model.config.lookahead_tokens
    x = frames(CHUNK_TOKENS * NUM_CHUNKS)
    whole = model(x, torch.tensor([x.shape[1]]), chunk_tokens=CHUNK_TOKENS)
    states, keep, rows = model.initial_states(), torch.zeros(1), []
    for chunk in torch.split(x, CHUNK_TOKENS, dim=1):
        *row, states = model.forward_chunk(chunk, keep, states)
        rows.append(torch.cat(row, dim=-1))
        keep = torch.ones(1)
    expected = torch.cat([whole.phone_logits.log_softmax(-1), whole.token_logits.log_softmax(-1)], dim=-1)
    assert expected.shape == (1, CHUNK_TOKENS * NUM_CHUNKS, 6 + 5)
    stream = torch.cat(rows, dim=1)[:, lag:]
    assert float((stream - expected[:, : stream.shape[1]]).abs().max()) <= 1e-4


@torch.no_grad()
def test_without_chunks_every_token_hears_every_other() -> None:
    model = tiny_ear()
    x, num_frames = frames(24), torch.tensor([24])
    before = model(x, num_frames).token_logits
    x[:, -1] += 0.5
    assert bool(((model(x, num_frames).token_logits - before).abs().amax(-1) > 1e-6).all())


@torch.no_grad()
def test_padding_changes_no_result() -> None:
    model = tiny_ear()
    alone = frames(11)
    padded = torch.cat([alone, torch.full((1, 6, STEP), 1e3)], dim=1)
    for chunk_tokens in (None, CHUNK_TOKENS):
        expected = model(alone, torch.tensor([11]), chunk_tokens=chunk_tokens)
        found = model(padded, torch.tensor([11]), chunk_tokens=chunk_tokens)
        assert int(found.num_tokens[0]) == 11
        torch.testing.assert_close(found.phone_logits[:, :11], expected.phone_logits, atol=1e-4, rtol=0)
        torch.testing.assert_close(found.token_logits[:, :11], expected.token_logits, atol=1e-4, rtol=0)


def test_frames_are_the_samples() -> None:
    front_end = tiny_ear().front_end
    samples = speech(STEP * 3 + 7, batch=2)
    torch.testing.assert_close(front_end(samples).flatten(1), samples[:, : STEP * 3])
    assert (front_end.token_samples, front_end.num_samples(3)) == (STEP, STEP * 3)


def test_tokens_last_40_and_20_ms() -> None:
    log_mel, raw = LogMelFrontEnd(), Wav2Vec2EarConfig().front_end
    assert (log_mel.token_ms, log_mel.token_centre_samples, log_mel.num_samples(32)) == (40, 440, 5360)
    assert (raw.token_ms, raw.token_centre_samples, raw.num_samples(8)) == (20, 120, 2560)
    assert raw.manifest_entry() == {"type": "raw_samples", "sample_rate_hz": 16000, "hop_samples": 320}


def test_presets_are_causal_and_as_big_as_they_say() -> None:
    for preset, millions in (("3m", 2.93), ("9m", 8.56)):
        config = WAV2VEC2_EAR_PRESETS[preset]
        assert (config.lookahead_tokens, config.num_tokens, config.num_phones) == (0, 29, 40)
        with torch.device("meta"):
            model = Wav2Vec2Ear(config)
        assert count_parameters(model) / 1e6 == pytest.approx(millions, rel=2e-3)


def test_a_phone_head_above_the_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match="phone_block 3 is not among 2 blocks"):
        tiny_ear(phone_block=3)
