"""Whisper's encoder (Radford et al. 2023, section 2.2): 30 s of log-mel in, 1500 vectors of 20 ms out.

    80 or 128 mels, 100 frames/s ──► 2 convolutions, one of stride 2 ──► + sinusoids ──► blocks ──► norm

It hears windows of one fixed length, silence filled up, with full context: a teacher and a second opinion, no
streaming ear.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.network_config import NetworkConfig
from galago.models.transformer import TransformerBlock

__all__ = [
    "WHISPER_PRESETS",
    "WhisperConfig",
    "WhisperEncoder",
    "WhisperLogMel",
    "sinusoids",
    "slaney_filterbank",
]


@dataclass(frozen=True)
class WhisperConfig(NetworkConfig):
    """Shape of the encoder; stored inside every checkpoint. The defaults are tiny's."""

    num_mels: int = 80
    num_positions: int = 1500  # tokens of 20 ms in a window
    width: int = 384
    num_blocks: int = 4
    num_heads: int = 6
    feed_forward_width: int = 1536

    def __post_init__(self) -> None:
        self._check_counts()
        self._check_width(self.width, self.num_heads)


def _published(width: int, num_blocks: int, num_heads: int, num_mels: int = 80) -> WhisperConfig:
    return WhisperConfig(num_mels, 1500, width, num_blocks, num_heads, 4 * width)


#: The published sizes (the paper's table 1), and the third LARGE's 128 mels.
WHISPER_PRESETS: dict[str, WhisperConfig] = {
    "tiny": WhisperConfig(),
    "base": _published(512, 6, 8),
    "small": _published(768, 12, 12),
    "medium": _published(1024, 24, 16),
    "large": _published(1280, 32, 20),
    "large-v3": _published(1280, 32, 20, 128),
}


def sinusoids(num_positions: int, width: int) -> Tensor:
    """Sines, then cosines of the position at rates from 1 down to 1 / 10,000: (num_positions, width)."""
    half = width // 2
    rate = torch.exp(-math.log(10_000.0) / max(1, half - 1) * torch.arange(half, dtype=torch.float32))
    angle = torch.arange(num_positions, dtype=torch.float32)[:, None] * rate
    return torch.cat([angle.sin(), angle.cos()], dim=1)


class WhisperEncoder(nn.Module):
    """Log-mel windows in, hidden states out. The positions are constants that the published files hold."""

    positions: Tensor

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.config = config
        self.conv1 = nn.Conv1d(config.num_mels, config.width, 3, padding=1)
        self.conv2 = nn.Conv1d(config.width, config.width, 3, stride=2, padding=1)
        self.register_buffer("positions", sinusoids(config.num_positions, config.width))
        self.blocks = nn.ModuleList(
            TransformerBlock(
                config.width,
                config.num_heads,
                config.feed_forward_width,
                is_norm_first=True,
                has_key_bias=False,
            )
            for _ in range(config.num_blocks)
        )
        self.norm = nn.LayerNorm(config.width)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Hear windows of 30 s.

        Args:
            log_mel: (B, 2 * num_positions, num_mels), as :class:`WhisperLogMel` gives them.

        Returns:
            (B, num_positions, width).

        Raises:
            ValueError: another number of frames or mels than the configuration's.
        """
        config = self.config
        if log_mel.shape[1:] != (2 * config.num_positions, config.num_mels):
            raise ValueError(
                f"expected log-mel (B, {2 * config.num_positions}, {config.num_mels}), "
                f"got {tuple(log_mel.shape)}"
            )
        x = F.gelu(self.conv2(F.gelu(self.conv1(log_mel.transpose(1, 2))))).transpose(1, 2)
        x = x + self.positions
        for block in self.blocks:
            x = block(x)
        return self.norm(x)  # type: ignore[no-any-return]


def _slaney_mel(hz: Tensor) -> Tensor:
    """The mel scale of Slaney's Auditory Toolbox: linear up to 1 kHz, logarithmic above."""
    return torch.where(
        hz < 1000.0, 3.0 * hz / 200.0, 15.0 + 27.0 / math.log(6.4) * torch.log(hz.clamp_min(1.0) / 1000.0)
    )


def slaney_filterbank(num_mels: int, num_bins: int) -> Tensor:
    """Triangles of the area 1 on Slaney's mel scale, from 0 to 8 kHz: (num_bins, num_mels) float32."""
    bins = torch.linspace(0.0, 8000.0, num_bins, dtype=torch.float64)
    top = float(_slaney_mel(bins[-1:]))
    edges = torch.linspace(0.0, top, num_mels + 2, dtype=torch.float64)
    hz = torch.where(
        edges < 15.0, edges * 200.0 / 3.0, 1000.0 * torch.exp((edges - 15.0) * math.log(6.4) / 27.0)
    )
    left, centre, right = hz[:-2, None], hz[1:-1, None], hz[2:, None]
    weights = torch.minimum((bins - left) / (centre - left), (right - bins) / (right - centre))
    return (weights.clamp_min(0.0) * 2.0 / (right - left)).t().float().contiguous()


class WhisperLogMel(nn.Module):
    """Samples (B, N) of 16 kHz in [-1, 1] -> what Whisper hears, (B, N // 160, num_mels).

    log10 of mel energies, no lower than 8 below the window's loudest value, moved to around [-1, 1]. N is a
    whole window, padded with zeros: the loudest value is the window's.
    """

    window: Tensor
    mel: Tensor

    def __init__(self, num_mels: int = 80) -> None:
        super().__init__()
        self.register_buffer("mel", slaney_filterbank(num_mels, 201), persistent=False)
        self.register_buffer("window", torch.hann_window(400), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        spectrum = torch.stft(samples, 400, 160, window=self.window, return_complex=True)[..., :-1]
        power = spectrum.real.square() + spectrum.imag.square()  # (B, 201, T)
        log_mel = (power.transpose(1, 2) @ self.mel).clamp_min(1e-10).log10()
        floor = log_mel.amax(dim=(1, 2), keepdim=True) - 8.0
        return (torch.maximum(log_mel, floor) + 4.0) / 4.0
