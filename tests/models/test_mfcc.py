"""MFCC against kaldi-native-fbank, and differences over time against their definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from galago.models.features import LogMelConfig
from galago.models.mfcc import Mfcc, MfccConfig, differences


def kaldi(
    samples: NDArray[np.float32], num_mels: int, num_coefficients: int, lifter: float
) -> NDArray[np.float32]:
    knf = pytest.importorskip("kaldi_native_fbank", reason="kaldi-native-fbank is not installed: no oracle")
    options = knf.MfccOptions()
    options.frame_opts.dither = 0.0
    options.mel_opts.num_bins = num_mels
    options.num_ceps = num_coefficients
    options.cepstral_lifter = lifter
    options.use_energy = False
    mfcc = knf.OnlineMfcc(options)
    mfcc.accept_waveform(16_000, samples.tolist())
    mfcc.input_finished()
    return np.stack([mfcc.get_frame(i) for i in range(mfcc.num_frames_ready)])


@pytest.mark.parametrize(
    ("num_mels", "num_coefficients", "lifter"), [(23, 13, 22.0), (40, 20, 0.0), (23, 23, 10.0)]
)
def test_equal_to_kaldi(num_mels: int, num_coefficients: int, lifter: float) -> None:
    samples = (0.1 * np.random.default_rng(7).standard_normal(8123) + 0.02).astype(np.float32)
    config = MfccConfig(LogMelConfig(num_mels=num_mels), num_coefficients, lifter)
    ours = Mfcc(config)(torch.from_numpy(samples)[None])[0].numpy()
    theirs = kaldi(samples, num_mels, num_coefficients, lifter)
    assert ours.shape == theirs.shape == (config.log_mel.num_frames(len(samples)), num_coefficients)
    assert float(np.abs(ours - theirs).max()) <= 1e-3


def test_differences_follow_their_definition() -> None:
    """The middle by the sum; a line has its slope and no second difference; the edges go on."""
    features = torch.randn(2, 20, 3, generator=torch.Generator().manual_seed(1))
    found = differences(features)
    assert found.shape == (2, 20, 9)
    assert torch.equal(found[..., :3], features)
    t = 9
    first = sum(k * features[:, t + k] for k in range(-2, 3)) / 10.0
    torch.testing.assert_close(found[:, t, 3:6], first)
    line = 0.5 * torch.arange(30.0)[None, :, None]
    slope = differences(line)[0, 4:-4]
    torch.testing.assert_close(slope[:, 1], torch.full((22,), 0.5))
    torch.testing.assert_close(slope[:, 2], torch.zeros(22), atol=1e-5, rtol=0)
    edge = (1 * features[:, 1] + 2 * features[:, 2] - 1 * features[:, 0] - 2 * features[:, 0]) / 10.0
    torch.testing.assert_close(found[:, 0, 3:6], edge)


def test_second_differences_are_those_of_the_first() -> None:
    features = torch.randn(1, 30, 2, generator=torch.Generator().manual_seed(1))
    twice = differences(differences(features, order=1)[..., 2:], order=1)[..., 2:]
    torch.testing.assert_close(differences(features)[:, 4:-4, 4:], twice[:, 4:-4], atol=1e-5, rtol=0)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="24 coefficients cannot be made of 23 mels"):
        MfccConfig(num_coefficients=24)
    with pytest.raises(ValueError, match="lifter must be at least 0"):
        MfccConfig(lifter=-1.0)
