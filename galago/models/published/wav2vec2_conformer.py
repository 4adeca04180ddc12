"""``Wav2Vec2ConformerForCTC``: wav2vec 2.0's convolutions under Conformer blocks."""

from __future__ import annotations

from galago.models.attention import RelativeAttention
from galago.models.full_conformer import FullConformerBlock, RotaryAttention
from galago.models.published.alphabet import ctc_details
from galago.models.published.folder import PublishedFolder
from galago.models.published.importer import Imported, TensorReader
from galago.models.published.wav2vec2 import read_front, waveform_settings
from galago.models.training.checkpoints import CheckpointError
from galago.models.wav2vec2_conformer import Wav2Vec2Conformer, Wav2Vec2ConformerConfig

__all__ = ["import_wav2vec2_conformer", "read_attention"]

_PREFIX = "wav2vec2_conformer."
_ACTIVATIONS = {"gelu": "gelu", "swish": "swish", "silu": "swish", "relu": "relu"}


def read_attention(reader: TensorReader, prefix: str, attention: RelativeAttention | RotaryAttention) -> None:
    """Fill an attention whose parts are called ``linear_q`` and so on, as in ESPnet and its kin."""
    reader.modules(
        f"{prefix}linear_",
        {"q": attention.query, "k": attention.key, "v": attention.value, "out": attention.out},
    )
    if isinstance(attention, RelativeAttention):
        reader.module(f"{prefix}linear_pos", attention.position)
        reader.copy(f"{prefix}pos_bias_u", attention.content_bias[:, 0])
        reader.copy(f"{prefix}pos_bias_v", attention.position_bias[:, 0])


def _read_block(reader: TensorReader, prefix: str, block: FullConformerBlock) -> None:
    for i, part in ((1, block.feed_forward1), (2, block.feed_forward2)):
        reader.module(f"{prefix}ffn{i}.intermediate_dense", part.expand)
        reader.module(f"{prefix}ffn{i}.output_dense", part.project)
    read_attention(reader, f"{prefix}self_attn.", block.attention)
    reader.modules(
        prefix,
        {
            "ffn1_layer_norm": block.feed_forward1_norm,
            "ffn2_layer_norm": block.feed_forward2_norm,
            "self_attn_layer_norm": block.attention_norm,
            "conv_module.layer_norm": block.convolution_norm,
            "conv_module.pointwise_conv1": block.convolution.expand,
            "conv_module.depthwise_conv": block.convolution.depthwise,
            "conv_module.batch_norm": block.convolution.batch_norm,
            "conv_module.pointwise_conv2": block.convolution.project,
            "final_layer_norm": block.norm,
        },
    )


def import_wav2vec2_conformer(folder: PublishedFolder) -> Imported:
    """A wav2vec 2.0 with Conformer blocks and a CTC head.

    Raises:
        CheckpointError: the folder is not what it says it is; see ``TensorReader.finish``.
    """
    config = folder.config
    config.only("hidden_act", *_ACTIVATIONS)
    config.only("position_embeddings_type", "relative", "rotary")
    try:
        network = Wav2Vec2Conformer(
            Wav2Vec2ConformerConfig(
                **waveform_settings(folder),
                positions=config.get("position_embeddings_type", str, "relative"),
                rotary_base=config.get("rotary_embedding_base", float, 10_000.0),
                kernel_tokens=config.get("conv_depthwise_kernel_size", int),
                activation=_ACTIVATIONS[config.get("hidden_act", str, "gelu")],
            )
        ).eval()
    except ValueError as error:
        raise CheckpointError(f"{config.path}: {error}") from error
    reader = TensorReader(folder.tensors, str(folder.path))
    # The layout holds a positions' convolution that its network never uses, and so are rates of rotation.
    reader.leave(rf"{_PREFIX}encoder\.pos_conv_embed\.")
    reader.leave(rf"{_PREFIX}encoder\.embed_positions\.inv_freq$")
    reader.leave(rf"{_PREFIX}masked_spec_embed$")
    read_front(reader, _PREFIX, network.encoder, network.projection, network.projection_norm)
    for i, block in enumerate(network.blocks):
        assert isinstance(block, FullConformerBlock)  # a ModuleList forgets what it holds
        _read_block(reader, f"{_PREFIX}encoder.layers.{i}.", block)
    reader.module(f"{_PREFIX}encoder.layer_norm", network.norm)
    reader.module("lm_head", network.head)
    reader.finish()
    return Imported("wav2vec2-conformer", network, ctc_details(folder))
