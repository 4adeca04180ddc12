"""Log-mel features against kaldi-native-fbank, the reference that the native core is held to as well."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from galago.models.features import LogMel, LogMelConfig, mel_filterbank


def kaldi(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    knf = pytest.importorskip("kaldi_native_fbank", reason="kaldi-native-fbank is not installed: no oracle")
    options = knf.FbankOptions()
    options.frame_opts.samp_freq = 16_000
    options.frame_opts.dither = 0.0
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = 80
    options.mel_opts.low_freq = 20.0
    options.mel_opts.high_freq = 0.0
    options.energy_floor = 0.0
    fbank = knf.OnlineFbank(options)
    fbank.accept_waveform(16_000, samples.tolist())
    fbank.input_finished()
    return np.stack([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])


def sound(kind: str) -> NDArray[np.float32]:
    rng = np.random.default_rng(7)
    t = np.arange(16_123) / 16_000.0
    if kind == "noise":
        samples = 0.1 * rng.standard_normal(len(t))
    elif kind == "chirp with an offset":
        # Without its hiss, bands far below the tone would compare the rounding of two Fourier transforms.
        samples = (
            0.3 + 0.1 * np.sin(2 * math.pi * (100 * t + 2000 * t**2)) + 1e-2 * rng.standard_normal(len(t))
        )
    elif kind == "quiet":
        samples = 1e-4 * rng.standard_normal(len(t))
    else:
        samples = np.zeros(len(t))
    return samples.astype(np.float32)


@pytest.mark.parametrize("kind", ["noise", "chirp with an offset", "quiet", "digital silence"])
def test_equal_to_kaldi(kind: str) -> None:
    samples = sound(kind)
    ours = LogMel()(torch.from_numpy(samples)[None])[0].numpy()
    theirs = kaldi(samples)
    assert ours.shape == theirs.shape == (LogMelConfig().num_frames(len(samples)), 80)
    assert float(np.abs(ours - theirs).max()) <= 1e-3


@pytest.mark.parametrize(
    ("num_samples", "num_frames"), [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2), (16_000, 98)]
)
def test_frames_lie_wholly_inside(num_samples: int, num_frames: int) -> None:
    assert LogMelConfig().num_frames(num_samples) == num_frames
    if num_frames:
        assert LogMel()(torch.zeros(1, num_samples)).shape[1] == num_frames


def test_silence_lies_on_the_floor() -> None:
    features = LogMel()(torch.zeros(1, 800))
    torch.testing.assert_close(features, torch.full_like(features, math.log(1.1920929e-07)))


def test_a_batch_is_its_rows() -> None:
    samples = torch.randn(3, 4000)
    apart = torch.cat([LogMel()(row[None]) for row in samples])
    torch.testing.assert_close(LogMel()(samples), apart, atol=1e-4, rtol=0)


def test_every_band_hears_something() -> None:
    weights = mel_filterbank(LogMelConfig())
    assert weights.shape == (80, 257) and (weights.sum(dim=1) > 0).all()
