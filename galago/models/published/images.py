"""``SwinForImageClassification``, ``ViTForImageClassification`` and DeiT's three classes of classifiers.

Query, key and value, which stand apart there, are stacked.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from galago.models.published.alphabet import label_names
from galago.models.published.folder import PublishedFolder
from galago.models.published.importer import Imported, TensorReader
from galago.models.swin import PatchMerging, Swin, SwinBlock, SwinConfig
from galago.models.training.checkpoints import CheckpointError
from galago.models.vit import Vit, VitBlock, VitConfig

__all__ = ["import_swin", "import_vit", "read_vit_block"]


def _details(folder: PublishedFolder, labels: list[str]) -> dict[str, Any]:
    """Labels, and how pixels are prepared: the mean and deviation that are taken out, of values in [0, 1]."""
    settings = folder.settings("preprocessor_config.json")
    details: dict[str, Any] = {"labels": labels}
    if settings is not None:
        for key in ("image_mean", "image_std"):
            details[key] = [float(value) for value in settings.get(key, list)]
    return details


def import_swin(folder: PublishedFolder) -> Imported:
    """A Swin with a classifier.

    Raises:
        CheckpointError: the folder is not what it says it is; see ``TensorReader.finish``.
    """
    config = folder.config
    config.only("hidden_act", "gelu")
    config.only("num_channels", 3)
    config.only("qkv_bias", True)
    config.only("use_absolute_embeddings", False)
    side, width = config.get("image_size", int), config.get("embed_dim", int)
    depths, labels = config.integers("depths"), label_names(folder)
    try:
        network = Swin(
            SwinConfig(
                height=side,
                width=side,
                num_classes=len(labels),
                patch=config.get("patch_size", int),
                window=config.get("window_size", int),
                widths=tuple(width << i for i in range(len(depths))),
                depths=depths,
                num_heads=config.integers("num_heads"),
                feed_forward_factor=config.get("mlp_ratio", float, 4.0),
            )
        ).eval()
    except ValueError as error:
        raise CheckpointError(f"{config.path}: {error}") from error
    reader = TensorReader(folder.tensors, str(folder.path))
    reader.leave(r".*\.relative_position_index$")  # constants, which some files hold
    reader.module("swin.embeddings.patch_embeddings.projection", network.embedding.cut)
    reader.module("swin.embeddings.norm", network.embedding.norm)
    for i, stage in enumerate(network.stages):
        assert isinstance(stage, nn.Sequential)  # a ModuleList forgets what it holds
        for j, block in enumerate(stage):
            assert isinstance(block, SwinBlock)
            _read_swin_block(reader, f"swin.encoder.layers.{i}.blocks.{j}.", block)
    for i, merging in enumerate(network.merging):
        assert isinstance(merging, PatchMerging)
        prefix = f"swin.encoder.layers.{i}.downsample."
        reader.modules(prefix, {"norm": merging.norm, "reduction": merging.reduction})
    reader.modules("", {"swin.layernorm": network.norm, "classifier": network.head})
    reader.finish()
    return Imported("swin", network, _details(folder, labels))


def _read_swin_block(reader: TensorReader, prefix: str, block: SwinBlock) -> None:
    attention = block.attention
    names = [f"{prefix}attention.self.{part}" for part in ("query", "key", "value")]
    reader.stacked(names, attention.query_key_value)
    reader.copy(f"{prefix}attention.self.relative_position_bias_table", attention.position_bias)
    reader.modules(
        prefix,
        {
            "attention.output.dense": attention.out,
            "layernorm_before": block.attention_norm,
            "layernorm_after": block.feed_forward_norm,
            "intermediate.dense": block.expand,
            "output.dense": block.project,
        },
    )


def read_vit_block(reader: TensorReader, prefix: str, block: VitBlock) -> None:
    """Fill a block of a ViT, a DeiT or an AST."""
    names = [f"{prefix}attention.attention.{part}" for part in ("query", "key", "value")]
    reader.stacked(names, block.query_key_value)
    reader.modules(
        prefix,
        {
            "attention.output.dense": block.out,
            "layernorm_before": block.attention_norm,
            "layernorm_after": block.feed_forward_norm,
            "intermediate.dense": block.expand,
            "output.dense": block.project,
        },
    )


def import_vit(folder: PublishedFolder) -> Imported:
    """A ViT or a DeiT with a classifier, or DeiT with two.

    ``DeiTForImageClassification`` has a distillation token, whose head was not kept: its scores are those of
    the class token alone. It is refused, for galago's network has a head behind each token.

    Raises:
        CheckpointError: the folder is not what it says it is; see ``TensorReader.finish``.
    """
    config, labels = folder.config, label_names(folder)
    is_distilled = folder.architecture == "DeiTForImageClassificationWithTeacher"
    config.only("hidden_act", "gelu")
    config.only("num_channels", 3)
    config.only("qkv_bias", True)
    side, channels = config.get("image_size", int), config.get("hidden_size", int)
    inner = config.get("intermediate_size", int)
    if inner % channels:
        raise CheckpointError(f"{config.path}: intermediate_size {inner} is no multiple of {channels}")
    try:
        network = Vit(
            VitConfig(
                height=side,
                width=side,
                num_classes=len(labels),
                patch=config.get("patch_size", int),
                channels=channels,
                depth=config.get("num_hidden_layers", int),
                num_heads=config.get("num_attention_heads", int),
                feed_forward_factor=inner // channels,
                is_distilled=is_distilled,
            )
        ).eval()
    except ValueError as error:
        raise CheckpointError(f"{config.path}: {error}") from error
    reader = TensorReader(folder.tensors, str(folder.path))
    prefix = "deit." if is_distilled else "vit."
    one = (1, 1, channels)
    tokens = [reader.take(f"{prefix}embeddings.cls_token", one)]
    if is_distilled:
        tokens.append(reader.take(f"{prefix}embeddings.distillation_token", one))
    with torch.no_grad():
        network.tokens.copy_(torch.cat(tokens, dim=1))
    reader.copy(f"{prefix}embeddings.position_embeddings", network.positions)
    reader.module(f"{prefix}embeddings.patch_embeddings.projection", network.embedding)
    for i, block in enumerate(network.blocks):
        assert isinstance(block, VitBlock)
        read_vit_block(reader, f"{prefix}encoder.layer.{i}.", block)
    reader.module(f"{prefix}layernorm", network.norm)
    reader.leave(rf"{prefix}pooler\.dense\.")  # of another head, which some files hold
    if network.distillation_head is None:
        reader.module("classifier", network.head)
    else:
        reader.module("cls_classifier", network.head)
        reader.module("distillation_classifier", network.distillation_head)
    reader.finish()
    return Imported("vit", network, _details(folder, labels))
