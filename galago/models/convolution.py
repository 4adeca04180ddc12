"""Causal convolutions with their caches: what is left of the kernel is remembered, never guessed."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["CausalConvolutionModule", "ConvolutionSubsampling", "LookaheadConvolution"]


class ConvolutionSubsampling(nn.Module):
    """Two 3x3 convolutions of stride 2: 100 frames/s of M mels -> 25 tokens/s (Gulati et al. 2020, figure 1).

    In time an output uses one frame of the past and the two it replaces, so a chunk of 4n frames gives n
    tokens and nothing has to wait. With 0 the padding and | the chunk border::

        frames    0 | 0 1 2 3 | 4 5 6 7        conv 1, output t uses frames 2t-1, 2t, 2t+1
        conv 1    0 | a   b   | c   d
        tokens      |   A     |   B            conv 2 likewise, so one column is cached for each
    """

    def __init__(self, num_mels: int, channels: tuple[int, int], width: int) -> None:
        super().__init__()
        self.channels = channels
        self.num_mels = num_mels
        self.conv1 = nn.Conv2d(1, channels[0], 3, stride=2, padding=(0, 1))
        self.conv2 = nn.Conv2d(channels[0], channels[1], 3, stride=2, padding=(0, 1))
        self.out = nn.Linear(channels[1] * (num_mels // 4), width)

    def state_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the two caches without their batch dimension."""
        return [(1, 1, self.num_mels), (self.channels[0], 1, self.num_mels // 2)]

    def forward_chunk(self, x: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """``x`` (B, 4n, M) and the caches (B, 1, 1, M), (B, K, 1, M/2) -> tokens (B, n, C) and the caches."""
        first = torch.cat([states[0], x[:, None]], dim=2)  # (B, 1, 1 + 4n, M)
        hidden = F.relu(self.conv1(first))  # (B, K, 2n, M/2)
        second = torch.cat([states[1], hidden], dim=2)
        y = F.relu(self.conv2(second))  # (B, K', n, M/4)
        y = self.out(y.transpose(1, 2).flatten(2))  # (B, n, C)
        return y, [first[:, :, -1:], second[:, :, -1:]]

    def forward(self, x: Tensor) -> Tensor:
        """``x`` (B, T, M), T a multiple of 4 -> (B, T / 4, C)."""
        empty = [x.new_zeros(x.shape[0], *shape) for shape in self.state_shapes()]
        return self.forward_chunk(x, empty)[0]


class LookaheadConvolution(nn.Module):
    """Row convolution (Amodei et al. 2016, Deep Speech 2, section 3.7): each token takes in the next L.

    It is written as a delay line: row j of the output belongs to token j - L, so the very same operation
    serves whole utterances and streams, and the lookahead is a stated delay rather than a repeated one.
    """

    def __init__(self, width: int, lookahead_tokens: int) -> None:
        super().__init__()
        self.lookahead_tokens = lookahead_tokens
        self.conv = nn.Conv1d(width, width, lookahead_tokens + 1, groups=width)

    def forward_chunk(self, x: Tensor, cache: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` (B, T, C), ``cache`` (B, L, C) -> delayed by L tokens (B, T, C), and the cache."""
        padded = torch.cat([cache, x], dim=1)
        delayed = padded[:, : x.shape[1]] + self.conv(padded.transpose(1, 2)).transpose(1, 2)
        return delayed, padded[:, x.shape[1] :]


class CausalConvolutionModule(nn.Module):
    """The Conformer's convolution module with a depthwise convolution that sees only the past.

    Pointwise -> GLU -> causal depthwise -> LayerNorm -> Swish -> pointwise. LayerNorm takes BatchNorm's place
    because its statistics are those of the token at hand: padding and stream position cannot leak into it.
    """

    def __init__(self, width: int, kernel_tokens: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.cache_tokens = kernel_tokens - 1
        self.expand = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(width, width, kernel_tokens, groups=width)
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward_chunk(self, x: Tensor, cache: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` (B, T, C), ``cache`` (B, kernel_tokens - 1, C) -> (B, T, C) and the cache moved on by T."""
        gated = F.glu(self.expand(x), dim=-1)
        padded = torch.cat([cache, gated], dim=1)
        y = self.depthwise(padded.transpose(1, 2)).transpose(1, 2)  # (B, T, C)
        y = self.project(F.silu(self.norm(y)))
        return self.dropout(y), padded[:, x.shape[1] :]

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_chunk(x, x.new_zeros(x.shape[0], self.cache_tokens, x.shape[2]))[0]
