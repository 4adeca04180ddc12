"""wav2vec 2.0 with Conformer blocks (Wang et al. 2020, fairseq S2T): a teacher that hears whole utterances.

    samples ──► 7 convolutions ──► norm, linear ──► Conformer blocks ──► norm ──► CTC head

It does not stream: every block's convolution looks as far ahead as back. A streaming student learns from it.
The published networks have LARGE's sizes, with relative or with rotary positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from galago.models.attention import MASKED, relative_positions
from galago.models.full_conformer import FullConformerBlock
from galago.models.masks import padding_mask
from galago.models.network_config import NetworkConfig
from galago.models.wav2vec2 import EncodedSpeech, SpeechScores
from galago.models.waveform import FeatureEncoder

__all__ = ["WAV2VEC2_CONFORMER_PRESETS", "Wav2Vec2Conformer", "Wav2Vec2ConformerConfig"]


@dataclass(frozen=True)
class Wav2Vec2ConformerConfig(NetworkConfig):
    """Shape of the network; stored inside every checkpoint. The defaults are the published LARGE's."""

    width: int = 1024
    num_blocks: int = 24
    num_heads: int = 16
    feed_forward_width: int = 4096
    convolution_widths: tuple[int, ...] = (512,) * 7
    convolution_kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    convolution_strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    convolution_norm: str = "layer"
    has_convolution_bias: bool = True
    normalises_samples: bool = True
    positions: str = "relative"
    rotary_base: float = 10_000.0
    kernel_tokens: int = 31
    activation: str = "swish"
    num_tokens: int = 32  # of the CTC head
    layer_norm_eps: float = 1e-5
    dropout: float = 0.0

    def __post_init__(self) -> None:
        self._freeze("convolution_widths", "convolution_kernels", "convolution_strides")
        self._check_counts()
        self._check_width(self.width, self.num_heads)


#: The published networks.
WAV2VEC2_CONFORMER_PRESETS: dict[str, Wav2Vec2ConformerConfig] = {
    "large-relative": Wav2Vec2ConformerConfig(),
    "large-rotary": Wav2Vec2ConformerConfig(positions="rotary"),
}


class Wav2Vec2Conformer(nn.Module):
    """Samples of 16 kHz in, CTC scores of 50 tokens a second out."""

    def __init__(self, config: Wav2Vec2ConformerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = FeatureEncoder(
            config.convolution_widths,
            config.convolution_kernels,
            config.convolution_strides,
            norm=config.convolution_norm,
            has_bias=config.has_convolution_bias,
            normalises_samples=config.normalises_samples,
        )
        num_features = config.convolution_widths[-1]
        self.projection_norm = nn.LayerNorm(num_features, config.layer_norm_eps)
        self.projection = nn.Linear(num_features, config.width)
        self.blocks = nn.ModuleList(
            FullConformerBlock(
                config.width,
                config.num_heads,
                config.feed_forward_width,
                config.kernel_tokens,
                positions=config.positions,
                activation=config.activation,
                rotary_base=config.rotary_base,
                dropout=config.dropout,
            )
            for _ in range(config.num_blocks)
        )
        self.norm = nn.LayerNorm(config.width, config.layer_norm_eps)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.width, config.num_tokens)

    def encode(self, samples: Tensor, num_samples: Tensor) -> EncodedSpeech:
        """What :meth:`forward` scores; see there."""
        features = self.projection_norm(self.encoder(samples, num_samples))
        num_tokens, T = self.encoder.num_rows(num_samples), features.shape[1]
        valid = padding_mask(num_tokens, T)
        mask = valid[..., None].to(features.dtype)
        bias = torch.zeros_like(mask).masked_fill(~valid[..., None], MASKED).transpose(1, 2)[:, None]
        positions = relative_positions(T - 1, -(T - 1), self.config.width).to(features)
        x = self.dropout(self.projection(features) * mask)
        outputs = []
        for block in self.blocks:
            x = block(x, positions, bias, mask)
            outputs.append(x)
        outputs[-1] = self.norm(x)
        return EncodedSpeech(features, tuple(outputs), num_tokens)

    def forward(self, samples: Tensor, num_samples: Tensor) -> SpeechScores:
        """Hear whole utterances.

        Args:
            samples: (B, N), padded with anything after ``num_samples`` (B,).

        Returns:
            scores of (N - 400) // 320 + 1 tokens.

        Raises:
            ValueError: fewer samples than one token hears.
        """
        encoded = self.encode(samples, num_samples)
        return SpeechScores(self.head(self.dropout(encoded.blocks[-1])), encoded.num_tokens)
