"""NeMo's FastConformer: the numbers of transformers' Parakeet, its features, its sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from galago.models.checkpoint import import_folder, load_network, save_network
from galago.models.fast_conformer import (
    FAST_CONFORMER_PRESETS,
    FastConformer,
    FastConformerConfig,
    NemoLogMel,
)
from galago.models.flops import count_parameters
from galago.models.training.checkpoints import CheckpointError
from tests.models.published.folders import change_json, make_published, write_json

ENCODER: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 24,
    "conv_kernel_size": 5,
    "subsampling_factor": 8,
    "subsampling_conv_channels": 4,
    "num_mel_bins": 16,
}


def published(folder: Path, **changes: Any) -> Any:
    transformers = pytest.importorskip("transformers")
    encoder = transformers.ParakeetEncoderConfig(**{**ENCODER, **changes}).to_dict()
    theirs = make_published(
        folder,
        "ParakeetCTC",
        suffix="",
        network="ParakeetForCTC",
        encoder_config=encoder,
        vocab_size=6,
        pad_token_id=5,
    )
    vocabulary = {"▁a": 0, "b": 1, "c": 2, "d": 3, "e": 4}
    write_json(
        folder / "tokenizer.json",
        {"model": {"vocab": vocabulary}, "added_tokens": [{"content": "<pad>", "id": 5}]},
    )
    return theirs


@torch.no_grad()
@pytest.mark.parametrize(
    "changes", [{}, {"attention_bias": False, "convolution_bias": False, "scale_input": False}]
)
def test_the_same_numbers_as_transformers(changes: dict[str, Any], tmp_path: Path) -> None:
    theirs = published(tmp_path, **changes)
    save_network(tmp_path / "model.pt", import_folder(tmp_path))
    stored = load_network(tmp_path / "model.pt")
    assert isinstance(stored.network, FastConformer)
    assert stored.details == {"tokens": ["▁a", "b", "c", "d", "e", "<pad>"], "blank": 5, "word_start": "▁"}
    features = torch.randn(2, 90, 16, generator=torch.Generator().manual_seed(3))
    features[1, 61:] = 0.0
    mask = torch.arange(90)[None] < torch.tensor([[90], [61]])
    expected = theirs(features, attention_mask=mask).logits
    scores = stored.network(features, torch.tensor([90, 61]))
    assert scores.num_tokens.tolist() == [12, 8]
    assert float((scores.logits[0] - expected[0]).abs().max()) <= 1e-4
    assert float((scores.logits[1, :8] - expected[1, :8]).abs().max()) <= 1e-4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_act": "relu"}, 'hidden_act is "relu"; galago knows "silu"'),
        ({"subsampling_factor": 6}, "subsampling_factor 6 is no power of 2"),
        ({"num_mel_bins": 12}, "12 mels cannot be halved 3 times"),
        ({"num_hidden_layers": 3}, "missing: encoder.layers.2.self_attn.q_proj.weight"),
        ({"conv_kernel_size": 4}, "kernels must be odd"),
    ],
)
def test_what_galago_has_not_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    published(tmp_path)
    encoder = {**ENCODER, "scale_input": True, "subsampling_conv_kernel_size": 3, **changes}
    change_json(tmp_path / "config.json", encoder_config=encoder)
    with pytest.raises(CheckpointError, match=message):
        import_folder(tmp_path)


@pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values")
def test_features_are_those_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    clips = [0.1 * torch.randn(n, generator=torch.Generator().manual_seed(n)) for n in (16000, 9000)]
    theirs = transformers.ParakeetFeatureExtractor()(
        [clip.numpy() for clip in clips], sampling_rate=16000, return_tensors="pt"
    )
    samples = torch.full((2, 16000), 9.0)
    for row, clip in zip(samples, clips, strict=True):
        row[: len(clip)] = clip
    features, num_frames = NemoLogMel()(samples, torch.tensor([16000, 9000]))
    assert num_frames.tolist() == theirs.attention_mask.sum(1).tolist() == [100, 56]
    torch.testing.assert_close(features, theirs.input_features, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("preset", "millions"), [("xl", 609.0), ("xxl", 1063.0)])
def test_as_big_as_published(preset: str, millions: float) -> None:
    with torch.device("meta"):
        model = FastConformer(FAST_CONFORMER_PRESETS[preset])
    assert count_parameters(model) / 1e6 == pytest.approx(millions, rel=0.01)


def test_a_network_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="width 1024 must be even and a multiple of num_heads 7"):
        FastConformerConfig(num_heads=7)
    with pytest.raises(ValueError, match="subsampling_kernel must be odd"):
        FastConformerConfig(subsampling_kernel=4)
