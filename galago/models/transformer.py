"""Transformer blocks without positions of their own, whole and chunk by chunk (Vaswani et al. 2017).

wav2vec 2.0, HuBERT and Whisper's encoder are stacks of these; positions enter before the first block.
Letters: B batch, H heads, T queries, L cached left context, D head width, C model width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.chunk_windows import ChunkWindows

__all__ = ["SelfAttention", "TransformerBlock", "rotated"]


def rotated(x: Tensor, rotary_width: int, *, first_row: int = 0, base: float = 10_000.0) -> Tensor:
    """Turn pairs of channels by the angle of their row (Su et al. 2021, RoFormer, equation 34).

    The product of two such rows depends on how far they are apart, and not on where they stand: so rows may
    be counted from anywhere, for instance from the oldest one that is remembered.

    Args:
        x: (..., T, D). rotary_width: even; the first channels, of which neighbours are a pair.
        first_row: where the first row stands.
        base: of the pairs' wavelengths, 2 pi to 2 pi ``base`` rows.
    """
    T, D = x.shape[-2:]
    rate = base ** (-torch.arange(0, rotary_width, 2, dtype=torch.float64) / rotary_width)
    angle = (first_row + torch.arange(T, dtype=torch.float64))[:, None] * rate
    angle = torch.cat([angle, angle.new_zeros(T, (D - rotary_width) // 2)], dim=1).repeat_interleave(2, dim=1)
    # (a, b) -> (-b, a) as a product with a matrix: no engine stumbles over it.
    turn = torch.zeros(D, D)
    even = torch.arange(0, rotary_width, 2)
    turn[even + 1, even], turn[even, even + 1] = -1.0, 1.0
    return x * angle.cos().to(x) + (x @ turn.to(x)) * angle.sin().to(x)


class SelfAttention(nn.Module):
    """Multi-head self-attention: ``forward`` over utterances, ``forward_chunk`` over streams.

    Args:
        width, num_heads: C and H; D = C / H.
        has_key_bias: it adds the same to all scores of a query, so some leave it out (Whisper).
        has_bias: of all four projections; without it there is no ``has_key_bias``.
        rotary_width: so many channels of each query and key are :func:`rotated`; 0: no positions.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        dropout: float = 0.0,
        *,
        has_key_bias: bool = True,
        has_bias: bool = True,
        rotary_width: int = 0,
    ) -> None:
        super().__init__()
        if width % num_heads:
            raise ValueError(f"width {width} is not divisible by {num_heads} heads")
        self.num_heads = num_heads
        self.head_width = width // num_heads
        if rotary_width and (rotary_width > self.head_width or rotary_width % 2 or self.head_width % 2):
            raise ValueError(f"rotary_width {rotary_width} is no even part of {self.head_width} channels")
        self.rotary_width = rotary_width
        self.query = nn.Linear(width, width, bias=has_bias)
        self.key = nn.Linear(width, width, bias=has_bias and has_key_bias)
        self.value = nn.Linear(width, width, bias=has_bias)
        self.out = nn.Linear(width, width, bias=has_bias)
        self.dropout = nn.Dropout(dropout)

    def _heads(self, x: Tensor) -> Tensor:
        heads: Tensor = x.unflatten(-1, (self.num_heads, self.head_width))  # type: ignore[no-untyped-call]
        return heads.transpose(1, 2)  # (B, H, T, D)

    def _mix(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        bias: Tensor | None,
        windows: ChunkWindows | None = None,
    ) -> Tensor:
        by_head, keys, values = self._heads(query), self._heads(key), self._heads(value)
        if self.rotary_width:
            # The queries stand at the end of what is remembered.
            before = key.shape[1] - query.shape[1]
            by_head = rotated(by_head, self.rotary_width, first_row=before)
            keys = rotated(keys, self.rotary_width)
        if windows is not None:
            by_head, keys, values = windows.queries(by_head), windows.keys(keys), windows.keys(values)
        scores = by_head @ keys.transpose(-2, -1) * (1.0 / math.sqrt(self.head_width))
        weights = self.dropout(torch.softmax(scores if bias is None else scores + bias, dim=-1))
        mixed = weights @ values
        if windows is not None:
            mixed = windows.whole(mixed, len(query))
        y: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return y

    def forward(self, x: Tensor, bias: Tensor | None = None, windows: ChunkWindows | None = None) -> Tensor:
        """Attend from every row to every row, or in ``windows`` as the chunks of a stream do.

        Args:
            x: (B, T, C).
            bias: added to the scores; broadcasts to (B, H, T, T), or in windows to (B n, H, c, L + c).

        Returns:
            (B, T, C).
        """
        return self._mix(self.query(x), self.key(x), self.value(x), bias, windows)

    def forward_chunk(
        self, x: Tensor, key_cache: Tensor, value_cache: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Attend from one chunk to itself and to the cached left context.

        Args:
            x: (B, T, C).
            key_cache, value_cache: (B, L, C), the projected left context, oldest first.
            bias: broadcasts to (B, H, T, L + T).

        Returns:
            (B, T, C) and the caches moved on by T tokens.
        """
        key = torch.cat([key_cache, self.key(x)], dim=1)  # (B, L + T, C)
        value = torch.cat([value_cache, self.value(x)], dim=1)
        return self._mix(self.query(x), key, value, bias), key[:, x.shape[1] :], value[:, x.shape[1] :]


class TransformerBlock(nn.Module):
    """Attention and feed-forward with GELU, each added to its input.

    Args:
        width, num_heads, feed_forward_width: C, H and the inner width of the feed-forward.
        is_norm_first: LayerNorm before each part (deep networks train more stably), else behind the sum.
        has_key_bias, has_attention_bias, rotary_width: see :class:`SelfAttention`.
        has_norm_bias: of both LayerNorms.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        feed_forward_width: int,
        *,
        is_norm_first: bool,
        dropout: float = 0.0,
        layer_norm_eps: float = 1e-5,
        has_key_bias: bool = True,
        has_attention_bias: bool = True,
        has_norm_bias: bool = True,
        rotary_width: int = 0,
    ) -> None:
        super().__init__()
        self.is_norm_first = is_norm_first
        self.attention = SelfAttention(
            width,
            num_heads,
            dropout,
            has_key_bias=has_key_bias,
            has_bias=has_attention_bias,
            rotary_width=rotary_width,
        )
        self.attention_norm = nn.LayerNorm(width, layer_norm_eps, bias=has_norm_bias)
        self.expand = nn.Linear(width, feed_forward_width)
        self.project = nn.Linear(feed_forward_width, width)
        self.feed_forward_norm = nn.LayerNorm(width, layer_norm_eps, bias=has_norm_bias)
        self.dropout = nn.Dropout(dropout)

    def _feed_forward(self, x: Tensor) -> Tensor:
        """The second half of the block, from the sum with the attention on."""
        inner = self.feed_forward_norm(x) if self.is_norm_first else self.attention_norm(x)
        base = x if self.is_norm_first else inner
        y: Tensor = base + self.dropout(self.project(self.dropout(F.gelu(self.expand(inner)))))
        return y if self.is_norm_first else self.feed_forward_norm(y)

    def forward(self, x: Tensor, bias: Tensor | None = None, windows: ChunkWindows | None = None) -> Tensor:
        """(B, T, C) -> (B, T, C); see :meth:`SelfAttention.forward`."""
        heard = self.attention_norm(x) if self.is_norm_first else x
        return self._feed_forward(x + self.dropout(self.attention(heard, bias, windows)))

    def forward_chunk(
        self, x: Tensor, key: Tensor, value: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """``x`` (B, T, C), caches (B, L, C), ``bias`` for (B, H, T, L + T) -> (B, T, C) and the caches."""
        heard = self.attention_norm(x) if self.is_norm_first else x
        y, key, value = self.attention.forward_chunk(heard, key, value, bias)
        return self._feed_forward(x + self.dropout(y)), key, value
