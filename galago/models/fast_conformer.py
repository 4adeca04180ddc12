"""NeMo's FastConformer with a CTC head (Rekesh et al. 2023): a teacher of 12.5 tokens a second.

    log-mel, 100 frames/s ──► 3 convolutions of stride 2 ──► linear ──► Conformer blocks ──► CTC head

It hears whole utterances with full context; features are normalised over the utterance. A streaming student
learns from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.attention import MASKED, relative_positions
from galago.models.full_conformer import FullConformerBlock
from galago.models.masks import padding_mask
from galago.models.network_config import NetworkConfig
from galago.models.wav2vec2 import SpeechScores
from galago.models.whisper import slaney_filterbank

__all__ = ["FAST_CONFORMER_PRESETS", "FastConformer", "FastConformerConfig", "NemoLogMel"]


@dataclass(frozen=True)
class FastConformerConfig(NetworkConfig):
    """Shape of the network; stored inside every checkpoint. The defaults are those of XL."""

    num_mels: int = 80
    width: int = 1024
    num_blocks: int = 24
    num_heads: int = 8
    feed_forward_width: int = 4096
    kernel_tokens: int = 9
    num_halvings: int = 3  # convolutions of stride 2
    subsampling_channels: int = 256
    subsampling_kernel: int = 3
    has_convolution_bias: bool = True
    scales_input: bool = True  # by the root of the width, before the blocks
    num_tokens: int = 1025  # of the CTC head

    def __post_init__(self) -> None:
        self._check_counts()
        self._check_width(self.width, self.num_heads)
        if self.num_mels % (1 << self.num_halvings):
            raise ValueError(f"{self.num_mels} mels cannot be halved {self.num_halvings} times")
        if self.subsampling_kernel % 2 == 0:
            raise ValueError(f"subsampling_kernel must be odd, got {self.subsampling_kernel}")


#: The published sizes of 0.6 and 1.1 billion parameters.
FAST_CONFORMER_PRESETS: dict[str, FastConformerConfig] = {
    "xl": FastConformerConfig(),
    "xxl": FastConformerConfig(num_blocks=42),
}


class DepthwiseSubsampling(nn.Module):
    """Convolutions of stride 2, all but the first depthwise: (B, T, M) -> (B, T', C)."""

    def __init__(self, config: FastConformerConfig) -> None:
        super().__init__()
        channels, kernel = config.subsampling_channels, config.subsampling_kernel
        self.kernel = kernel
        self.first = nn.Conv2d(1, channels, kernel, 2, kernel // 2)
        self.depthwise = nn.ModuleList(
            nn.Conv2d(channels, channels, kernel, 2, kernel // 2, groups=channels)
            for _ in range(config.num_halvings - 1)
        )
        self.pointwise = nn.ModuleList(
            nn.Conv2d(channels, channels, 1) for _ in range(config.num_halvings - 1)
        )
        self.out = nn.Linear(channels * (config.num_mels >> config.num_halvings), config.width)

    def _halved(self, lengths: Tensor) -> Tensor:
        return (lengths + 2 * (self.kernel // 2) - self.kernel) // 2 + 1

    def forward(self, features: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        """Also returns the valid rows, (B,). Padding is zeros to every convolution."""
        lengths = self._halved(num_frames)
        x = F.relu(self._masked(self.first(features[:, None]), lengths))  # (B, K, T / 2, M / 2)
        for depthwise, pointwise in zip(self.depthwise, self.pointwise, strict=True):
            lengths = self._halved(lengths)
            x = self._masked(depthwise(x), lengths)
            x = F.relu(self._masked(pointwise(x), lengths))
        return self.out(x.transpose(1, 2).flatten(2)), lengths

    @staticmethod
    def _masked(x: Tensor, lengths: Tensor) -> Tensor:
        return x * padding_mask(lengths, x.shape[2])[:, None, :, None]


class FastConformer(nn.Module):
    """Log-mel in, CTC scores out."""

    def __init__(self, config: FastConformerConfig) -> None:
        super().__init__()
        self.config = config
        self.subsampling = DepthwiseSubsampling(config)
        self.blocks = nn.ModuleList(
            FullConformerBlock(
                config.width,
                config.num_heads,
                config.feed_forward_width,
                config.kernel_tokens,
                has_convolution_bias=config.has_convolution_bias,
            )
            for _ in range(config.num_blocks)
        )
        self.head = nn.Linear(config.width, config.num_tokens)

    def forward(self, features: Tensor, num_frames: Tensor) -> SpeechScores:
        """Hear whole utterances.

        Args:
            features: (B, T, num_mels), as :class:`NemoLogMel` gives them, zeros after ``num_frames`` (B,).
        """
        x, num_tokens = self.subsampling(features, num_frames)
        if self.config.scales_input:
            x = x * math.sqrt(self.config.width)
        T = x.shape[1]
        valid = padding_mask(num_tokens, T)
        bias = torch.where(valid[:, None, None, :], 0.0, MASKED).to(x.dtype)
        positions = relative_positions(T - 1, -(T - 1), self.config.width).to(x)
        mask = valid[..., None].to(x.dtype)
        for block in self.blocks:
            x = block(x, positions, bias, mask)
        return SpeechScores(self.head(x), num_tokens)


class NemoLogMel(nn.Module):
    """Samples of 16 kHz in [-1, 1] -> log-mel of mean 0 and deviation 1 in each band over the utterance."""

    window: Tensor
    mel: Tensor

    def __init__(self, num_mels: int = 80) -> None:
        super().__init__()
        self.register_buffer("mel", slaney_filterbank(num_mels, 257), persistent=False)
        self.register_buffer("window", torch.hann_window(400, periodic=False), persistent=False)

    def forward(self, samples: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        """Samples (B, N), padded with anything after ``num_samples`` (B,), which are at least 320.

        Returns:
            features (B, 1 + N // 160, num_mels), zeros after the valid frames, and those: (B,), N // 160.
        """
        emphasised = torch.cat([samples[:, :1], samples[:, 1:] - 0.97 * samples[:, :-1]], dim=1)
        emphasised = emphasised.masked_fill(~padding_mask(num_samples, samples.shape[1]), 0.0)
        spectrum = torch.stft(
            emphasised, 512, 160, 400, window=self.window, pad_mode="constant", return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()  # (B, 257, T)
        log_mel = (power.transpose(1, 2) @ self.mel + 2.0**-24).log()
        num_frames = num_samples // 160
        valid = padding_mask(num_frames, log_mel.shape[1])[..., None]
        count = num_frames[:, None, None]
        mean = (log_mel * valid).sum(1, keepdim=True) / count
        variance = ((log_mel - mean) * valid).square().sum(1, keepdim=True) / (count - 1)
        return (log_mel - mean) / (variance.sqrt() + 1e-5) * valid, num_frames
