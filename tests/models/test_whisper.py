"""Whisper's encoder: published sizes, its log-mel features."""

from __future__ import annotations

import pytest
import torch

from galago.models.flops import count_parameters
from galago.models.whisper import WHISPER_PRESETS, WhisperEncoder, WhisperLogMel


@pytest.mark.parametrize(
    ("preset", "millions"),
    # Encoders alone: of the paper's 39, 74, 244, 769 and 1550 the decoders take the rest.
    [
        ("tiny", 7.63),
        ("base", 19.82),
        ("small", 87.0),
        ("medium", 305.7),
        ("large", 635.0),
        ("large-v3", 635.1),
    ],
)
def test_as_big_as_published(preset: str, millions: float) -> None:
    with torch.device("meta"):
        model = WhisperEncoder(WHISPER_PRESETS[preset])
    assert count_parameters(model) / 1e6 == pytest.approx(millions, rel=2e-3)


@pytest.mark.parametrize("num_mels", [80, 128])
def test_features_are_those_of_transformers(num_mels: int) -> None:
    transformers = pytest.importorskip("transformers")
    samples = 0.1 * torch.randn(2, 16000, generator=torch.Generator().manual_seed(3))
    samples[1, 8000:] = 0.0
    theirs = transformers.WhisperFeatureExtractor(feature_size=num_mels, chunk_length=1)
    expected = theirs(list(samples.numpy()), sampling_rate=16000, return_tensors="pt").input_features
    found = WhisperLogMel(num_mels)(samples)
    assert found.shape == (2, 100, num_mels)
    torch.testing.assert_close(found.transpose(1, 2), expected, atol=1e-4, rtol=0)


def test_another_window_is_refused() -> None:
    with torch.device("meta"):
        model = WhisperEncoder(WHISPER_PRESETS["tiny"])
        with pytest.raises(ValueError, match=r"expected log-mel \(B, 3000, 80\), got \(1, 2999, 80\)"):
            model(torch.zeros(1, 2999, 80))
    with pytest.raises(ValueError, match="width 384 must be even and a multiple of num_heads 7"):
        WHISPER_PRESETS["tiny"].with_(num_heads=7)
