"""The teacher: frame by frame it draws what it draws as a whole, with the published front ends."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import SpeechT5Config

from galago.models.fastspeech import FASTSPEECH_PRESETS, FastSpeech
from galago.models.transformer_tts import (
    TRANSFORMER_TTS_PRESETS,
    DecoderPrenet,
    Postnet,
    ScaledPositions,
    TransformerTts,
    TransformerTtsConfig,
    durations_from_attention,
)

public: Any = importlib.import_module("transformers.models.speecht5.modeling_speecht5")

SMALL = TransformerTtsConfig(
    num_phones=11,
    num_mels=8,
    width=16,
    num_heads=2,
    num_encoder_blocks=2,
    num_decoder_blocks=2,
    feed_forward_width=24,
    embedding_width=12,
    decoder_prenet_width=10,
    postnet_width=12,
)


def teacher(frames_per_step: int = 1) -> TransformerTts:
    torch.manual_seed(3)
    model = TransformerTts(SMALL.with_(frames_per_step=frames_per_step)).eval()
    for parameter in model.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    model.mean.fill_(-5.0)
    model.std.fill_(2.0)
    model.pitch_scale.copy_(torch.tensor([7.5, 0.3]))
    return model


def sentence(num_phones: int, num_frames: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    phones = torch.randint(1, SMALL.num_phones, (2, num_phones), generator=generator)
    phones[1, -2:] = 0
    return phones, -5.0 + 2.0 * torch.randn(2, num_frames, SMALL.num_mels, generator=generator)


@pytest.mark.parametrize("frames_per_step", [1, 4])
@torch.no_grad()
def test_step_by_step_is_the_whole(frames_per_step: int) -> None:
    model, R = teacher(frames_per_step), frames_per_step
    phones, log_mel = sentence(9, 30)  # of the last step of 4 frames, 2 lie behind the end
    whole = model(phones, log_mel)
    assert whole.attention[0].shape == (2, SMALL.num_heads, 30, 9)
    states = model.initial_states(phones)
    for t in range(0, 30, R):
        given = None if t == 0 else log_mel[:, t - 1]
        drawn, states = model.forward_step(states, frame=given)
        num = min(R, 30 - t)
        expected = {"log_mel": whole.before_postnet} | {
            name: getattr(whole, name) for name in ("stop_logits", "voiced_logits", "log2_pitch")
        }
        for name, values in expected.items():
            found = getattr(drawn, name)[:, :num]
            torch.testing.assert_close(found, values[:, t : t + num], atol=1e-4, rtol=0)
        looked = whole.attention[1][:, :, t : t + num]
        torch.testing.assert_close(drawn.attention[1][:, :, :num], looked, atol=1e-4, rtol=0)
    assert states["block1.key"].shape == (2, -(-30 // R), SMALL.width)


@torch.no_grad()
def test_no_frame_sees_a_later_one() -> None:
    model = teacher()
    phones, log_mel = sentence(9, 20)
    changed = log_mel.clone()
    changed[:, 10:] += 3.0
    before, after = model(phones, log_mel).before_postnet, model(phones, changed).before_postnet
    torch.testing.assert_close(after[:, :11], before[:, :11], atol=1e-5, rtol=0)  # frame 10 sees frames 0-9
    assert not torch.allclose(after[:, 11], before[:, 11], atol=1e-3)


@torch.no_grad()
def test_speaking_freely_feeds_on_itself_and_ends() -> None:
    model = teacher()
    phones, _ = sentence(9, 1)
    model.stop_head.weight.data.zero_()
    model.stop_head.bias.data.fill_(-1.0)
    spoken = model.generate(phones[:1], max_frames=12, drop=False)
    assert spoken.log_mel.shape == (12, SMALL.num_mels) and not spoken.has_stopped
    assert spoken.log2_pitch.shape == spoken.voiced_logits.shape == (12,)
    model.stop_head.bias.data.fill_(1.0)
    shortest = model.generate(phones[:1], max_frames=12, drop=False)
    assert shortest.log_mel.shape == (1, SMALL.num_mels) and shortest.has_stopped
    model.stop_head.bias.data.fill_(-1.0)
    forced = model(phones[:1], torch.zeros(1, 12, SMALL.num_mels))
    states, frames = model.initial_states(phones[:1]), []
    for _ in range(12):
        drawn, states = model.forward_step(states)
        frames.append(drawn.log_mel)
    own = model(phones[:1], torch.cat(frames, dim=1))
    torch.testing.assert_close(spoken.log_mel, own.log_mel[0], atol=1e-4, rtol=0)
    for mine, whole in zip(spoken.attention, own.attention, strict=True):
        torch.testing.assert_close(mine, whole, atol=1e-4, rtol=0)
    assert not torch.allclose(spoken.log_mel, forced.log_mel[0], atol=1e-2)


@torch.no_grad()
def test_several_frames_a_step_end_at_the_frame_that_says_so() -> None:
    model = teacher(4)
    phones, _ = sentence(9, 1)
    model.stop_head.weight.data.zero_()
    model.stop_head.bias.data.copy_(torch.tensor([-1.0, -1.0, 1.0, 1.0]))
    spoken = model.generate(phones[:1], max_frames=12, drop=False)
    assert len(spoken.log_mel) == 3 and spoken.has_stopped and spoken.attention[0].shape[2] == 3
    cut = model.generate(phones[:1], max_frames=2, drop=False)
    assert len(cut.log_mel) == len(cut.log2_pitch) == 2 and not cut.has_stopped
    model.stop_head.bias.data.fill_(-1.0)
    assert len(model.generate(phones[:1], max_frames=10, drop=False).log_mel) == 10


@torch.no_grad()
def test_the_front_ends_are_the_public_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """SpeechT5's prenet, postnet and scaled positions with the same random weights."""
    torch.manual_seed(1)
    config = SpeechT5Config(
        hidden_size=16,
        num_mel_bins=8,
        speech_decoder_prenet_units=10,
        speech_decoder_postnet_units=12,
        speech_decoder_postnet_kernel=5,
        speech_decoder_postnet_layers=5,
        positional_dropout=0.0,
        reduction_factor=1,
    )
    # Its dropout is always on, and with a probability of 0 it keeps nothing.
    monkeypatch.setattr(public.SpeechT5SpeechDecoderPrenet, "_consistent_dropout", lambda self, x, p: x)
    frames = torch.randn(2, 13, 8)
    theirs = public.SpeechT5SpeechDecoderPrenet(config).eval()
    ours, positions = DecoderPrenet(SMALL).eval(), ScaledPositions(16, 0.0)
    for mine, layer in zip(ours.layers, theirs.layers, strict=True):
        mine.load_state_dict(layer.state_dict())
    ours.project.load_state_dict(theirs.final_layer.state_dict())
    theirs.encode_positions.alpha.data.fill_(0.7)
    positions.alpha.data.fill_(0.7)
    torch.testing.assert_close(positions(ours(frames)), theirs(frames), atol=1e-5, rtol=0)

    judge = public.SpeechT5SpeechDecoderPostnet(config).eval()
    postnet = Postnet(SMALL).eval()
    for number, layer in enumerate(judge.layers):
        postnet.convs[number].load_state_dict(layer.conv.state_dict())
        layer.batch_norm.running_mean.normal_()
        postnet.norms[number].load_state_dict(layer.batch_norm.state_dict())
    torch.testing.assert_close(postnet(frames), judge.postnet(frames), atol=1e-5, rtol=0)


