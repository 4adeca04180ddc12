"""Attention masks for chunked streaming. ``True`` means "may look"; rows are queries, columns are keys."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["chunk_mask", "padding_mask"]


def padding_mask(num_tokens: Tensor, max_tokens: int) -> Tensor:
    """Which tokens are real, (B, max_tokens) bool.

    >>> padding_mask(torch.tensor([2, 3]), 3).int().tolist()
    [[1, 1, 0], [1, 1, 1]]
    """
    return torch.arange(max_tokens, device=num_tokens.device)[None, :] < num_tokens[:, None]


def chunk_mask(
    num_tokens: int,
    chunk_tokens: int | None,
    left_context_tokens: int | None,
    device: torch.device | None = None,
) -> Tensor:
    """Causal chunked attention, (num_tokens, num_tokens) bool: a token sees its own chunk and the
    ``left_context_tokens`` before the chunk, never a later chunk.

    Six tokens, chunks of two, two tokens of left context::

        query   key 0 1 2 3 4 5
          0         1 1 . . . .      chunk 0
          1         1 1 . . . .
          2         1 1 1 1 . .      chunk 1 sees chunk 0
          3         1 1 1 1 . .
          4         . . 1 1 1 1      chunk 2 has forgotten chunk 0
          5         . . 1 1 1 1

    ``chunk_tokens=None`` is the full context (every token sees every token), and
    ``left_context_tokens=None`` never forgets.
    """
    if chunk_tokens is None:
        return torch.ones(num_tokens, num_tokens, dtype=torch.bool, device=device)
    position = torch.arange(num_tokens, device=device)
    chunk_begin = (position // chunk_tokens * chunk_tokens)[:, None]  # (T, 1), of the query
    mask = position[None, :] < chunk_begin + chunk_tokens
    if left_context_tokens is not None:
        mask = mask & (position[None, :] >= chunk_begin - left_context_tokens)
    return mask
