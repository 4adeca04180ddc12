"""AST: published sizes, its features, its patches."""

from __future__ import annotations

import pytest
import torch

from galago.models.flops import count_parameters
from galago.models.spectrogram_transformer import (
    AST_PRESETS,
    AstConfig,
    AudioSpectrogramTransformer,
    SoundFeatures,
)


@pytest.mark.parametrize(("preset", "millions"), [("audioset", 86.6), ("speech-commands", 85.4)])
def test_as_big_as_published(preset: str, millions: float) -> None:
    with torch.device("meta"):
        model = AudioSpectrogramTransformer(AST_PRESETS[preset])
    assert count_parameters(model) / 1e6 == pytest.approx(millions, rel=2e-3)


def test_ten_seconds_are_12_x_100_patches() -> None:
    """The paper's count, for 10 s alone; 1024 frames hold one more column."""
    assert AstConfig(num_frames=1015).grid == (12, 100)
    assert AST_PRESETS["audioset"].grid == (12, 101)


@pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values")
def test_features_are_those_of_transformers() -> None:
    """Its fallback without torchaudio; a short sound is filled up before it is normalised."""
    feature_extraction = pytest.importorskip(
        "transformers.models.audio_spectrogram_transformer.feature_extraction_audio_spectrogram_transformer"
    )
    config = AST_PRESETS["speech-commands"]
    theirs = feature_extraction.ASTFeatureExtractor(
        max_length=config.num_frames, mean=config.mean, std=config.deviation
    )
    for num_samples in (9000, 30_000):
        samples = 0.1 * torch.randn(num_samples, generator=torch.Generator().manual_seed(3))
        expected = theirs(samples.numpy(), sampling_rate=16000, return_tensors="pt").input_values
        found = SoundFeatures(config)(samples[None])
        assert found.shape == (1, 128, 128)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="channels are not divisible by 7 heads"):
        AstConfig(num_heads=7)
    with pytest.raises(ValueError, match="deviation must be positive, got 0"):
        AstConfig(deviation=0.0)
    with torch.device("meta"):
        model = AudioSpectrogramTransformer(AST_PRESETS["speech-commands"])
        with pytest.raises(ValueError, match=r"expected features \(B, 128, 128\), got \(1, 100, 128\)"):
            model(torch.zeros(1, 100, 128))
