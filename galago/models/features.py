"""Log-mel features as Kaldi computes them, in torch: the workstation's twin of the native core's fbank.

Samples are floats in [-1, 1] and are *not* scaled to int16, so digital silence lands on the energy floor
(log 1.19e-7 = -15.9), which is next to real quiet, and not twenty nats below it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["LogMel", "LogMelConfig", "mel_filterbank"]


@dataclass(frozen=True)
class LogMelConfig:
    """Shape of the features. ``high_hz`` is the Nyquist frequency by default, as in Kaldi."""

    sample_rate_hz: int = 16_000
    window_samples: int = 400  # 25 ms
    hop_samples: int = 160  # 10 ms
    fft_size: int = 512
    num_mels: int = 80
    low_hz: float = 20.0
    high_hz: float = 8_000.0
    preemphasis: float = 0.97
    log_floor: float = 1.1920929e-07  # FLT_EPSILON

    def num_frames(self, num_samples: int) -> int:
        """Frames whose window lies wholly inside ``num_samples``."""
        return (
            0
            if num_samples < self.window_samples
            else 1 + (num_samples - self.window_samples) // self.hop_samples
        )


def _mel(hz: Tensor | float) -> Tensor:
    return 1127.0 * torch.log1p(torch.as_tensor(hz, dtype=torch.float64) / 700.0)


def mel_filterbank(config: LogMelConfig) -> Tensor:
    """Triangles that are linear on Kaldi's mel scale: (num_mels, fft_size // 2 + 1) float32."""
    low, high = _mel(config.low_hz), _mel(config.high_hz)
    edges = torch.linspace(0, 1, config.num_mels + 2, dtype=torch.float64) * (high - low) + low
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = _mel(
        torch.arange(config.fft_size // 2 + 1, dtype=torch.float64) * config.sample_rate_hz / config.fft_size
    )
    up, down = (bins - left) / (centre - left), (right - bins) / (right - centre)
    weights = torch.minimum(up, down).clamp_min(0.0)
    weights[:, -1] = 0.0  # Kaldi leaves the Nyquist bin out
    return weights.float()


class LogMel(nn.Module):
    """Samples (B, N) in [-1, 1] -> natural-log mel energies (B, T, num_mels), T = ``config.num_frames(N)``.

    N is at least one window.
    """

    window: Tensor
    mel: Tensor

    def __init__(self, config: LogMelConfig | None = None) -> None:
        super().__init__()
        self.config = config or LogMelConfig()
        n = torch.arange(self.config.window_samples, dtype=torch.float64)
        hann = 0.5 - 0.5 * torch.cos(2 * math.pi * n / (self.config.window_samples - 1))
        self.register_buffer("window", hann.pow(0.85).float(), persistent=False)  # Povey's window
        self.register_buffer("mel", mel_filterbank(self.config).t().contiguous(), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        config = self.config
        frames = samples.unfold(-1, config.window_samples, config.hop_samples)  # (B, T, window)
        frames = frames - frames.mean(dim=-1, keepdim=True)
        previous = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
        frames = (frames - config.preemphasis * previous) * self.window
        spectrum = torch.fft.rfft(frames, n=config.fft_size)
        power = spectrum.real.square() + spectrum.imag.square()  # (B, T, fft // 2 + 1)
        energies: Tensor = power @ self.mel
        return energies.clamp_min(config.log_floor).log()
