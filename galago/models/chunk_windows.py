"""Chunked attention over whole utterances at the cost of a stream: each chunk beside the keys that it sees.

With a mask (:func:`galago.models.masks.chunk_mask`) T rows have T x T scores, nearly all of them for
nothing; here they have T x (L + c). Letters: B batch, H heads, T rows, c rows of a chunk, n = T / c chunks,
L cached left context, D head width.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, cat
from torch.nn import functional as F

__all__ = ["ChunkWindows"]


@dataclass(frozen=True)
class ChunkWindows:
    """Six rows, chunks of two, two rows of left context (``-``: before the utterance, and never valid)::

    queries     keys
      0 1       - - 0 1
      2 3       0 1 2 3
      4 5       2 3 4 5
    """

    chunk_rows: int
    left_context_rows: int

    def queries(self, x: Tensor) -> Tensor:
        """(B, H, T, D) -> (B n, H, c, D); T is a multiple of c."""
        return self._chunks(x).transpose(1, 2).flatten(0, 1)

    def keys(self, x: Tensor) -> Tensor:
        """(B, H, T, D) -> (B n, H, L + c, D), zeros before the first row."""
        chunks = self._chunks(x)
        num_before = -(-self.left_context_rows // self.chunk_rows)  # chunks that left context reaches into
        padded = F.pad(chunks, (0, 0, 0, 0, num_before, 0))
        seen = cat([padded[:, :, i : i + chunks.shape[2]] for i in range(num_before + 1)], dim=3)
        forgotten = num_before * self.chunk_rows - self.left_context_rows
        return seen[:, :, :, forgotten:].transpose(1, 2).flatten(0, 1)

    def allowed(self, valid: Tensor) -> Tensor:
        """Which rows are real, (B, T) bool -> which keys may be looked at, (B n, 1, 1, L + c) bool."""
        return self.keys(valid[:, None, :, None]).transpose(2, 3)

    def whole(self, y: Tensor, batch: int) -> Tensor:
        """What :meth:`queries` took apart: (B n, H, c, D) -> (B, H, T, D)."""
        chunks: Tensor = y.unflatten(0, (batch, -1))  # type: ignore[no-untyped-call]
        return chunks.transpose(1, 2).flatten(2, 3)

    def _chunks(self, x: Tensor) -> Tensor:
        chunks: Tensor = x.unflatten(2, (-1, self.chunk_rows))  # type: ignore[no-untyped-call]
        return chunks  # (B, H, n, c, D)
