"""Swin, ViT and DeiT: the numbers of transformers' classes, from folders that they saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from galago.models.checkpoint import import_folder, load_network, save_network
from galago.models.swin import Swin
from galago.models.training.checkpoints import CheckpointError
from galago.models.vit import Vit
from tests.models.published.folders import change_json, make_published, write_json

SWIN: dict[str, Any] = {
    "image_size": 64,
    "patch_size": 4,
    "embed_dim": 12,
    "depths": [2, 2, 2],
    "num_heads": [2, 3, 4],
    "window_size": 4,
    "num_labels": 5,
}
VIT: dict[str, Any] = {
    "image_size": 32,
    "patch_size": 8,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 96,
    "num_labels": 5,
}
CLASSIFIER = "ForImageClassification"


def images(height: int = 32, width: int = 32) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(5))


@torch.no_grad()
def test_swin_gives_the_same_numbers_as_transformers(tmp_path: Path) -> None:
    theirs = make_published(tmp_path, "Swin", suffix=CLASSIFIER, **SWIN)
    write_json(tmp_path / "preprocessor_config.json", {"image_mean": [0.5, 0.4, 0.3], "image_std": [1, 1, 1]})
    save_network(tmp_path / "model.pt", import_folder(tmp_path))
    stored = load_network(tmp_path / "model.pt")
    assert isinstance(stored.network, Swin)
    assert stored.details["labels"] == [f"LABEL_{i}" for i in range(5)]
    assert stored.details["image_mean"] == [0.5, 0.4, 0.3] and stored.details["image_std"] == [1.0] * 3
    expected = theirs(images(64, 64), output_hidden_states=True)
    assert float((stored.network(images(64, 64)) - expected.logits).abs().max()) <= 1e-4
    maps = stored.network.features(images(64, 64))
    assert [tuple(found.shape[1:]) for found in maps] == [(12, 16, 16), (24, 8, 8), (48, 4, 4)]


@torch.no_grad()
def test_vit_gives_the_same_numbers_as_transformers(tmp_path: Path) -> None:
    theirs = make_published(tmp_path, "ViT", suffix=CLASSIFIER, **VIT)
    save_network(tmp_path / "model.pt", import_folder(tmp_path))
    stored = load_network(tmp_path / "model.pt")
    assert isinstance(stored.network, Vit)
    assert float((stored.network(images()) - theirs(images()).logits).abs().max()) <= 1e-4
    larger = stored.network.at_resolution(48, 64)
    expected = theirs(images(48, 64), interpolate_pos_encoding=True).logits
    assert float((larger(images(48, 64)) - expected).abs().max()) <= 1e-4


@torch.no_grad()
def test_distilled_deit_gives_the_same_numbers_as_transformers(tmp_path: Path) -> None:
    theirs = make_published(tmp_path, "DeiT", suffix=f"{CLASSIFIER}WithTeacher", **VIT)
    save_network(tmp_path / "model.pt", import_folder(tmp_path))
    stored = load_network(tmp_path / "model.pt")
    assert isinstance(stored.network, Vit) and stored.network.config.is_distilled
    expected, heads = theirs(images()), stored.network.forward_heads(images())
    assert float((stored.network(images()) - expected.logits).abs().max()) <= 1e-4
    assert float((heads.logits - expected.cls_logits).abs().max()) <= 1e-4
    assert float((heads.distillation_logits - expected.distillation_logits).abs().max()) <= 1e-4


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("Swin", {"num_heads": [2, 5, 4]}, "a stage of width 24, depth 2 and 5 heads cannot be"),
        ("Swin", {"use_absolute_embeddings": True}, "use_absolute_embeddings is true; galago knows false"),
        ("Swin", {"id2label": {"0": "cat", "2": "dog"}}, "id2label has 2 labels and no '1'"),
        ("Swin", {"id2label": {"0": "cat"}}, r"classifier.weight is \(5, 48\), not \(1, 48\)"),
        ("ViT", {"intermediate_size": 97}, "intermediate_size 97 is no multiple of 24"),
        ("ViT", {"num_hidden_layers": 1}, "left over: vit.encoder.layer.1.attention.attention.key.bias"),
        ("ViT", {"num_hidden_layers": 3}, "missing: vit.encoder.layer.2.attention.attention.query.weight"),
    ],
)
def test_what_galago_has_not_is_refused(
    kind: str, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    make_published(tmp_path, kind, suffix=CLASSIFIER, **(SWIN if kind == "Swin" else VIT))
    change_json(tmp_path / "config.json", **changes)
    with pytest.raises(CheckpointError, match=message):
        import_folder(tmp_path)
