"""``WhisperForConditionalGeneration``, of which the encoder is taken, and ``ASTForAudioClassification``."""

from __future__ import annotations

import torch

from galago.models.published.alphabet import label_names
from galago.models.published.folder import PublishedFolder
from galago.models.published.images import read_vit_block
from galago.models.published.importer import Imported, TensorReader
from galago.models.spectrogram_transformer import AstConfig, AudioSpectrogramTransformer
from galago.models.training.checkpoints import CheckpointError
from galago.models.transformer import TransformerBlock
from galago.models.vit import VitBlock
from galago.models.whisper import WhisperConfig, WhisperEncoder

__all__ = ["import_ast", "import_whisper"]


def import_whisper(folder: PublishedFolder) -> Imported:
    """Whisper's encoder; the decoder's tensors are left out.

    Raises:
        CheckpointError: the folder is not what it says it is; see ``TensorReader.finish``.
    """
    config = folder.config
    config.only("activation_function", "gelu")
    try:
        network = WhisperEncoder(
            WhisperConfig(
                num_mels=config.get("num_mel_bins", int),
                num_positions=config.get("max_source_positions", int),
                width=config.get("d_model", int),
                num_blocks=config.get("encoder_layers", int),
                num_heads=config.get("encoder_attention_heads", int),
                feed_forward_width=config.get("encoder_ffn_dim", int),
            )
        ).eval()
    except ValueError as error:
        raise CheckpointError(f"{config.path}: {error}") from error
    reader = TensorReader(folder.tensors, str(folder.path))
    reader.leave(r"model\.decoder\.|proj_out\.weight$")
    prefix = "model.encoder."
    reader.copy(f"{prefix}embed_positions.weight", network.positions)
    reader.modules(prefix, {"conv1": network.conv1, "conv2": network.conv2, "layer_norm": network.norm})
    for i, block in enumerate(network.blocks):
        assert isinstance(block, TransformerBlock)  # a ModuleList forgets what it holds
        reader.modules(
            f"{prefix}layers.{i}.",
            {
                "self_attn.q_proj": block.attention.query,
                "self_attn.k_proj": block.attention.key,
                "self_attn.v_proj": block.attention.value,
                "self_attn.out_proj": block.attention.out,
                "self_attn_layer_norm": block.attention_norm,
                "fc1": block.expand,
                "fc2": block.project,
                "final_layer_norm": block.feed_forward_norm,
            },
        )
    reader.finish()
    return Imported("whisper-encoder", network)


def import_ast(folder: PublishedFolder) -> Imported:
    """An AST with its classifier.

    Raises:
        CheckpointError: the folder is not what it says it is; see ``TensorReader.finish``.
    """
    config, labels = folder.config, label_names(folder)
    config.only("hidden_act", "gelu")
    config.only("qkv_bias", True)
    inner, channels = config.get("intermediate_size", int), config.get("hidden_size", int)
    if inner % channels:
        raise CheckpointError(f"{config.path}: intermediate_size {inner} is no multiple of {channels}")
    statistics = {}
    settings = folder.settings("preprocessor_config.json")
    if settings is not None:
        settings.only("sampling_rate", 16_000)
        settings.only("do_normalize", True)
        statistics = {"mean": settings.get("mean", float), "deviation": settings.get("std", float)}
    try:
        network = AudioSpectrogramTransformer(
            AstConfig(
                num_frames=config.get("max_length", int),
                num_mels=config.get("num_mel_bins", int),
                num_classes=len(labels),
                patch=config.get("patch_size", int),
                mel_stride=config.get("frequency_stride", int),
                frame_stride=config.get("time_stride", int),
                channels=channels,
                depth=config.get("num_hidden_layers", int),
                num_heads=config.get("num_attention_heads", int),
                feed_forward_factor=inner // channels,
                **statistics,
            )
        ).eval()
    except ValueError as error:
        raise CheckpointError(f"{config.path}: {error}") from error
    reader = TensorReader(folder.tensors, str(folder.path))
    prefix = "audio_spectrogram_transformer."
    names = [f"{prefix}embeddings.{kind}_token" for kind in ("cls", "distillation")]
    with torch.no_grad():
        network.tokens.copy_(torch.cat([reader.take(name, (1, 1, channels)) for name in names], dim=1))
    reader.copy(f"{prefix}embeddings.position_embeddings", network.positions)
    reader.module(f"{prefix}embeddings.patch_embeddings.projection", network.embedding)
    for i, block in enumerate(network.blocks):
        assert isinstance(block, VitBlock)
        read_vit_block(reader, f"{prefix}encoder.layer.{i}.", block)
    reader.module(f"{prefix}layernorm", network.norm)
    reader.modules("classifier.", {"layernorm": network.head_norm, "dense": network.head})
    reader.finish()
    return Imported("ast", network, {"labels": labels})
