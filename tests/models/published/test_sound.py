"""Whisper's encoder and AST: the numbers of transformers' classes, from folders that they saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from galago.models.checkpoint import import_folder, load_network, save_network
from galago.models.spectrogram_transformer import AudioSpectrogramTransformer
from galago.models.training.checkpoints import CheckpointError
from galago.models.whisper import WhisperEncoder
from tests.models.published.folders import change_json, make_published, write_json

WHISPER: dict[str, Any] = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "vocab_size": 50,
    "max_source_positions": 20,
    "max_target_positions": 10,
    "num_mel_bins": 8,
    "pad_token_id": 1,
    "bos_token_id": 1,
    "eos_token_id": 1,
    "decoder_start_token_id": 2,
}
AST: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_length": 64,
    "num_mel_bins": 32,
    "time_stride": 8,
    "num_labels": 3,
}


@torch.no_grad()
def test_whispers_encoder_gives_the_same_numbers_as_transformers(tmp_path: Path) -> None:
    theirs = make_published(tmp_path, "Whisper", suffix="ForConditionalGeneration", **WHISPER)
    save_network(tmp_path / "model.pt", import_folder(tmp_path))
    stored = load_network(tmp_path / "model.pt")
    assert isinstance(stored.network, WhisperEncoder)
    log_mel = torch.randn(2, 40, 8, generator=torch.Generator().manual_seed(2))
    expected = theirs.model.encoder(log_mel.transpose(1, 2)).last_hidden_state
    assert float((stored.network(log_mel) - expected).abs().max()) <= 1e-4


@torch.no_grad()
def test_ast_gives_the_same_numbers_as_transformers(tmp_path: Path) -> None:
    theirs = make_published(tmp_path, "AST", suffix="ForAudioClassification", **AST)
    statistics = {"mean": -3.0, "std": 2.0, "sampling_rate": 16000, "do_normalize": True}
    write_json(tmp_path / "preprocessor_config.json", statistics)
    save_network(tmp_path / "model.pt", import_folder(tmp_path))
    stored = load_network(tmp_path / "model.pt")
    assert isinstance(stored.network, AudioSpectrogramTransformer)
    assert (stored.network.config.mean, stored.network.config.deviation) == (-3.0, 2.0)
    assert stored.details["labels"] == ["LABEL_0", "LABEL_1", "LABEL_2"]
    features = torch.randn(2, 64, 32, generator=torch.Generator().manual_seed(2))
    assert float((stored.network(features) - theirs(features).logits).abs().max()) <= 1e-4


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("Whisper", {"activation_function": "relu"}, 'activation_function is "relu"; galago knows "gelu"'),
        ("Whisper", {"encoder_layers": 1}, "left over: model.encoder.layers.1.fc1.bias"),
        ("Whisper", {"encoder_attention_heads": 3}, "width 16 must be even and a multiple of num_heads 3"),
        ("AST", {"time_stride": 9}, r"embeddings.position_embeddings is \(1, 16, 16\), not \(1, 14, 16\)"),
        ("AST", {"max_length": 8}, "32 mels x 8 frames hold no patch of side 16"),
        ("AST", {"intermediate_size": 33}, "intermediate_size 33 is no multiple of 16"),
    ],
)
def test_what_galago_has_not_is_refused(
    kind: str, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    if kind == "Whisper":
        make_published(tmp_path, kind, suffix="ForConditionalGeneration", **WHISPER)
    else:
        make_published(tmp_path, kind, suffix="ForAudioClassification", **AST)
    change_json(tmp_path / "config.json", **changes)
    with pytest.raises(CheckpointError, match=message):
        import_folder(tmp_path)
