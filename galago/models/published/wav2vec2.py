"""``Wav2Vec2ForCTC`` and ``HubertForCTC``: one network, two prefixes."""

from __future__ import annotations

from typing import Any

from torch import nn

from galago.models.published.alphabet import ctc_details
from galago.models.published.folder import PublishedFolder
from galago.models.published.importer import Imported, TensorReader
from galago.models.training.checkpoints import CheckpointError
from galago.models.transformer import TransformerBlock
from galago.models.wav2vec2 import Wav2Vec2, Wav2Vec2Config
from galago.models.waveform import FeatureEncoder

__all__ = [
    "import_wav2vec2",
    "normalises_samples",
    "read_front",
    "read_network",
    "waveform_settings",
]


def normalises_samples(folder: PublishedFolder) -> bool:
    """Whether samples are brought to mean 0 and variance 1; True is the layout's own default.

    Raises:
        CheckpointError: the network was trained at another sample rate than 16 kHz.
    """
    settings = folder.settings("preprocessor_config.json")
    if settings is None:
        return True
    settings.only("sampling_rate", 16_000)
    return settings.get("do_normalize", bool, True)


def waveform_settings(folder: PublishedFolder) -> dict[str, Any]:
    """What a configuration says of everything before the blocks, under the names of ``Wav2Vec2Config``.

    Raises:
        CheckpointError: what galago's network is not: adapters, other activations.
    """
    config = folder.config
    config.only("feat_extract_activation", "gelu")
    config.only("feat_extract_norm", "group", "layer")
    config.only("add_adapter", False)
    config.only("adapter_attn_dim", None)
    return {
        "width": config.get("hidden_size", int),
        "num_blocks": config.get("num_hidden_layers", int),
        "num_heads": config.get("num_attention_heads", int),
        "feed_forward_width": config.get("intermediate_size", int),
        "convolution_widths": config.integers("conv_dim"),
        "convolution_kernels": config.integers("conv_kernel"),
        "convolution_strides": config.integers("conv_stride"),
        "convolution_norm": config.get("feat_extract_norm", str),
        "has_convolution_bias": config.get("conv_bias", bool, False),
        "normalises_samples": normalises_samples(folder),
        "num_tokens": config.get("vocab_size", int),
        "layer_norm_eps": config.get("layer_norm_eps", float, 1e-5),
    }


def read_front(
    reader: TensorReader,
    prefix: str,
    encoder: FeatureEncoder,
    projection: nn.Linear,
    norm: nn.LayerNorm | None,
) -> None:
    """Fill the convolutions and the projection to the blocks' width."""
    for i, convolution in enumerate(encoder.convolutions):
        layer = f"{prefix}feature_extractor.conv_layers.{i}."
        reader.module(f"{layer}conv", convolution)
        if encoder.layer_norms:
            reader.module(f"{layer}layer_norm", encoder.layer_norms[i])
        elif i == 0 and encoder.group_norm is not None:
            reader.module(f"{layer}layer_norm", encoder.group_norm)
    reader.module(f"{prefix}feature_projection.projection", projection)
    if norm is not None:
        reader.module(f"{prefix}feature_projection.layer_norm", norm)


def _read_block(reader: TensorReader, prefix: str, block: TransformerBlock) -> None:
    reader.modules(
        prefix,
        {
            "attention.q_proj": block.attention.query,
            "attention.k_proj": block.attention.key,
            "attention.v_proj": block.attention.value,
            "attention.out_proj": block.attention.out,
            "layer_norm": block.attention_norm,
            "feed_forward.intermediate_dense": block.expand,
            "feed_forward.output_dense": block.project,
            "final_layer_norm": block.feed_forward_norm,
        },
    )


def import_wav2vec2(folder: PublishedFolder) -> Imported:
    """A wav2vec 2.0 or a HuBERT with a CTC head.

    Raises:
        CheckpointError: the folder is not what it says it is; see ``TensorReader.finish``.
    """
    config = folder.config
    config.only("hidden_act", "gelu")
    kernel = config.get("num_conv_pos_embeddings", int)
    try:
        network = Wav2Vec2(
            Wav2Vec2Config(
                **waveform_settings(folder),
                has_projection_norm=config.get("feat_proj_layer_norm", bool, True),
                position_kernel_tokens=kernel,
                position_groups=config.get("num_conv_pos_embedding_groups", int),
                position_lookahead_tokens=(kernel - 1) // 2,
                has_position_norm=config.get("conv_pos_batch_norm", bool, False),
                is_norm_first=config.get("do_stable_layer_norm", bool, False),
            )
        ).eval()
    except ValueError as error:
        raise CheckpointError(f"{config.path}: {error}") from error
    reader = TensorReader(folder.tensors, str(folder.path))
    read_network(reader, "hubert." if folder.architecture == "HubertForCTC" else "wav2vec2.", network)
    reader.module("lm_head", network.head)
    reader.finish()
    return Imported("wav2vec2", network, ctc_details(folder))


def read_network(reader: TensorReader, prefix: str, network: Wav2Vec2) -> None:
    """Fill everything but the CTC head, which networks from pre-training have not."""
    read_front(reader, prefix, network.encoder, network.projection, network.projection_norm)
    if f"{prefix}masked_spec_embed" in reader:  # left out where the network was never trained with masks
        reader.copy(f"{prefix}masked_spec_embed", network.mask_embedding)
    if network.positions.norm is None:
        reader.weight_normed(f"{prefix}encoder.pos_conv_embed.conv", network.positions.conv, dim=2)
    else:
        reader.module(f"{prefix}encoder.pos_conv_embed.conv", network.positions.conv)
        reader.module(f"{prefix}encoder.pos_conv_embed.batch_norm", network.positions.norm)
    reader.module(f"{prefix}encoder.layer_norm", network.norm)
    for i, block in enumerate(network.blocks):
        assert isinstance(block, TransformerBlock)  # a ModuleList forgets what it holds
        _read_block(reader, f"{prefix}encoder.layers.{i}.", block)
