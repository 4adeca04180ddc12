"""The vocoder: an exact inverse STFT, the pitch that was asked for, the same in chunks as in whole."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from galago.models.pitch import track_pitch
from galago.models.vocoder import VOCODER_PRESETS, Vocoder, VocoderConfig, inverse_stft_basis
from galago.models.voice_features import VoiceFeatureConfig, VoiceMel, frame_energy

SMALL = VocoderConfig(width=16, inner_width=24, kernel_frames=5, lookahead_frames=(2, 1, 0))
FLOOR = math.log(1e-5)


def vocoder(**changes: Any) -> Vocoder:
    torch.manual_seed(3)
    model = Vocoder(SMALL.with_(**changes)).eval()
    for parameter in model.stack.parameters():  # nothing may hide behind an initial zero
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    model.head.weight.data.normal_(std=0.1)
    return model


def inputs(num_frames: int, *, batch: int = 1, seed: int = 5) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    log_mel = -4.0 + torch.randn(batch, num_frames, 80, generator=generator)
    pitch = 100.0 + 200.0 * torch.rand(batch, num_frames, generator=generator)
    voiced = torch.rand(batch, num_frames, generator=generator)
    return log_mel, pitch, voiced, torch.rand(batch, num_frames, SMALL.num_bins, generator=generator)


def stream(model: Vocoder, chunk_frames: int, values: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
    """As a device does it: silence behind the end, the lag dropped."""
    log_mel, pitch, voiced, noise = values
    num_frames = log_mel.shape[1]
    delay, ahead = model.delay_frames, model.stack.delay_frames
    behind = delay + -(num_frames + delay) % chunk_frames
    log_mel = F.pad(log_mel, (0, 0, 0, behind), value=FLOOR)
    pitch, voiced = F.pad(pitch, (0, behind)), F.pad(voiced, (0, behind))
    noise = F.pad(noise, (0, 0, ahead, behind - ahead))
    states, heard = model.initial_states(len(log_mel)), []
    for begin in range(0, num_frames + behind, chunk_frames):
        part = slice(begin, begin + chunk_frames)
        samples, states = model.forward_chunk(
            log_mel[:, part], pitch[:, part], voiced[:, part], noise[:, part], states
        )
        heard.append(samples)
    hop = model.config.hop_samples
    return torch.cat(heard, dim=1)[:, delay * hop : (delay + num_frames) * hop]


@torch.no_grad()
@pytest.mark.parametrize("chunk_frames", [1, 4, 16])
def test_a_stream_is_the_whole(chunk_frames: int) -> None:
    model = vocoder()
    values = inputs(120, batch=2)
    whole = model(*values)
    assert whole.shape == (2, 120 * 160) and float(whole.abs().max()) > 0.01
    assert float((stream(model, chunk_frames, values) - whole).abs().max()) <= 1e-4


@torch.no_grad()
def test_no_sample_hears_beyond_the_lag() -> None:
    model = vocoder()
    log_mel, pitch, voiced, noise = inputs(60)
    before = model(log_mel, pitch, voiced, noise)
    changed = model(torch.cat([log_mel[:, :30], log_mel[:, 30:] + 1.0], dim=1), pitch, voiced, noise)
    known = (30 - model.delay_frames) * 160
    torch.testing.assert_close(changed[:, :known], before[:, :known], atol=1e-6, rtol=0)
    assert not torch.allclose(changed[:, known : 30 * 160], before[:, known : 30 * 160], atol=1e-4)


def test_the_inverse_undoes_the_transform() -> None:
    torch.manual_seed(1)
    samples = torch.randn(1, 4000)
    half = SMALL.window_samples // 2
    frames = F.pad(samples, (half, half)).unfold(-1, SMALL.window_samples, SMALL.hop_samples)
    spectrum = torch.fft.rfft(frames * torch.hann_window(SMALL.window_samples)) * 4 / SMALL.window_samples
    spectrum = spectrum * (-1.0) ** torch.arange(SMALL.num_bins)  # phases at the middle of the window
    parts = torch.cat([spectrum.real, spectrum.imag], dim=-1) @ inverse_stft_basis(SMALL)
    total = torch.zeros(1, half + 4000 + half)
    for number, frame in enumerate(parts[0]):
        total[0, number * 160 : number * 160 + 640] += frame
    inner = slice(640, 4000 - 640)
    torch.testing.assert_close(total[:, half : half + 4000][:, inner], samples[:, inner], atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("pitch_hz", [110.0, 233.0])
def test_it_sings_the_pitch_that_it_is_given(pitch_hz: float) -> None:
    """Before any training: the source is in tune by construction."""
    torch.manual_seed(0)
    model = Vocoder(VOCODER_PRESETS["1m"]).eval()
    num_frames = 60
    samples = model(
        torch.full((1, num_frames, 80), -4.0),
        torch.full((1, num_frames), pitch_hz),
        torch.ones(1, num_frames),
    )
    found = track_pitch(samples[0].numpy())[5:-5]
    assert np.abs(found / pitch_hz - 1.0).max() < 0.005


@torch.no_grad()
def test_untrained_it_speaks_the_envelope() -> None:
    """The mel of what is heard is the mel that was asked for, within what a level offset explains."""
    torch.manual_seed(0)
    model = Vocoder(VOCODER_PRESETS["1m"]).eval()
    wanted = -4.0 - 3.0 * torch.linspace(0, 1, 80).repeat(1, 60, 1)
    heard = VoiceMel()(model(wanted, torch.full((1, 60), 150.0), torch.ones(1, 60)))
    difference = (heard - wanted)[0, 5:-5]
    assert float((difference - difference.mean()).abs().mean()) < 1.0


def test_gradients_reach_every_weight() -> None:
    model = vocoder()
    model(*inputs(20)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.abs().sum() > 0), name


@pytest.mark.parametrize(
    ("preset", "num_parameters"), [("1m", 1_104_643), ("2m", 1_546_563), ("3m", 2_651_587)]
)
def test_presets_are_small(preset: str, num_parameters: int) -> None:
    with torch.device("meta"):
        model = Vocoder(VOCODER_PRESETS[preset])
    assert sum(parameter.numel() for parameter in model.parameters()) == num_parameters


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lookahead_frames": ()}, "at least one block"),
        ({"lookahead_frames": (5,)}, "must lie in"),
        ({"width": 0}, "at least 1"),
        ({"window_samples": 600}, "even multiple"),
        ({"high_hz": 9000.0}, "do not fit 16000 Hz"),
    ],
)
def test_a_vocoder_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SMALL.with_(**changes)


def test_mel_frames_of_a_sine_peak_where_it_is() -> None:
    config = VoiceFeatureConfig()
    samples = torch.sin(2 * math.pi * 1000.0 * torch.arange(16_000) / 16_000)[None]
    mel = VoiceMel(config)
    magnitudes = mel.magnitudes(samples)
    assert magnitudes.shape == (1, config.num_frames(16_000), 513)
    assert int(magnitudes[0, 50].argmax()) == 64 and abs(float(magnitudes[0, 50].max()) - 1.0) < 1e-3
    assert float((frame_energy(mel(samples))[0, 10:-10]).std()) < 1e-3
    assert float(mel(torch.zeros(1, 1600)).max()) == pytest.approx(FLOOR)
