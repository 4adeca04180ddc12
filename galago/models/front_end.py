"""What stands between samples and an ear's network: log-mel energies, or the samples themselves.

                          frame                       frames a token
    LogMelFrontEnd        80 energies, every 10 ms    4
    RawFrontEnd           320 samples, 20 ms          1

The native core has the same two (``front_end.h``), and the manifest of a bundle says which one.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from torch import Tensor

from galago.models.features import LogMel, LogMelConfig

__all__ = ["FrontEnd", "LogMelFrontEnd", "RawFrontEnd"]

SAMPLE_RATE_HZ = 16_000


class FrontEnd(ABC):
    """Frame t is of the samples [t * hop_samples, t * hop_samples + window_samples)."""

    description: str  # for people
    window_samples: int
    hop_samples: int
    values_per_frame: int
    has_bands: bool  # the values of a frame are frequencies
    frames_per_token: int
    token_centre_samples: int  # from a token's first sample to the middle of what its row is about

    @property
    def token_samples(self) -> int:
        return self.hop_samples * self.frames_per_token

    @property
    def token_ms(self) -> int:
        return 1000 * self.token_samples // SAMPLE_RATE_HZ

    @property
    def frames_per_s(self) -> int:
        return SAMPLE_RATE_HZ // self.hop_samples

    def num_samples(self, num_frames: int) -> int:
        """Samples that so many frames are made of."""
        return (num_frames - 1) * self.hop_samples + self.window_samples

    @abstractmethod
    def __call__(self, samples: Tensor) -> Tensor:
        """Whole frames of samples in [-1, 1]: (B, N) -> (B, T, values_per_frame)."""

    @abstractmethod
    def manifest_entry(self) -> dict[str, Any]:
        """``features`` of a bundle's manifest."""


class LogMelFrontEnd(FrontEnd):
    """Log-mel energies (see :class:`LogMel`), of which a network of stride 4 makes a token every 40 ms."""

    description = "80 log-mel energies, window 25 ms, hop 10 ms"
    has_bands = True
    frames_per_token = 4

    def __init__(self) -> None:
        config = LogMelConfig()
        self._log_mel = LogMel(config)
        self.window_samples, self.hop_samples = config.window_samples, config.hop_samples
        self.values_per_frame = config.num_mels
        # Four windows are 3 * 160 + 400 samples long.
        self.token_centre_samples = (3 * config.hop_samples + config.window_samples) // 2  # 27.5 ms

    def __call__(self, samples: Tensor) -> Tensor:
        frames: Tensor = self._log_mel.to(samples.device)(samples)
        return frames

    def manifest_entry(self) -> dict[str, Any]:
        return {"type": "kaldi_log_mel", **asdict(self._log_mel.config)}


class RawFrontEnd(FrontEnd):
    """Frames that are samples as they are, one for each token of a network such as wav2vec 2.0.

    Args:
        kernels, strides: of the network's convolutions. Their row for a token hears the token's samples and
            some before them.
        hop_samples: of a token; by default those of a row.
    """

    description = "samples as they are"
    has_bands = False
    frames_per_token = 1

    def __init__(
        self, kernels: Sequence[int], strides: Sequence[int], *, hop_samples: int | None = None
    ) -> None:
        row_samples = math.prod(strides)
        self.window_samples = self.hop_samples = self.values_per_frame = hop_samples or row_samples
        receptive_field_samples = 1
        for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
            receptive_field_samples = (receptive_field_samples - 1) * stride + kernel
        # A row is about the middle of what it hears; a token stands as its rows do.
        self.token_centre_samples = (self.hop_samples + row_samples) // 2 - receptive_field_samples // 2

    def __call__(self, samples: Tensor) -> Tensor:
        num_frames = samples.shape[-1] // self.hop_samples
        return samples[:, : num_frames * self.hop_samples].reshape(len(samples), num_frames, self.hop_samples)

    def manifest_entry(self) -> dict[str, Any]:
        return {
            "type": "raw_samples",
            "sample_rate_hz": SAMPLE_RATE_HZ,
            "hop_samples": self.hop_samples,
        }