def test_durations_are_those_of_the_most_focused_head() -> None:
    sharp = torch.eye(3)[[0, 0, 1, 2, 2, 2]]  # (T, P): 2, 1 and 3 frames
    blurred = torch.full((6, 3), 1 / 3)
    attention = [torch.stack([blurred, sharp])[None], torch.stack([blurred, 0.9 * sharp.flip(1)])[None]]
    assert durations_from_attention(attention).tolist() == [2, 1, 3]


def test_presets_have_their_size_and_the_small_one_is_a_fair_opponent() -> None:
    with torch.device("meta"):
        sizes = {
            name: sum(p.numel() for p in TransformerTts(config).parameters())
            for name, config in TRANSFORMER_TTS_PRESETS.items()
        }
        fastspeech = sum(p.numel() for p in FastSpeech(FASTSPEECH_PRESETS["5m"]).parameters())
    assert sizes == {"small": 6_211_381, "published": 52_984_053}
    assert abs(sizes["small"] / fastspeech - 1.0) < 0.02
    published = TRANSFORMER_TTS_PRESETS["published"]
    assert (published.embedding_width, published.encoder_prenet_layers, published.num_mels) == (512, 3, 80)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_heads": 3}, "multiple of num_heads 3"),
        ({"kernel_frames": 4}, "kernels must be odd"),
        ({"prenet_dropout": 1.0}, "prenet_dropout must be in"),
        ({"num_decoder_blocks": 0}, "num_decoder_blocks must be at least 1"),
    ],
)
def test_a_network_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SMALL.with_(**changes)
