"""Moonshine's encoder (Jeffries et al. 2024): rotary attention on raw samples, 41.7 rows a second.

    samples ──► conv 127 / 64, tanh, norm ──► conv 7 / 3 ──► conv 3 / 2 ──► blocks ──► norm
    16 kHz      250 Hz                        83 Hz          41.7 Hz        6 or 8

It was trained on whole utterances with a decoder behind it. ``forward`` hears them so, ``hear`` under the
masks of a stream, ``forward_chunk`` a stream; the last two are equal to rounding. What a stream hears
differently from the published network:

- attention sees the chunk and ``left_context_rows`` before it. Positions are rotations, whose products know
  distances only, so a stream needs no end;
- rows of digital silence, which the last chunk is filled up with, are not looked at;
- samples begin with zeros instead of nothing;
- the mean and variance behind the first convolution are those of what was heard up to the chunk's end,
  fading with ``norm_horizon_rows``, instead of the whole utterance's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from galago.models.attention import MASKED
from galago.models.chunk_windows import ChunkWindows
from galago.models.masks import padding_mask
from galago.models.moonshine_stem import MoonshineStem, is_heard
from galago.models.network_config import NetworkConfig
from galago.models.transformer import TransformerBlock

__all__ = ["MOONSHINE_PRESETS", "MoonshineConfig", "MoonshineEncoder"]

KERNELS, STRIDES = (127, 7, 3), (64, 3, 2)

States = dict[str, Tensor]


@dataclass(frozen=True)
class MoonshineConfig(NetworkConfig):
    """Shape of the network; stored inside every checkpoint. The defaults are those of Moonshine tiny."""

    width: int = 288
    num_blocks: int = 6
    num_heads: int = 8
    feed_forward_width: int = 1152
    rotary_width: int = 32  # of a head's 36 channels
    left_context_rows: int = 160  # 3.8 s
    norm_horizon_rows: int = 1250  # 30 s, of a stream's running statistics
    layer_norm_eps: float = 1e-5
    dropout: float = 0.0

    def __post_init__(self) -> None:
        self._check_counts()
        self._check_width(self.width, self.num_heads)
        self._check_shares("dropout")
        head_width = self.width // self.num_heads
        if self.rotary_width % 2 or head_width % 2 or self.rotary_width > head_width:
            raise ValueError(f"rotary_width {self.rotary_width} is no even part of {head_width} channels")

    @property
    def samples_per_row(self) -> int:
        return math.prod(STRIDES)


#: The published sizes, with 8 and 20 million parameters.
MOONSHINE_PRESETS: dict[str, MoonshineConfig] = {
    "tiny": MoonshineConfig(),
    "base": MoonshineConfig(width=416, num_blocks=8, feed_forward_width=1664, rotary_width=32),
}


class MoonshineEncoder(nn.Module):
    """Samples of 16 kHz in [-1, 1] in, rows of ``width`` channels out."""

    def __init__(self, config: MoonshineConfig) -> None:
        super().__init__()
        self.config = config
        width, eps = config.width, config.layer_norm_eps
        self.stem = MoonshineStem(
            (width, 2 * width, width), KERNELS, STRIDES, horizon_rows=config.norm_horizon_rows
        )
        self.blocks = nn.ModuleList(
            TransformerBlock(
                width,
                config.num_heads,
                config.feed_forward_width,
                is_norm_first=True,
                dropout=config.dropout,
                layer_norm_eps=eps,
                has_attention_bias=False,
                has_norm_bias=False,
                rotary_width=config.rotary_width,
            )
            for _ in range(config.num_blocks)
        )
        self.norm = nn.LayerNorm(width, eps, bias=False)

    def forward(self, samples: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        """Hear whole utterances as published.

        Args:
            samples: (B, N), padded with anything. num_samples: (B,), at least 895 each.

        Returns:
            rows (B, T, width), T = (N - 895) // 384 + 1, and how many of them are valid, (B,).

        Raises:
            ValueError: N is below 895 samples.
        """
        x, num_rows = self.stem(samples, num_samples), self.stem.num_rows(num_samples)
        return self._attended(x, padding_mask(num_rows, x.shape[1])[:, None, None, :]), num_rows

    def hear(self, samples: Tensor, num_samples: Tensor, *, chunk_rows: int | None) -> Tensor:
        """Hear whole utterances as a stream does.

        Args:
            samples: (B, N), N a multiple of 384 (of chunk_rows * 384), padded with anything.
            num_samples: (B,).
            chunk_rows: of the stream that is imitated; ``None``: one chunk of everything.

        Returns:
            rows (B, N / 384, width), of which ceil(num_samples / 384) are valid.

        Raises:
            ValueError: N is no multiple.
        """
        config = self.config
        step_samples = config.samples_per_row * (chunk_rows or 1)
        if samples.shape[1] % step_samples:
            raise ValueError(f"{samples.shape[1]} samples are no multiple of {step_samples}")
        samples = samples.masked_fill(~padding_mask(num_samples, samples.shape[1]), 0.0)
        num_rows = (num_samples + config.samples_per_row - 1) // config.samples_per_row
        nothing = {
            n: samples.new_zeros(len(samples), *shape) for n, shape in self.stem.state_shapes().items()
        }
        valid = padding_mask(num_rows, samples.shape[1] // config.samples_per_row)
        if chunk_rows is None:
            x, _ = self.stem.forward_chunk(samples, nothing, num_rows=num_rows)
            return self._attended(x, valid[:, None, None, :])
        x, _ = self.stem.forward_chunk(samples, nothing, norm_rows=chunk_rows)
        valid = valid & (is_heard(samples, config.samples_per_row) > 0)
        windows = ChunkWindows(chunk_rows, config.left_context_rows)
        return self._attended(x, windows.allowed(valid), windows)

    def _attended(self, x: Tensor, allowed: Tensor, windows: ChunkWindows | None = None) -> Tensor:
        bias = torch.zeros(allowed.shape, dtype=x.dtype, device=x.device).masked_fill(~allowed, MASKED)
        for block in self.blocks:
            x = block(x, bias, windows)
        y: Tensor = self.norm(x)
        return y

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of what a stream remembers, without the batch dimension, by name.

        ``valid`` tells which remembered rows were heard: 0 at the start of a stream, and in silence.
        """
        config = self.config
        shapes: dict[str, tuple[int, ...]] = {
            f"stem.{name}": shape for name, shape in self.stem.state_shapes().items()
        }
        shapes["valid"] = (config.left_context_rows,)
        for i in range(config.num_blocks):
            shapes[f"block{i}.key"] = (config.left_context_rows, config.width)
            shapes[f"block{i}.value"] = (config.left_context_rows, config.width)
        return shapes

    def forward_chunk(self, samples: Tensor, keep: Tensor, states: States) -> tuple[Tensor, States]:
        """Hear the next chunk of a stream. Pure: state in, state out; every shape is fixed by the chunk.

        Args:
            samples: (B, 384 * chunk rows).
            keep: (1,), 1 to go on, 0 to forget ``states`` first.
            states: of :meth:`state_shapes`, zeros at the start, or what the last call returned.

        Returns:
            rows (B, chunk rows, width) and the new states.
        """
        # The key and value caches need no wiping: ``valid`` hides them.
        kept = {n: s if n.endswith((".key", ".value")) else s * keep for n, s in states.items()}
        stem = {name: kept[f"stem.{name}"] for name in self.stem.state_shapes()}
        num_rows = samples.shape[1] // self.config.samples_per_row
        x, stem = self.stem.forward_chunk(samples, stem, norm_rows=num_rows)
        new: States = {f"stem.{name}": state for name, state in stem.items()}
        valid = torch.cat([kept["valid"], is_heard(samples, self.config.samples_per_row)], dim=1)
        new["valid"] = valid[:, num_rows:]
        bias = ((1.0 - valid) * MASKED)[:, None, None, :]
        for i, block in enumerate(self.blocks):
            assert isinstance(block, TransformerBlock)  # a ModuleList forgets what it holds
            key, value = f"block{i}.key", f"block{i}.value"
            x, new[key], new[value] = block.forward_chunk(x, kept[key], kept[value], bias)
        return self.norm(x), {name: new[name] for name in states}
