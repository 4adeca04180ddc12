"""A Transformer decoder: what was said, a piece of a word at a time (Vaswani et al. 2017).

    pieces so far ──► embedding ──► attention to the pieces ──► to the rows ──► feed-forward ──► next piece
    rows of an encoder ─────────────────────────────────────────────┘

Unlike a CTC head it knows what it has written, so it is a language model as well. Its blocks are those of
Moonshine (Jeffries et al. 2024): norms without biases before each part, rotary positions among the pieces,
none among the rows, a feed-forward with SwiGLU (Shazeer 2020), and one matrix for pieces read and written.
Matrices are kept in four bits (:mod:`galago.models.grouped_integers`).

Letters: B batch, U pieces, T rows, C width, H heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.grouped_integers import GroupLinear, rounded
from galago.models.network_config import NetworkConfig
from galago.models.pieces import BEGIN, END
from galago.models.transformer import rotated

__all__ = ["PieceDecoder", "PieceDecoderBlock", "PieceDecoderConfig", "Written"]


@dataclass(frozen=True)
class PieceDecoderConfig(NetworkConfig):
    """Shape of the network. The defaults are those of Moonshine tiny."""

    width: int = 288
    num_blocks: int = 6
    num_heads: int = 8
    feed_forward_width: int = 1152
    rotary_width: int = 32
    num_pieces: int = 32768
    layer_norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        self._check_counts()
        self._check_width(self.width, self.num_heads)


class Written(NamedTuple):
    """What :meth:`PieceDecoder.greedy` made of one utterance."""

    pieces: list[int]  # without begin and end
    log_probs: list[float]  # of each piece


class _Remembered(NamedTuple):
    key: Tensor  # (B, H, n, D)
    value: Tensor

    def with_more(self, more: _Remembered) -> _Remembered:
        return _Remembered(*(torch.cat(both, dim=2) for both in zip(self, more, strict=True)))


class _Attention(nn.Module):
    """To the pieces so far, with rotations, or to rows without."""

    def __init__(self, width: int, num_heads: int, rotary_width: int) -> None:
        super().__init__()
        self.num_heads, self.rotary_width = num_heads, rotary_width
        self.query = GroupLinear(width, width, bias=False)
        self.key = GroupLinear(width, width, bias=False)
        self.value = GroupLinear(width, width, bias=False)
        self.out = GroupLinear(width, width, bias=False)

    def _heads(self, x: Tensor) -> Tensor:
        heads: Tensor = x.unflatten(-1, (self.num_heads, -1))  # type: ignore[no-untyped-call]
        return heads.transpose(1, 2)  # (B, H, n, D)

    def remembered(self, memory: Tensor, *, first_row: int = 0) -> _Remembered:
        """Keys and values of ``memory`` (B, n, C), whose first row stands at ``first_row``."""
        key, value = self._heads(self.key(memory)), self._heads(self.value(memory))
        if self.rotary_width:
            key = rotated(key, self.rotary_width, first_row=first_row)
        return _Remembered(key, value)

    def forward(
        self, x: Tensor, memory: _Remembered, allowed: Tensor | None, *, first_row: int = 0
    ) -> Tensor:
        """``x`` (B, U, C) to ``memory``; without ``allowed`` each row to those up to its own."""
        query = self._heads(self.query(x))
        if self.rotary_width:
            query = rotated(query, self.rotary_width, first_row=first_row)
        is_causal = allowed is None and x.shape[1] > 1  # one row alone is the last
        mixed = F.scaled_dot_product_attention(query, *memory, allowed, is_causal=is_causal)
        y: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return y


class PieceDecoderBlock(nn.Module):
    """Attention to the pieces, to the rows, and a feed-forward, each added to its input."""

    def __init__(self, config: PieceDecoderConfig) -> None:
        super().__init__()
        width, inner, eps = config.width, config.feed_forward_width, config.layer_norm_eps
        self.attention_norm = nn.LayerNorm(width, eps, bias=False)
        self.attention = _Attention(width, config.num_heads, config.rotary_width)
        self.rows_norm = nn.LayerNorm(width, eps, bias=False)
        self.rows_attention = _Attention(width, config.num_heads, 0)
        self.feed_forward_norm = nn.LayerNorm(width, eps, bias=False)
        self.expand = GroupLinear(width, 2 * inner)  # what is let through, and by what
        self.project = GroupLinear(inner, width)

    def forward(
        self, x: Tensor, rows: _Remembered, allowed: Tensor, past: _Remembered | None = None
    ) -> tuple[Tensor, _Remembered]:
        """The next pieces ``x`` (B, U, C) behind ``past``: the answer, and ``past`` with them.

        Of many pieces none may be behind others: they see each other, and not ``past``.
        """
        first_row = 0 if past is None else past.key.shape[2]
        normed = self.attention_norm(x)
        pieces = self.attention.remembered(normed, first_row=first_row)
        if past is not None:
            pieces = past.with_more(pieces)
        x = x + self.attention(normed, pieces, None, first_row=first_row)
        x = x + self.rows_attention(self.rows_norm(x), rows, allowed)
        value, gate = self.expand(self.feed_forward_norm(x)).chunk(2, dim=-1)
        y: Tensor = x + self.project(F.silu(gate) * value)
        return y, pieces


class PieceDecoder(nn.Module):
    """Pieces and rows in, scores of the next pieces out."""

    def __init__(self, config: PieceDecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.num_pieces, config.width)
        nn.init.normal_(self.embedding.weight, std=config.width**-0.5)
        self.blocks = nn.ModuleList(PieceDecoderBlock(config) for _ in range(config.num_blocks))
        self.norm = nn.LayerNorm(config.width, config.layer_norm_eps, bias=False)

    def set_float(self, is_float: bool) -> None:
        """Whether matrices are used as they are, instead of what four bits can hold of them."""
        self.is_float = is_float
        for module in self.modules():
            if isinstance(module, GroupLinear):
                module.is_float = is_float

    is_float = False

    def forward(self, pieces: Tensor, rows: Tensor, valid: Tensor) -> Tensor:
        """What comes after each piece.

        Args:
            pieces: (B, U), the first of them BEGIN. rows: (B, T, C). valid: (B, T) bool.

        Returns:
            unnormalised scores (B, U, num_pieces).
        """
        table = self.embedding.weight if self.is_float else rounded(self.embedding.weight)
        x = F.embedding(pieces, table)
        for block in self.blocks:
            assert isinstance(block, PieceDecoderBlock)  # a ModuleList forgets what it holds
            x, _ = block(x, block.rows_attention.remembered(rows), valid[:, None, None, :])
        return F.linear(self.norm(x), table)

    def as_used(self) -> PieceDecoder:
        """This one if it is in float, or a copy whose matrices are what four bits hold of these: so they are
        rounded once.
        """
        if self.is_float:
            return self
        copy = deepcopy(self)
        copy.set_float(True)
        with torch.no_grad():
            for module in copy.modules():
                if isinstance(module, GroupLinear | nn.Embedding):
                    module.weight.copy_(rounded(module.weight))
        return copy

    @torch.no_grad()
    def greedy(
        self,
        rows: Tensor,
        valid: Tensor,
        max_pieces: int,
        *,
        prefix: Sequence[int] = (),
        after_prefix: Tensor | None = None,
    ) -> list[Written]:
        """The likeliest next piece again and again, until it is END or there are ``max_pieces``.

        Args:
            rows: (B, T, C). valid: (B, T) bool.
            prefix: what every text begins with.
            after_prefix: (num_pieces) bool: which may come behind it; ``None``: all.
        """
        decoder = self.as_used()
        blocks = [block for block in decoder.blocks if isinstance(block, PieceDecoderBlock)]
        heard = [block.rows_attention.remembered(rows) for block in blocks]
        past: list[_Remembered | None] = [None] * len(blocks)
        allowed = valid[:, None, None, :]
        pieces = torch.full((len(rows), 1), BEGIN, device=rows.device)
        scores = rows.new_zeros(len(rows), 0)
        done = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
        while pieces.shape[1] <= max_pieces and not bool(done.all()):
            x = decoder.embedding(pieces[:, -1:])
            for i, block in enumerate(blocks):
                x, past[i] = block(x, heard[i], allowed, past[i])
            scored = F.linear(decoder.norm(x)[:, -1], decoder.embedding.weight)
            count = pieces.shape[1] - 1
            if after_prefix is not None and count == len(prefix):
                scored = scored.masked_fill(~after_prefix, float("-inf"))
            log_probs = torch.log_softmax(scored.float(), -1)
            chosen = (
                torch.full_like(done, prefix[count], dtype=torch.long)
                if count < len(prefix)
                else log_probs.argmax(-1)
            )
            chosen = chosen.masked_fill(done, END)
            pieces = torch.cat([pieces, chosen[:, None]], dim=1)
            scores = torch.cat([scores, log_probs.gather(1, chosen[:, None])], dim=1)
            done = done | (chosen == END)
        written = []
        for row, log_probs in zip(pieces[:, 1:].tolist(), scores.tolist(), strict=True):
            count = row.index(END) if END in row else len(row)
            written.append(Written(row[:count], log_probs[:count]))
        return written
