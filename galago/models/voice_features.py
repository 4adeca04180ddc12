"""What the voice is drawn with: log-mel magnitudes, energy and the framing that they share with the vocoder.

The voice runs at 16 kHz with a frame every 10 ms. 24 kHz would sound brighter and cost half as much again in
every layer; at 16 kHz the echo canceller and the ear take the voice's samples as they are, the frames are
those of the forced alignment, and an hour of speech trains on a CPU. The vocoder reads ``sample_rate_hz``
from its configuration, so a brighter voice needs a recipe and no code.

Frame t stands for the samples around ``t * hop_samples``, its window reaches half a window to both sides::

    samples   0 . . . . . . . 160 . . . . . . . 320
    frame 0   ====|                                     the left half lies before the sound: zeros
    frame 1           ========|========
    frame 2                             ========|====
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.features import LogMelConfig, mel_filterbank

__all__ = ["VoiceFeatureConfig", "VoiceMel", "frame_energy"]


@dataclass(frozen=True)
class VoiceFeatureConfig:
    """Shape of the voice's features. ``window_samples`` is a multiple of ``hop_samples``, which is even."""

    sample_rate_hz: int = 16_000
    window_samples: int = 640  # 40 ms: three periods of the lowest voice
    hop_samples: int = 160  # 10 ms, the frame of the alignment
    fft_size: int = 1024
    num_mels: int = 80
    low_hz: float = 20.0
    high_hz: float = 8_000.0
    floor: float = 1e-5  # of a magnitude: 16-bit silence

    def __post_init__(self) -> None:
        if self.window_samples % (2 * self.hop_samples) or self.window_samples > self.fft_size:
            raise ValueError(
                f"window_samples {self.window_samples} must be an even multiple of hop_samples "
                f"{self.hop_samples} and at most fft_size {self.fft_size}"
            )
        if not 0.0 <= self.low_hz < self.high_hz <= self.sample_rate_hz / 2:
            raise ValueError(
                f"mel bands from {self.low_hz:g} to {self.high_hz:g} Hz do not fit {self.sample_rate_hz} Hz"
            )

    @property
    def frame_rate_hz(self) -> float:
        return self.sample_rate_hz / self.hop_samples

    def num_frames(self, num_samples: int) -> int:
        """Frames of ``num_samples`` samples: every sample has its frame."""
        return -(-num_samples // self.hop_samples)


class VoiceMel(nn.Module):
    """Samples (B, N) in [-1, 1] -> natural-log mel magnitudes (B, T, num_mels), T = ``num_frames(N)``."""

    window: Tensor
    mel: Tensor

    def __init__(self, config: VoiceFeatureConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or VoiceFeatureConfig()
        kaldi = LogMelConfig(
            config.sample_rate_hz,
            config.window_samples,
            config.hop_samples,
            config.fft_size,
            config.num_mels,
            config.low_hz,
            config.high_hz,
        )
        self.register_buffer("window", torch.hann_window(config.window_samples), persistent=False)
        self.register_buffer("mel", mel_filterbank(kaldi).t().contiguous(), persistent=False)

    def magnitudes(self, samples: Tensor) -> Tensor:
        """Magnitudes of the windowed frames, (B, T, fft_size // 2 + 1); a full-scale sine peaks at 1."""
        config = self.config
        half = config.window_samples // 2
        num_frames = config.num_frames(samples.shape[-1])
        end = (num_frames - 1) * config.hop_samples + half
        frames = F.pad(samples, (half, end - samples.shape[-1]))
        frames = frames.unfold(-1, config.window_samples, config.hop_samples) * self.window  # (B, T, window)
        spectrum = torch.fft.rfft(frames, n=config.fft_size)
        # The floor under the root keeps its gradient finite where there is silence.
        power = spectrum.real.square() + spectrum.imag.square()
        magnitudes: Tensor = (power + 1e-12).sqrt() * (4.0 / config.window_samples)
        return magnitudes

    def forward(self, samples: Tensor) -> Tensor:
        energies: Tensor = self.magnitudes(samples) @ self.mel
        return energies.clamp_min(self.config.floor).log()


def frame_energy(log_mel: Tensor) -> Tensor:
    """Loudness of each frame: the log of the root of the summed squared mel magnitudes, (..., T)."""
    energy: Tensor = 0.5 * torch.logsumexp(2.0 * log_mel, dim=-1)
    return energy
