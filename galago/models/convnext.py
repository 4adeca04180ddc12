"""ConvNeXt blocks over time (Liu et al. 2022, as in Vocos, Siuzdak 2023), whole and chunk by chunk.

A block is a depthwise convolution and two pointwise layers around it. It may look ``lookahead_frames`` into
the future; then its output lags, and a stack of blocks lags by the sum. Kernel 5, lookahead 2::

    input      0 1 2 3 4 5 6 ...
    output row 4 uses 0 1 2 3 4 and belongs to frame 2, so the row that is passed by is delayed by 2 as well

Written like this, whole utterances and streams are the same operation: a whole is a stream in one chunk,
with ``delay_frames`` rows of zeros behind it, of which the first ``delay_frames`` outputs are dropped.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ConvNeXtBlock", "ConvNeXtStack"]

States = dict[str, Tensor]


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution -> LayerNorm -> expand -> GELU -> project, added to its delayed input."""

    def __init__(
        self,
        width: int,
        inner_width: int,
        kernel_frames: int,
        lookahead_frames: int = 0,
        *,
        scale: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= lookahead_frames < kernel_frames:
            raise ValueError(
                f"lookahead_frames must be in [0, kernel_frames = {kernel_frames}), got {lookahead_frames}"
            )
        self.cache_frames = kernel_frames - 1
        self.lookahead_frames = lookahead_frames
        self.depthwise = nn.Conv1d(width, width, kernel_frames, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, inner_width)
        self.project = nn.Linear(inner_width, width)
        self.scale = nn.Parameter(torch.full((width,), scale))
        self.dropout = nn.Dropout(dropout)

    def forward_chunk(self, x: Tensor, cache: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` (B, T, C), ``cache`` (B, kernel_frames - 1, C) -> (B, T, C), which lags, and the cache."""
        T = x.shape[1]
        padded = torch.cat([cache, x], dim=1)
        y = self.depthwise(padded.transpose(1, 2)).transpose(1, 2)  # (B, T, C)
        y = self.project(F.gelu(self.expand(self.norm(y))))
        begin = self.cache_frames - self.lookahead_frames
        return padded[:, begin : begin + T] + self.dropout(self.scale * y), padded[:, T:]


class ConvNeXtStack(nn.Module):
    """Blocks one after the other; rows of the output lag by ``delay_frames``."""

    def __init__(
        self,
        width: int,
        inner_width: int,
        kernel_frames: int,
        lookahead_frames: tuple[int, ...],
        *,
        dropout: float = 0.0,
    ) -> None:
        """``lookahead_frames`` has one number a block. Residual branches begin at 1 / num_blocks."""
        super().__init__()
        self.width = width
        self.delay_frames = sum(lookahead_frames)
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(
                width, inner_width, kernel_frames, ahead, scale=1.0 / len(lookahead_frames), dropout=dropout
            )
            for ahead in lookahead_frames
        )

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the caches without their batch dimension, by name."""
        shapes: dict[str, tuple[int, ...]] = {}
        for number, block in enumerate(self.blocks):
            assert isinstance(block, ConvNeXtBlock)  # a ModuleList forgets what it holds
            shapes[f"block{number}"] = (block.cache_frames, self.width)
        return shapes

    def forward_chunk(self, x: Tensor, states: States) -> tuple[Tensor, States]:
        """``x`` (B, T, C) and caches by name -> (B, T, C), row j of frame j - delay_frames, and caches."""
        new: States = {}
        for number, block in enumerate(self.blocks):
            assert isinstance(block, ConvNeXtBlock)
            x, new[f"block{number}"] = block.forward_chunk(x, states[f"block{number}"])
        return x, new

    def forward(self, x: Tensor) -> Tensor:
        """``x`` (B, T, C) -> (B, T, C), row j of frame j."""
        zeros = {name: x.new_zeros(x.shape[0], *shape) for name, shape in self.state_shapes().items()}
        y, _ = self.forward_chunk(F.pad(x, (0, 0, 0, self.delay_frames)), zeros)
        return y[:, self.delay_frames :]
