"""AST, the Audio Spectrogram Transformer (Gong et al. 2021): a ViT that looks at 10 s of log-mel.

    128 mels x 1024 frames ──► patches of 16 x 16 at stride 10: 12 x 101 ──► [class] [distillation] p0 p1 ...
                                                                                  └──── mean ────┘──► head

Patches overlap by 6 in both directions. They are counted row by row of the mel axis: the first 101 are the
lowest mels, from the first frame to the last.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from galago.models.features import LogMel, LogMelConfig
from galago.models.network_config import NetworkConfig
from galago.models.vit import LAYER_NORM_EPS, VitBlock, VitConfig

__all__ = ["AST_PRESETS", "AstConfig", "AudioSpectrogramTransformer", "SoundFeatures"]


@dataclass(frozen=True)
class AstConfig(NetworkConfig):
    """Shape of the network; stored inside every checkpoint. The defaults are those published for AudioSet.

    ``mean`` and ``deviation`` are of log-mel energies over the training data; inputs are divided by two
    deviations.
    """

    num_frames: int = 1024
    num_mels: int = 128
    num_classes: int = 527
    patch: int = 16
    mel_stride: int = 10
    frame_stride: int = 10
    channels: int = 768
    depth: int = 12
    num_heads: int = 12
    feed_forward_factor: int = 4
    mean: float = -4.2677393
    deviation: float = 4.5689974

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name != "mean" and value <= 0:
                raise ValueError(f"{name} must be positive, got {value}")
        if self.channels % self.num_heads:
            raise ValueError(f"{self.channels} channels are not divisible by {self.num_heads} heads")
        if min(self.num_frames, self.num_mels) < self.patch:
            raise ValueError(
                f"{self.num_mels} mels x {self.num_frames} frames hold no patch of side {self.patch}"
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Patches along the mels and along the frames."""
        return (
            (self.num_mels - self.patch) // self.mel_stride + 1,
            (self.num_frames - self.patch) // self.frame_stride + 1,
        )


#: The published networks: AudioSet, 10 s and 527 classes; Speech Commands, 1 s and 35 words.
AST_PRESETS: dict[str, AstConfig] = {
    "audioset": AstConfig(),
    "speech-commands": AstConfig(num_frames=128, num_classes=35, mean=-6.845978, deviation=5.5654526),
}


class AudioSpectrogramTransformer(nn.Module):
    """Normalised log-mel in, scores of the classes out; the configuration fixes the number of frames."""

    def __init__(self, config: AstConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Conv2d(1, config.channels, config.patch, (config.mel_stride, config.frame_stride))
        self.tokens = nn.Parameter(torch.zeros(1, 2, config.channels))  # class, distillation
        num_patches = math.prod(config.grid)
        self.positions = nn.Parameter(torch.zeros(1, 2 + num_patches, config.channels))
        block = VitConfig(
            channels=config.channels,
            num_heads=config.num_heads,
            feed_forward_factor=config.feed_forward_factor,
        )
        self.blocks = nn.Sequential(*(VitBlock(block) for _ in range(config.depth)))
        self.norm = nn.LayerNorm(config.channels, LAYER_NORM_EPS)
        self.head_norm = nn.LayerNorm(config.channels, LAYER_NORM_EPS)
        self.head = nn.Linear(config.channels, config.num_classes)
        for parameter in (self.tokens, self.positions):
            nn.init.trunc_normal_(parameter, std=0.02)

    def forward(self, features: Tensor) -> Tensor:
        """Hear sounds of one length.

        Args:
            features: (B, num_frames, num_mels), as :class:`SoundFeatures` gives them.

        Returns:
            unnormalised scores (B, num_classes); AudioSet's classes are independent of each other.

        Raises:
            ValueError: another number of frames or mels than the configuration's.
        """
        config = self.config
        if features.shape[1:] != (config.num_frames, config.num_mels):
            raise ValueError(
                f"expected features (B, {config.num_frames}, {config.num_mels}), got {tuple(features.shape)}"
            )
        patches = self.embedding(features.transpose(1, 2)[:, None]).flatten(2).transpose(1, 2)  # (B, N, C)
        tokens = self.tokens.expand(len(features), -1, -1)
        x = self.norm(self.blocks(torch.cat([tokens, patches], dim=1) + self.positions))
        return self.head(self.head_norm((x[:, 0] + x[:, 1]) / 2))  # type: ignore[no-any-return]


class SoundFeatures(nn.Module):
    """Samples (B, N) of 16 kHz in [-1, 1] -> what AST sees, (B, num_frames, num_mels).

    Kaldi's log-mel energies under a Hann window; shorter sounds are filled up with zeros, longer ones cut.
    """

    def __init__(self, config: AstConfig) -> None:
        super().__init__()
        self.config = config
        self.log_mel = LogMel(LogMelConfig(num_mels=config.num_mels))
        self.log_mel.window = torch.hann_window(self.log_mel.config.window_samples, periodic=False)

    def forward(self, samples: Tensor) -> Tensor:
        config = self.config
        frames = self.log_mel(samples)[:, : config.num_frames]
        padded = nn.functional.pad(frames, (0, 0, 0, config.num_frames - frames.shape[1]))
        return (padded - config.mean) / (2.0 * config.deviation)
