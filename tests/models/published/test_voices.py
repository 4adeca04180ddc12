"""FastSpeech2Conformer and HiFi-GAN: the numbers of transformers' classes, from folders that they saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from galago.models.checkpoint import import_folder, load_network, save_network
from galago.models.fastspeech2_conformer import FastSpeech2Conformer, FastSpeech2ConformerVoice
from galago.models.flops import count_parameters
from galago.models.hifigan import HIFIGAN_PRESETS, HifiGan, HifiGanConfig
from galago.models.training.checkpoints import CheckpointError
from tests.models.published.folders import change_json, make_published, write_vocabulary

PHONES = [f"p{i}" for i in range(10)]
ACOUSTIC: dict[str, Any] = {
    "hidden_size": 16,
    "vocab_size": len(PHONES),
    "num_mel_bins": 8,
    "encoder_layers": 2,
    "encoder_linear_units": 24,
    "decoder_layers": 1,
    "decoder_linear_units": 20,
    "speech_decoder_postnet_units": 6,
    "speech_decoder_postnet_layers": 3,
    "duration_predictor_channels": 6,
    "energy_predictor_channels": 5,
    "pitch_predictor_channels": 4,
    "energy_embed_kernel_size": 3,
    "encoder_kernel_size": 3,
    "decoder_kernel_size": 5,
}
VOCODER: dict[str, Any] = {
    "model_in_dim": 8,
    "upsample_initial_channel": 8,
    "upsample_rates": [4, 2],
    "upsample_kernel_sizes": [8, 4],
    "resblock_kernel_sizes": [3, 5],
    "resblock_dilation_sizes": [[1, 3], [1, 2]],
}


def speaks(theirs: Any) -> None:
    """Durations of random weights are mostly 0: let each phone last some frames."""
    theirs.duration_predictor.linear.bias.data.fill_(1.3)


def phones() -> Tensor:
    return torch.tensor([[3, 7, 1, 0, 9, 4, 4]])


@torch.no_grad()
@pytest.mark.parametrize(
    "changes",
    [{}, {"encoder_normalize_before": True, "decoder_normalize_before": True, "convolution_bias": False}],
)
def test_fastspeech2_conformer_gives_the_same_numbers(changes: dict[str, Any], tmp_path: Path) -> None:
    theirs = make_published(tmp_path, "FastSpeech2Conformer", suffix="Model", **{**ACOUSTIC, **changes})
    speaks(theirs)
    theirs.save_pretrained(tmp_path)
    write_vocabulary(tmp_path, PHONES)
    save_network(tmp_path / "model.pt", import_folder(tmp_path))
    stored = load_network(tmp_path / "model.pt")
    assert isinstance(stored.network, FastSpeech2Conformer) and stored.details == {"tokens": PHONES}
    expected = theirs(phones())
    spoken = stored.network(phones(), torch.tensor([7]))
    assert spoken.durations.tolist() == expected.duration_outputs.tolist()
    assert int(spoken.num_frames[0]) == expected.spectrogram.shape[1] > 7
    assert float((spoken.log_mel - expected.spectrogram).abs().max()) <= 1e-4
    assert float((spoken.pitch - expected.pitch_outputs[..., 0]).abs().max()) <= 1e-4
    assert float((spoken.energy - expected.energy_outputs[..., 0]).abs().max()) <= 1e-4


@torch.no_grad()
def test_hifigan_gives_the_same_numbers(tmp_path: Path) -> None:
    theirs = make_published(tmp_path, "FastSpeech2ConformerHifiGan", suffix="", **VOCODER)
    theirs.mean.add_(0.5)
    theirs.scale.mul_(2.0)
    theirs.save_pretrained(tmp_path)
    save_network(tmp_path / "model.pt", import_folder(tmp_path))
    stored = load_network(tmp_path / "model.pt")
    assert isinstance(stored.network, HifiGan) and stored.network.config.hop_samples == 8
    log_mel = torch.randn(2, 30, 8, generator=torch.Generator().manual_seed(2))
    samples = stored.network(log_mel)
    assert samples.shape == (2, 240)
    assert float((samples - theirs(log_mel)).abs().max()) <= 1e-4


@torch.no_grad()
def test_a_whole_voice_gives_the_same_samples(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = make_published(
        tmp_path,
        "FastSpeech2ConformerWithHifiGan",
        suffix="",
        model_config=transformers.FastSpeech2ConformerConfig(**ACOUSTIC).to_dict(),
        vocoder_config=transformers.FastSpeech2ConformerHifiGanConfig(**VOCODER).to_dict(),
    )
    speaks(theirs.model)
    theirs.save_pretrained(tmp_path)
    write_vocabulary(tmp_path, PHONES)
    save_network(tmp_path / "model.pt", import_folder(tmp_path))
    stored = load_network(tmp_path / "model.pt")
    assert isinstance(stored.network, FastSpeech2ConformerVoice) and stored.details == {"tokens": PHONES}
    samples, expected = stored.network(phones()), theirs(phones()).waveform
    assert samples.shape == expected.shape
    assert float((samples - expected).abs().max()) <= 1e-4
    change_json(
        tmp_path / "config.json", vocoder_config={**VOCODER, "leaky_relu_slope": 0.1, "model_in_dim": 9}
    )
    with pytest.raises(CheckpointError, match="8 mels are spoken and 9 are heard"):
        import_folder(tmp_path)


@torch.no_grad()
def test_a_sentence_is_spoken_alike_in_every_batch_and_faster_when_asked(tmp_path: Path) -> None:
    theirs = make_published(tmp_path, "FastSpeech2Conformer", suffix="Model", **ACOUSTIC)
    speaks(theirs)
    theirs.save_pretrained(tmp_path)
    write_vocabulary(tmp_path, PHONES)
    network = import_folder(tmp_path).network
    batch = torch.tensor([[3, 7, 1, 2, 9, 4, 4], [5, 6, 2, 8, 8, 8, 8]])
    both, alone = network(batch, torch.tensor([7, 3])), network(batch[1:, :3], torch.tensor([3]))
    T = int(alone.num_frames[0])
    assert int(both.num_frames[1]) == T
    torch.testing.assert_close(both.log_mel[1, :T], alone.log_mel[0], atol=1e-4, rtol=0)
    fast = network(batch[1:, :3], torch.tensor([3]), rate=2.0)
    assert 0 < int(fast.num_frames[0]) < T
    instant = network(batch[1:, :3], torch.tensor([3]), rate=1e6)
    assert instant.durations.tolist() == [[1, 1, 1]]
    with pytest.raises(ValueError, match="rate must be above 0, got 0"):
        network(batch, torch.tensor([7, 3]), rate=0.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"speaker_embed_dim": 4}, "speaker_embed_dim is 4; galago knows null"),
        ({"num_speakers": 3}, "num_speakers is 3; galago knows null or 1"),
        ({"encoder_concat_after": True}, "encoder_concat_after is true; galago knows false"),
        (
            {"pitch_predictor_kernel_size": 4},
            "the kernels of predictors, embeddings and post-net must be odd",
        ),
        ({"decoder_layers": 2}, "missing: decoder.conformer_layers.1.feed_forward_macaron.conv1.weight"),
    ],
)
def test_what_galago_has_not_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    make_published(tmp_path, "FastSpeech2Conformer", suffix="Model", **ACOUSTIC)
    write_vocabulary(tmp_path, PHONES)
    change_json(tmp_path / "config.json", **changes)
    with pytest.raises(CheckpointError, match=message):
        import_folder(tmp_path)


@pytest.mark.parametrize(("preset", "millions"), [("v1", 13.92), ("v2", 0.92)])
def test_hifigan_is_as_big_as_published(preset: str, millions: float) -> None:
    """The paper's table 1."""
    with torch.device("meta"):
        model = HifiGan(HIFIGAN_PRESETS[preset])
    assert count_parameters(model) / 1e6 == pytest.approx(millions, abs=0.015)


def test_fastspeech2_conformer_is_as_big_as_published() -> None:
    transformers = pytest.importorskip("transformers")
    from galago.models.fastspeech2_conformer import FastSpeech2ConformerConfig

    with torch.device("meta"):
        ours = FastSpeech2Conformer(FastSpeech2ConformerConfig())
        theirs = transformers.FastSpeech2ConformerModel(transformers.FastSpeech2ConformerConfig())
    assert count_parameters(ours) == count_parameters(theirs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"upsampling_rates": (8,)}, "must name the same number of steps"),
        ({"upsampling_kernels": (16, 16, 4, 3)}, "must be even numbers longer than the rates"),
        ({"residual_kernels": (3, 7)}, "a row for each of residual_kernels"),
        ({"residual_kernels": (3, 7, 10)}, "residual_kernels must be odd"),
        ({"width": 24}, "width 24 cannot be halved 4 times"),
    ],
)
def test_a_vocoder_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HifiGanConfig(**changes)
