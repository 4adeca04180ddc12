"""Mel-frequency cepstral coefficients as Kaldi computes them: what HuBERT's first clusters are made of.

    samples ──► 23 mel energies ──► log ──► DCT ──► lifter ──► 13 coefficients, and how they change

HuBERT takes 13 coefficients with their first and second differences, 39 values each 10 ms (Hsu et al. 2021,
section IV.A); :func:`differences` makes them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.features import LogMel, LogMelConfig

__all__ = ["Mfcc", "MfccConfig", "differences"]


@dataclass(frozen=True)
class MfccConfig:
    """Shape of the features; the defaults are Kaldi's.

    ``lifter`` scales up the higher coefficients, 0 leaves them (Young et al., The HTK Book, equation 5.14).
    """

    log_mel: LogMelConfig = LogMelConfig(num_mels=23)
    num_coefficients: int = 13
    lifter: float = 22.0

    def __post_init__(self) -> None:
        if not 1 <= self.num_coefficients <= self.log_mel.num_mels:
            raise ValueError(
                f"{self.num_coefficients} coefficients cannot be made of {self.log_mel.num_mels} mels"
            )
        if self.lifter < 0.0:
            raise ValueError(f"lifter must be at least 0, got {self.lifter}")


class Mfcc(nn.Module):
    """Samples (B, N) in [-1, 1] -> coefficients (B, T, num_coefficients), the frames of :class:`LogMel`.

    The first coefficient is the sum of the log energies (Kaldi's with ``use_energy`` off). N is at least one
    window.
    """

    transform: Tensor

    def __init__(self, config: MfccConfig | None = None) -> None:
        super().__init__()
        self.config = config or MfccConfig()
        self.log_mel = LogMel(self.config.log_mel)
        M = self.config.log_mel.num_mels
        order = torch.arange(self.config.num_coefficients, dtype=torch.float64)
        angle = math.pi / M * (torch.arange(M, dtype=torch.float64)[:, None] + 0.5) * order
        transform = math.sqrt(2.0 / M) * angle.cos()  # (M, num_coefficients)
        transform[:, 0] = math.sqrt(1.0 / M)
        if self.config.lifter:
            half = self.config.lifter / 2.0
            transform = transform * (1.0 + half * torch.sin(math.pi * order / self.config.lifter))
        self.register_buffer("transform", transform.float(), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        coefficients: Tensor = self.log_mel(samples) @ self.transform
        return coefficients


def differences(features: Tensor, *, order: int = 2, window: int = 2) -> Tensor:
    """Features with their first to ``order``-th differences over time, as Kaldi's ``add-deltas``.

    d_t = sum_k k x_(t+k) / sum_k k^2 for k = -window ... window; the first and the last frame go on forever.

    Args:
        features: (B, T, C). order, window: at least 1.

    Returns:
        (B, T, C * (1 + order)).
    """
    kernel = torch.arange(-window, window + 1, dtype=torch.float64)
    kernel = kernel / kernel.square().sum()
    parts, taps = [features], torch.ones(1, dtype=torch.float64)
    for _ in range(order):
        # Differences of differences are one longer filter: the edges go on once and not at each order.
        taps = F.conv1d(taps[None, None], kernel.flip(0)[None, None], padding=len(kernel) - 1)[0, 0]
        reach = len(taps) // 2
        padded = F.pad(features.transpose(1, 2), (reach, reach), mode="replicate")  # (B, C, T + 2 reach)
        weight = taps.to(features)[None, None].expand(features.shape[2], 1, -1)
        parts.append(F.conv1d(padded, weight, groups=features.shape[2]).transpose(1, 2))
    return torch.cat(parts, dim=2)
