"""``ParakeetForCTC``: NeMo's FastConformer in Hugging Face's layout."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from galago.models.attention import RelativeAttention
from galago.models.fast_conformer import FastConformer, FastConformerConfig
from galago.models.full_conformer import FullConformerBlock
from galago.models.published.alphabet import ctc_details
from galago.models.published.folder import PublishedFolder, Settings
from galago.models.published.importer import Imported, TensorReader
from galago.models.training.checkpoints import CheckpointError

__all__ = ["import_fast_conformer"]


def _config(folder: PublishedFolder) -> tuple[FastConformerConfig, bool]:
    """The network's shape, and whether linear maps have a bias there."""
    values: dict[str, Any] = folder.config.get("encoder_config", dict)
    config = Settings(folder.config.path, values)
    config.only("hidden_act", "silu")
    config.only("subsampling_conv_stride", 2)
    heads = config.get("num_attention_heads", int)
    config.only("num_key_value_heads", heads)
    factor = config.get("subsampling_factor", int)
    if factor < 2 or factor & (factor - 1):
        raise CheckpointError(f"{config.path}: subsampling_factor {factor} is no power of 2")
    try:
        found = FastConformerConfig(
            num_mels=config.get("num_mel_bins", int),
            width=config.get("hidden_size", int),
            num_blocks=config.get("num_hidden_layers", int),
            num_heads=heads,
            feed_forward_width=config.get("intermediate_size", int),
            kernel_tokens=config.get("conv_kernel_size", int),
            num_halvings=factor.bit_length() - 1,
            subsampling_channels=config.get("subsampling_conv_channels", int),
            subsampling_kernel=config.get("subsampling_conv_kernel_size", int),
            has_convolution_bias=config.get("convolution_bias", bool, True),
            scales_input=config.get("scale_input", bool),
            num_tokens=folder.config.get("vocab_size", int),
        )
    except ValueError as error:
        raise CheckpointError(f"{config.path}: {error}") from error
    return found, config.get("attention_bias", bool, True)


@torch.no_grad()
def _linear(reader: TensorReader, name: str, module: nn.Linear, has_bias: bool) -> None:
    """Fill a linear map; where it has no bias there, its bias is zeros here."""
    reader.copy(f"{name}.weight", module.weight)
    if has_bias:
        reader.copy(f"{name}.bias", module.bias)
    else:
        module.bias.zero_()


def _read_block(reader: TensorReader, prefix: str, block: FullConformerBlock, has_bias: bool) -> None:
    attention = block.attention
    assert isinstance(attention, RelativeAttention)
    maps: list[tuple[str, nn.Module]] = [
        ("self_attn.q_proj", attention.query),
        ("self_attn.k_proj", attention.key),
        ("self_attn.v_proj", attention.value),
        ("self_attn.o_proj", attention.out),
        ("feed_forward1.linear1", block.feed_forward1.expand),
        ("feed_forward1.linear2", block.feed_forward1.project),
        ("feed_forward2.linear1", block.feed_forward2.expand),
        ("feed_forward2.linear2", block.feed_forward2.project),
    ]
    for name, module in maps:
        assert isinstance(module, nn.Linear)
        _linear(reader, f"{prefix}{name}", module, has_bias)
    reader.module(f"{prefix}self_attn.relative_k_proj", attention.position)
    reader.copy(f"{prefix}self_attn.bias_u", attention.content_bias[:, 0])
    reader.copy(f"{prefix}self_attn.bias_v", attention.position_bias[:, 0])
    reader.modules(
        prefix,
        {
            "norm_feed_forward1": block.feed_forward1_norm,
            "norm_self_att": block.attention_norm,
            "norm_conv": block.convolution_norm,
            "conv.pointwise_conv1": block.convolution.expand,
            "conv.depthwise_conv": block.convolution.depthwise,
            "conv.norm": block.convolution.batch_norm,
            "conv.pointwise_conv2": block.convolution.project,
            "norm_feed_forward2": block.feed_forward2_norm,
            "norm_out": block.norm,
        },
    )


def import_fast_conformer(folder: PublishedFolder) -> Imported:
    """A FastConformer with a CTC head over word pieces, which begin a word where they begin with ``▁``.

    Raises:
        CheckpointError: the folder is not what it says it is; see ``TensorReader.finish``.
    """
    config, has_bias = _config(folder)
    try:
        network = FastConformer(config).eval()
    except ValueError as error:
        raise CheckpointError(f"{folder.config.path}: {error}") from error
    reader = TensorReader(folder.tensors, str(folder.path))
    subsampling = network.subsampling
    front = "encoder.subsampling."
    reader.module(f"{front}layers.0", subsampling.first)
    pairs = zip(subsampling.depthwise, subsampling.pointwise, strict=True)
    for i, (depthwise, pointwise) in enumerate(pairs):  # a ReLU behind each pair counts as a layer there
        reader.module(f"{front}layers.{3 * i + 2}", depthwise)
        reader.module(f"{front}layers.{3 * i + 3}", pointwise)
    reader.module(f"{front}linear", subsampling.out)
    for i, block in enumerate(network.blocks):
        assert isinstance(block, FullConformerBlock)  # a ModuleList forgets what it holds
        _read_block(reader, f"encoder.layers.{i}.", block, has_bias)
    weight = reader.take("ctc_head.weight", (*network.head.weight.shape, 1))  # a convolution of kernel 1
    with torch.no_grad():
        network.head.weight.copy_(weight[..., 0])
    reader.copy("ctc_head.bias", network.head.bias)
    reader.finish()
    details = ctc_details(folder)
    del details["word_separator"]
    return Imported("fast-conformer", network, {**details, "word_start": "▁"})
