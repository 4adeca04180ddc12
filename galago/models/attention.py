"""Multi-head attention, plain and with relative positions, whole and chunk by chunk.

Relative positions follow Transformer-XL (Dai et al. 2019, section 3.3), as the Conformer uses them::

    score(i, j) = ((q_i + u) . k_j  +  (q_i + v) . r_(i-j)) / sqrt(D)

Only the distance i - j enters, so a chunk in the middle of an endless stream needs no absolute position.
Letters: B batch, H heads, T queries, S keys, D head width, C model width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["RelativeAttention", "attend", "relative_positions", "relative_shift"]

MASKED = -1e4  # exp(-1e4) is 0 in every float format; -inf would turn a wholly masked row into NaN


def attend(query: Tensor, key: Tensor, value: Tensor, *, scale: float | None = None) -> tuple[Tensor, Tensor]:
    """softmax(q k^T * scale) v (Vaswani et al. 2017, equation 1).

    Args:
        query: (..., T, D). key: (..., S, D). value: (..., S, E).
        scale: by default 1 / sqrt(D).

    Returns:
        the mixed values (..., T, E) and the weights (..., T, S), whose rows sum to 1.
    """
    scale = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    weights = torch.softmax(query @ key.transpose(-2, -1) * scale, dim=-1)
    return weights @ value, weights


def relative_positions(max_distance: int, min_distance: int, width: int) -> Tensor:
    """Sinusoids of the distances from ``max_distance`` down to ``min_distance``, (max - min + 1, width)."""
    distance = torch.arange(max_distance, min_distance - 1, -1, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10_000.0) / width))
    return torch.stack([torch.sin(distance * rate), torch.cos(distance * rate)], dim=-1).flatten(1)


def relative_shift(scores: Tensor, num_keys: int) -> Tensor:
    """Turn scores by distance into scores by key: (..., T, S + T - 1) -> (..., T, S).

    Column m of the input stands for the distance ``S - 1 - m`` of the *last* query to key 0 and on; each
    earlier query is one nearer to every key, so row i starts one column further to the right::

        query 0    . . a b c d e        T = 3 queries, S = 5 keys
        query 1    . a b c d e .        out[i, j] = in[i, T - 1 - i + j]
        query 2    a b c d e . .

    In flat memory the rows begin S + T - 2 apart, so the shift is a slice and a reshape: no gather, nothing
    that an exporter or an int8 engine would stumble over.
    """
    T, P = scores.shape[-2:]
    if T == 1:
        return scores
    flat = scores.flatten(-2)[..., T - 1 : T - 1 + T * (P - 1)]
    rows: Tensor = flat.unflatten(-1, (T, P - 1))  # type: ignore[no-untyped-call]  # torch's own gap
    return rows[..., :num_keys]


class RelativeAttention(nn.Module):
    """Self-attention with relative positions: ``forward`` over utterances, ``forward_chunk`` over streams.

    Args:
        width, num_heads: C and H.
        head_width: D; 0: C / H. Where heads were taken out, H * D is less than C.
    """

    def __init__(self, width: int, num_heads: int, dropout: float = 0.0, *, head_width: int = 0) -> None:
        super().__init__()
        if head_width == 0 and width % num_heads:
            raise ValueError(f"width {width} is not divisible by {num_heads} heads")
        self.num_heads = num_heads
        self.head_width = head_width or width // num_heads
        inner = num_heads * self.head_width
        self.query = nn.Linear(width, inner)
        self.key = nn.Linear(width, inner)
        self.value = nn.Linear(width, inner)
        self.position = nn.Linear(width, inner, bias=False)
        self.out = nn.Linear(inner, width)
        self.content_bias = nn.Parameter(torch.zeros(num_heads, 1, self.head_width))  # u
        self.position_bias = nn.Parameter(torch.zeros(num_heads, 1, self.head_width))  # v
        self.dropout = nn.Dropout(dropout)

    def _heads(self, x: Tensor) -> Tensor:
        heads: Tensor = x.unflatten(-1, (self.num_heads, self.head_width))  # type: ignore[no-untyped-call]
        return heads.transpose(-3, -2)  # (..., H, T, D)

    def _mix(self, query: Tensor, key: Tensor, value: Tensor, positions: Tensor, bias: Tensor) -> Tensor:
        """``query`` (B, H, T, D), ``key``/``value`` (B, H, S, D), ``positions`` (S + T - 1, C) -> (B, T, C).

        ``bias`` is added to the scores and broadcasts to (B, H, T, S).
        """
        relative = self._heads(self.position(positions))  # (H, S + T - 1, D)
        by_distance = (query + self.position_bias) @ relative.transpose(-2, -1)  # (B, H, T, S + T - 1)
        scores = (query + self.content_bias) @ key.transpose(-2, -1)  # (B, H, T, S)
        scores = (scores + relative_shift(by_distance, key.shape[-2])) * (1.0 / math.sqrt(self.head_width))
        weights = self.dropout(torch.softmax(scores + bias, dim=-1))
        y: Tensor = self.out((weights @ value).transpose(1, 2).flatten(2))
        return y

    def forward(self, x: Tensor, positions: Tensor, bias: Tensor) -> Tensor:
        """Attend within whole utterances.

        Args:
            x: (B, T, C).
            positions: :func:`relative_positions` of ``T - 1 ... -(T - 1)``, (2T - 1, C).
            bias: 0 where a query may look at a key, :data:`MASKED` elsewhere; broadcasts to (B, H, T, T).

        Returns:
            (B, T, C).
        """
        return self._mix(
            self._heads(self.query(x)), self._heads(self.key(x)), self._heads(self.value(x)), positions, bias
        )

    def forward_chunk(
        self, x: Tensor, key_cache: Tensor, value_cache: Tensor, positions: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Attend from one chunk to itself and to the cached left context.

        Args:
            x: (B, T, C), T = chunk_tokens.
            key_cache, value_cache: (B, L, H * D), the projected left context, oldest first.
            positions: distances ``L + T - 1 ... -(T - 1)``, (L + 2T - 1, C).
            bias: (B, 1, 1, L + T), :data:`MASKED` where the cache is not filled yet.

        Returns:
            (B, T, C) and the caches moved on by T tokens.
        """
        key = torch.cat([key_cache, self.key(x)], dim=1)  # (B, L + T, H * D)
        value = torch.cat([value_cache, self.value(x)], dim=1)
        y = self._mix(self._heads(self.query(x)), self._heads(key), self._heads(value), positions, bias)
        return y, key[:, x.shape[1] :], value[:, x.shape[1] :]
