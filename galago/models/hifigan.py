"""HiFi-GAN's generator (Kong et al. 2020): log-mel frames to samples, as it stands beside acoustic models.

    mel ──► conv ──► [ LeakyReLU, transposed conv, mean of residual stacks ] x N ──► conv ──► tanh

Each step makes the signal longer and halves its channels; the residual stacks hear several widths and
dilations at once. It sees a whole utterance, both ways: galago's own ``vocoder.py`` is the one that streams.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.network_config import NetworkConfig

__all__ = ["HIFIGAN_PRESETS", "HifiGan", "HifiGanConfig"]


@dataclass(frozen=True)
class HifiGanConfig(NetworkConfig):
    """Shape of the network; stored inside every checkpoint. The defaults are V1's with 80 mels.

    ``residual_dilations`` has a row for each of ``residual_kernels``.
    """

    num_mels: int = 80
    width: int = 512
    upsampling_rates: tuple[int, ...] = (8, 8, 2, 2)
    upsampling_kernels: tuple[int, ...] = (16, 16, 4, 4)
    residual_kernels: tuple[int, ...] = (3, 7, 11)
    residual_dilations: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    leaky_slope: float = 0.1

    def __post_init__(self) -> None:
        self._freeze("upsampling_rates", "upsampling_kernels", "residual_kernels")
        object.__setattr__(self, "residual_dilations", tuple(tuple(row) for row in self.residual_dilations))
        pairs = list(zip(self.upsampling_rates, self.upsampling_kernels, strict=False))
        if not pairs or len(self.upsampling_rates) != len(self.upsampling_kernels):
            raise ValueError("upsampling_rates and upsampling_kernels must name the same number of steps")
        if any(rate < 1 or kernel < rate or (kernel - rate) % 2 for rate, kernel in pairs):
            raise ValueError(
                f"upsampling_kernels {self.upsampling_kernels} must be even numbers longer than the rates "
                f"{self.upsampling_rates}"
            )
        if len(self.residual_kernels) != len(self.residual_dilations) or not self.residual_kernels:
            raise ValueError("residual_dilations needs a row for each of residual_kernels")
        if any(kernel % 2 == 0 for kernel in self.residual_kernels):
            raise ValueError(f"residual_kernels must be odd, got {self.residual_kernels}")
        if self.num_mels < 1 or self.width % 2 ** len(pairs) or self.width < 1:
            raise ValueError(f"width {self.width} cannot be halved {len(pairs)} times")

    @property
    def hop_samples(self) -> int:
        """Samples that a frame becomes."""
        return math.prod(self.upsampling_rates)


#: The paper's V1 and V2 (table 1); both are for 22,050 Hz and hops of 256 samples.
HIFIGAN_PRESETS: dict[str, HifiGanConfig] = {
    "v1": HifiGanConfig(),
    "v2": HifiGanConfig(width=128),
}


class ResidualStack(nn.Module):
    """LeakyReLU, dilated convolution, LeakyReLU, convolution, added; for each dilation: (B, C, N) in, out."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...], leaky_slope: float) -> None:
        super().__init__()
        self.leaky_slope = leaky_slope
        self.dilated = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, dilation=d, padding=(kernel - 1) * d // 2)
            for d in dilations
        )
        self.plain = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, padding=kernel // 2) for _ in dilations
        )

    def forward(self, x: Tensor) -> Tensor:
        for dilated, plain in zip(self.dilated, self.plain, strict=True):
            y = dilated(F.leaky_relu(x, self.leaky_slope))
            x = x + plain(F.leaky_relu(y, self.leaky_slope))
        return x


class HifiGan(nn.Module):
    """Log-mel in, samples in [-1, 1] out. Mean and deviation of each mel band live inside."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: HifiGanConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(config.num_mels))
        self.register_buffer("std", torch.ones(config.num_mels))
        self.first = nn.Conv1d(config.num_mels, config.width, 7, padding=3)
        steps = list(zip(config.upsampling_rates, config.upsampling_kernels, strict=True))
        self.upsampling = nn.ModuleList(
            nn.ConvTranspose1d(
                config.width >> i, config.width >> (i + 1), kernel, rate, padding=(kernel - rate) // 2
            )
            for i, (rate, kernel) in enumerate(steps)
        )
        self.residuals = nn.ModuleList(
            nn.ModuleList(
                ResidualStack(config.width >> (i + 1), kernel, dilations, config.leaky_slope)
                for kernel, dilations in zip(config.residual_kernels, config.residual_dilations, strict=True)
            )
            for i in range(len(steps))
        )
        self.last = nn.Conv1d(config.width >> len(steps), 1, 7, padding=3)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Speak whole utterances: (B, T, num_mels) -> samples (B, T * hop_samples)."""
        x = self.first(((log_mel - self.mean) / self.std).transpose(1, 2))
        for upsampling, stacks in zip(self.upsampling, self.residuals, strict=True):
            assert isinstance(stacks, nn.ModuleList)  # a ModuleList forgets what it holds
            x = upsampling(F.leaky_relu(x, self.config.leaky_slope))
            x = torch.stack([stack(x) for stack in stacks]).mean(0)
        samples: Tensor = torch.tanh(self.last(F.leaky_relu(x)))[:, 0]  # its slope is torch's own, 0.01
        return samples
