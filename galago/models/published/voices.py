"""``FastSpeech2ConformerWithHifiGan``, ``FastSpeech2ConformerModel`` and ``FastSpeech2ConformerHifiGan``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

from galago.models.fastspeech2_conformer import (
    ConformerStack,
    FastSpeech2Conformer,
    FastSpeech2ConformerConfig,
    FastSpeech2ConformerVoice,
    FastSpeech2ConformerVoiceConfig,
    Predictor,
)
from galago.models.full_conformer import FullConformerBlock
from galago.models.hifigan import HifiGan, HifiGanConfig, ResidualStack
from galago.models.published.alphabet import read_tokens
from galago.models.published.folder import PublishedFolder, Settings
from galago.models.published.importer import Imported, TensorReader
from galago.models.published.wav2vec2_conformer import read_attention
from galago.models.training.checkpoints import CheckpointError

__all__ = ["import_fastspeech2_conformer", "import_hifigan", "import_voice"]

_Built = TypeVar("_Built")


def _built(config: Settings, build: Callable[[], _Built]) -> _Built:
    try:
        return build()
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{config.path}: {error}") from error


def _acoustic_config(config: Settings) -> FastSpeech2ConformerConfig:
    for key, value in (
        ("use_macaron_style_in_conformer", True),
        ("use_cnn_in_conformer", True),
        ("encoder_concat_after", False),
        ("decoder_concat_after", False),
        ("reduction_factor", 1),
        ("speaker_embed_dim", None),
    ):
        config.only(key, value)
    config.only("num_speakers", None, 1)
    config.only("num_languages", None, 1)

    def pair(key: str) -> tuple[int, int]:
        return config.get(f"encoder_{key}", int), config.get(f"decoder_{key}", int)

    def triple(name: str, channels: str, kernel: str) -> tuple[int, int, int]:
        keys = (f"{name}_layers", f"{name}_{channels}", f"{name}_{kernel}")
        layers, width, size = (config.get(key, int) for key in keys)
        return layers, width, size

    names = ("duration", "pitch", "energy")
    predictors = [triple(f"{name}_predictor", "channels", "kernel_size") for name in names]
    return _built(
        config,
        lambda: FastSpeech2ConformerConfig(
            num_phones=config.get("vocab_size", int),
            num_mels=config.get("num_mel_bins", int),
            width=config.get("hidden_size", int),
            num_blocks=pair("layers"),
            num_heads=pair("num_attention_heads"),
            feed_forward_width=pair("linear_units"),
            kernel_tokens=pair("kernel_size"),
            is_norm_first=(
                config.get("encoder_normalize_before", bool),
                config.get("decoder_normalize_before", bool),
            ),
            feed_forward_kernel=config.get("positionwise_conv_kernel_size", int),
            has_convolution_bias=config.get("convolution_bias", bool, True),
            duration_predictor=predictors[0],
            pitch_predictor=predictors[1],
            energy_predictor=predictors[2],
            embedding_kernel=(
                config.get("pitch_embed_kernel_size", int),
                config.get("energy_embed_kernel_size", int),
            ),
            postnet=triple("speech_decoder_postnet", "units", "kernel"),
        ),
    )


def _vocoder_config(config: Settings) -> HifiGanConfig:
    config.only("normalize_before", True)
    return _built(
        config,
        lambda: HifiGanConfig(
            num_mels=config.get("model_in_dim", int),
            width=config.get("upsample_initial_channel", int),
            upsampling_rates=config.integers("upsample_rates"),
            upsampling_kernels=config.integers("upsample_kernel_sizes"),
            residual_kernels=config.integers("resblock_kernel_sizes"),
            residual_dilations=tuple(tuple(row) for row in config.get("resblock_dilation_sizes", list)),
            leaky_slope=config.get("leaky_relu_slope", float),
        ),
    )


def _read_stack(reader: TensorReader, prefix: str, stack: ConformerStack) -> None:
    for i, block in enumerate(stack.blocks):
        assert isinstance(block, FullConformerBlock)  # a ModuleList forgets what it holds
        layer = f"{prefix}conformer_layers.{i}."
        for name, part in (
            ("feed_forward_macaron", block.feed_forward1),
            ("feed_forward", block.feed_forward2),
        ):
            reader.module(f"{layer}{name}.conv1", part.expand)
            reader.module(f"{layer}{name}.conv2", part.project)
        read_attention(reader, f"{layer}self_attn.", block.attention)
        reader.modules(
            layer,
            {
                "ff_macaron_layer_norm": block.feed_forward1_norm,
                "self_attn_layer_norm": block.attention_norm,
                "conv_layer_norm": block.convolution_norm,
                "conv_module.pointwise_conv1": block.convolution.expand,
                "conv_module.depthwise_conv": block.convolution.depthwise,
                "conv_module.norm": block.convolution.batch_norm,
                "conv_module.pointwise_conv2": block.convolution.project,
                "ff_layer_norm": block.feed_forward2_norm,
                "final_layer_norm": block.norm,
            },
        )


def _read_predictor(reader: TensorReader, prefix: str, predictor: Predictor) -> None:
    for i, (convolution, norm) in enumerate(zip(predictor.convolutions, predictor.norms, strict=True)):
        reader.modules(f"{prefix}conv_layers.{i}.", {"conv": convolution, "layer_norm": norm})
    reader.module(f"{prefix}linear", predictor.out)


def _read_acoustic(reader: TensorReader, prefix: str, network: FastSpeech2Conformer) -> None:
    reader.module(f"{prefix}encoder.embed", network.embedding)
    _read_stack(reader, f"{prefix}encoder.", network.encoder)
    _read_stack(reader, f"{prefix}decoder.", network.decoder)
    for name, predictor in (
        ("duration", network.duration_predictor),
        ("pitch", network.pitch_predictor),
        ("energy", network.energy_predictor),
    ):
        _read_predictor(reader, f"{prefix}{name}_predictor.", predictor)
    reader.module(f"{prefix}pitch_embed.conv", network.pitch_embedding)
    reader.module(f"{prefix}energy_embed.conv", network.energy_embedding)
    postnet = f"{prefix}speech_decoder_postnet."
    reader.module(f"{postnet}feat_out", network.out)
    layers = zip(network.postnet.convolutions, network.postnet.norms, strict=True)
    for i, (convolution, norm) in enumerate(layers):
        reader.modules(f"{postnet}layers.{i}.", {"conv": convolution, "batch_norm": norm})


def _read_vocoder(reader: TensorReader, prefix: str, network: HifiGan) -> None:
    reader.copy(f"{prefix}mean", network.mean)
    reader.copy(f"{prefix}scale", network.std)
    reader.modules(prefix, {"conv_pre": network.first, "conv_post": network.last})
    for i, upsampling in enumerate(network.upsampling):
        reader.module(f"{prefix}upsampler.{i}", upsampling)
    stacks: list[nn.Module] = [stack for group in network.residuals for stack in group.children()]
    for i, stack in enumerate(stacks):
        assert isinstance(stack, ResidualStack)
        for name, convolutions in (("convs1", stack.dilated), ("convs2", stack.plain)):
            for j, convolution in enumerate(convolutions):
                reader.module(f"{prefix}resblocks.{i}.{name}.{j}", convolution)


def import_fastspeech2_conformer(folder: PublishedFolder) -> Imported:
    """The acoustic model alone.

    Raises:
        CheckpointError: the folder is not what it says it is; see ``TensorReader.finish``.
    """
    network = FastSpeech2Conformer(_acoustic_config(folder.config)).eval()
    reader = TensorReader(folder.tensors, str(folder.path))
    _read_acoustic(reader, "", network)
    reader.finish()
    tokens = read_tokens(folder, network.config.num_phones)
    return Imported("fastspeech2-conformer", network, {"tokens": tokens})


def import_hifigan(folder: PublishedFolder) -> Imported:
    """The vocoder alone.

    Raises:
        CheckpointError: the folder is not what it says it is; see ``TensorReader.finish``.
    """
    network = HifiGan(_vocoder_config(folder.config)).eval()
    reader = TensorReader(folder.tensors, str(folder.path))
    _read_vocoder(reader, "", network)
    reader.finish()
    return Imported("hifi-gan", network)


def import_voice(folder: PublishedFolder) -> Imported:
    """Both, in one folder.

    Raises:
        CheckpointError: the folder is not what it says it is; see ``TensorReader.finish``.
    """
    config = folder.config

    def part(key: str) -> Settings:
        values: dict[str, Any] = config.get(key, dict)
        return Settings(config.path, values)

    acoustic, vocoder = _acoustic_config(part("model_config")), _vocoder_config(part("vocoder_config"))
    network = _built(
        config,
        lambda: FastSpeech2ConformerVoice(FastSpeech2ConformerVoiceConfig(acoustic, vocoder)).eval(),
    )
    reader = TensorReader(folder.tensors, str(folder.path))
    _read_acoustic(reader, "model.", network.acoustic)
    _read_vocoder(reader, "vocoder.", network.vocoder)
    reader.finish()
    return Imported(
        "fastspeech2-conformer-voice", network, {"tokens": read_tokens(folder, acoustic.num_phones)}
    )
