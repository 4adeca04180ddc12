"""FastSpeech 2 with Conformer blocks, as ESPnet publishes it: phones to log-mel, whole sentences.

    phones ──► Conformer ──► + pitch, + energy ──► length regulator ──► Conformer ──► post-net ──► mel

A teacher of galago's own ``fastspeech.py``, which streams; with a HiFi-GAN it is a whole voice. Letters:
B batch, P phones, T frames, C width.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.attention import MASKED, relative_positions
from galago.models.fastspeech import regulate_length
from galago.models.full_conformer import FullConformerBlock
from galago.models.hifigan import HifiGan, HifiGanConfig
from galago.models.masks import padding_mask
from galago.models.network_config import NetworkConfig

__all__ = [
    "FastSpeech2Conformer",
    "FastSpeech2ConformerConfig",
    "FastSpeech2ConformerVoice",
    "FastSpeech2ConformerVoiceConfig",
    "SpokenMel",
]


@dataclass(frozen=True)
class FastSpeech2ConformerConfig(NetworkConfig):
    """Shape of the network; stored inside every checkpoint. The defaults are those published for LJSpeech.

    Pairs are of the encoder and the decoder; triples are layers, channels and kernel of a predictor.
    """

    num_phones: int = 78
    num_mels: int = 80
    width: int = 384
    num_blocks: tuple[int, int] = (4, 4)
    num_heads: tuple[int, int] = (2, 2)
    feed_forward_width: tuple[int, int] = (1536, 1536)
    kernel_tokens: tuple[int, int] = (7, 31)
    is_norm_first: tuple[bool, bool] = (False, False)
    feed_forward_kernel: int = 3
    has_convolution_bias: bool = True
    duration_predictor: tuple[int, int, int] = (2, 256, 3)
    pitch_predictor: tuple[int, int, int] = (5, 256, 5)
    energy_predictor: tuple[int, int, int] = (2, 256, 3)
    embedding_kernel: tuple[int, int] = (1, 1)  # of pitch and of energy
    postnet: tuple[int, int, int] = (5, 256, 5)

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, list | tuple):
                object.__setattr__(self, name, tuple(value))
            for one in value if isinstance(value, list | tuple) else [value]:
                if not isinstance(one, bool) and one < 1:
                    raise ValueError(f"{name} must be at least 1, got {value}")
        if self.width % 2 or any(self.width % heads for heads in self.num_heads):
            raise ValueError(f"width {self.width} must be even and a multiple of num_heads {self.num_heads}")
        kernels = [self.duration_predictor[2], self.pitch_predictor[2], self.energy_predictor[2]]
        if any(kernel % 2 == 0 for kernel in [*kernels, *self.embedding_kernel, self.postnet[2]]):
            raise ValueError("the kernels of predictors, embeddings and post-net must be odd")


class SpokenMel(NamedTuple):
    """``num_frames`` (B,) counts the valid rows of each sentence; pitch and energy are in its own units."""

    log_mel: Tensor  # (B, T, num_mels)
    num_frames: Tensor  # (B,)
    durations: Tensor  # (B, P) int64 frames
    pitch: Tensor  # (B, P)
    energy: Tensor  # (B, P)


class Predictor(nn.Module):
    """Convolutions with ReLU and LayerNorm, then one value a phone: (B, P, C) -> (B, P)."""

    def __init__(self, width: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        num_layers, channels, kernel = shape
        self.convolutions = nn.ModuleList(
            nn.Conv1d(channels if i else width, channels, kernel, padding=kernel // 2)
            for i in range(num_layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(num_layers))
        self.out = nn.Linear(channels, 1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = norm(F.relu(convolution((x * mask).transpose(1, 2))).transpose(1, 2))
        y: Tensor = self.out(x) * mask
        return y[..., 0]


class ConformerStack(nn.Module):
    """Blocks on inputs that are scaled by the root of their width: (B, T, C) -> (B, T, C)."""

    def __init__(self, config: FastSpeech2ConformerConfig, number: int) -> None:
        super().__init__()
        self.scale = math.sqrt(config.width)
        self.blocks = nn.ModuleList(
            FullConformerBlock(
                config.width,
                config.num_heads[number],
                config.feed_forward_width[number],
                config.kernel_tokens[number],
                is_norm_first=config.is_norm_first[number],
                activation="relu",
                convolution_activation="swish",
                has_convolution_bias=config.has_convolution_bias,
                feed_forward_kernel=config.feed_forward_kernel,
            )
            for _ in range(config.num_blocks[number])
        )

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        T = x.shape[1]
        positions = relative_positions(T - 1, -(T - 1), x.shape[2]).to(x)
        bias = torch.where(valid[:, None, None, :], 0.0, MASKED).to(x.dtype)
        mask = valid[..., None].to(x.dtype)
        x = x * self.scale
        for block in self.blocks:
            x = block(x, positions, bias, mask)
        return x


class PostNet(nn.Module):
    """What a mel is corrected by: convolutions with BatchNorm, tanh behind all but the last."""

    def __init__(self, num_mels: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        num_layers, channels, kernel = shape
        widths = [num_mels, *[channels] * (num_layers - 1), num_mels]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(widths[i], widths[i + 1], kernel, padding=kernel // 2, bias=False)
            for i in range(num_layers)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in widths[1:])

    def forward(self, mel: Tensor, mask: Tensor) -> Tensor:
        y, around = mel.transpose(1, 2), mask.transpose(1, 2)
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            y = norm(convolution(y * around))
            y = torch.tanh(y) if i + 1 < len(self.convolutions) else y
        return mel + y.transpose(1, 2)


class FastSpeech2Conformer(nn.Module):
    """Phones in, log-mel out."""

    def __init__(self, config: FastSpeech2ConformerConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.num_phones, config.width, padding_idx=0)
        self.encoder = ConformerStack(config, 0)
        self.duration_predictor = Predictor(config.width, config.duration_predictor)
        self.pitch_predictor = Predictor(config.width, config.pitch_predictor)
        self.energy_predictor = Predictor(config.width, config.energy_predictor)
        pitch, energy = config.embedding_kernel
        self.pitch_embedding = nn.Conv1d(1, config.width, pitch, padding=pitch // 2)
        self.energy_embedding = nn.Conv1d(1, config.width, energy, padding=energy // 2)
        self.decoder = ConformerStack(config, 1)
        self.out = nn.Linear(config.width, config.num_mels)
        self.postnet = PostNet(config.num_mels, config.postnet)

    def forward(self, phones: Tensor, num_phones: Tensor, *, rate: float = 1.0) -> SpokenMel:
        """Speak whole sentences, as in inference: with the predicted prosody.

        Args:
            phones: (B, P) int64. num_phones: (B,) valid ones.
            rate: speed of speech, 2 is twice as fast.

        Raises:
            ValueError: a rate that is not above 0.
        """
        if not rate > 0.0:
            raise ValueError(f"rate must be above 0, got {rate}")
        valid = padding_mask(num_phones, phones.shape[1])
        x = self.encoder(self.embedding(phones), valid)
        mask = valid[..., None].to(x.dtype)
        pitch, energy = self.pitch_predictor(x, mask), self.energy_predictor(x, mask)
        frames = torch.round(self.duration_predictor(x, mask).exp() - 1.0).clamp_min(0.0)
        counts = torch.where(valid, torch.round(frames / rate), 0.0).long()
        # A sentence that would be over before it begins has a frame for each phone.
        counts = torch.where(counts.sum(1, keepdim=True) > 0, counts, valid.long())
        x = x + self.energy_embedding(energy[:, None]).transpose(1, 2)
        x = x + self.pitch_embedding(pitch[:, None]).transpose(1, 2)
        rows, num_frames = regulate_length(x, counts)
        sounding = padding_mask(num_frames, rows.shape[1])
        mel = self.out(self.decoder(rows, sounding))
        log_mel = self.postnet(mel, sounding[..., None].to(mel.dtype))
        return SpokenMel(log_mel, num_frames, counts, pitch, energy)


@dataclass(frozen=True)
class FastSpeech2ConformerVoiceConfig:
    """Both networks of a voice; dictionaries become configurations."""

    acoustic: FastSpeech2ConformerConfig = FastSpeech2ConformerConfig()
    vocoder: HifiGanConfig = HifiGanConfig()

    def __post_init__(self) -> None:
        if isinstance(self.acoustic, dict):
            object.__setattr__(self, "acoustic", FastSpeech2ConformerConfig(**self.acoustic))
        if isinstance(self.vocoder, dict):
            object.__setattr__(self, "vocoder", HifiGanConfig(**self.vocoder))
        if self.acoustic.num_mels != self.vocoder.num_mels:
            raise ValueError(
                f"{self.acoustic.num_mels} mels are spoken and {self.vocoder.num_mels} are heard"
            )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class FastSpeech2ConformerVoice(nn.Module):
    """Phones in, samples out."""

    def __init__(self, config: FastSpeech2ConformerVoiceConfig) -> None:
        super().__init__()
        self.config = config
        self.acoustic = FastSpeech2Conformer(config.acoustic)
        self.vocoder = HifiGan(config.vocoder)

    def forward(self, phones: Tensor, *, rate: float = 1.0) -> Tensor:
        """One sentence, (1, P) int64 -> samples (1, N); see :class:`FastSpeech2Conformer`."""
        spoken = self.acoustic(phones, torch.full((1,), phones.shape[1], device=phones.device), rate=rate)
        samples: Tensor = self.vocoder(spoken.log_mel)
        return samples
