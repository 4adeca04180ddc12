"""What a decoder writes of an utterance as it comes, chunk by chunk, as the native core decides it.

    rows of an encoder    |------|------|------|--|
    written so far        aaa bb
                          aaa bbbb cc                   both begin with "aaa": agreed, and stays
                          aaa bbbb ccc dd
                          aaa bbbb ccc ddd e            final

Greedy decoding from all rows may jump from one place to another that sounds alike, and leave out what is
between them; what was written when the second was not heard yet has not. So where a text differs from the one
before it in more than its last word, it is written twice: freely, and on from that one. What the characters
of the CTC head fit better is taken. What two texts in a row begin with is agreed, but for the last word (the
local agreement of Macháček et al. 2023), and no later one begins otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from galago.models.piece_decoder import PieceDecoder
from galago.models.pieces import SPACE, Pieces
from galago.models.repetition import path_ratio, said_once, without_circle

__all__ = ["PieceWriter"]


class PieceWriter:
    """Of one utterance after the other; each begins with :meth:`reset`."""

    def __init__(self, decoder: PieceDecoder, pieces: Pieces) -> None:
        self._decoder, self._pieces = decoder.as_used(), pieces
        self.reset()

    def reset(self) -> None:
        """An utterance begins."""
        self._written: list[int] = []
        self._before: list[int] = []
        self._agreed: list[int] = []

    @property
    def text(self) -> str:
        """What was written last."""
        return " ".join(self._pieces.decode(self._written).split())

    def write(self, rows: Tensor, token_log_probs: Tensor, max_pieces: int) -> str:
        """What was heard by now.

        Args:
            rows: (T, C) of the utterance. token_log_probs: (T', num_tokens).
        """
        freely = self._continued(self._agreed, rows, token_log_probs, max_pieces)
        self._written = freely
        begun = self._before[: self._last_word(self._before)]
        if len(begun) > len(self._agreed) and freely[: len(begun)] != begun:
            on = self._continued(begun, rows, token_log_probs, max_pieces)
            if self._ratio(on, token_log_probs) > self._ratio(freely, token_log_probs):
                self._written = on
        return self.text

    def agree(self) -> None:
        """More is to come."""
        same = 0
        for ours, theirs in zip(self._written, self._before, strict=False):
            if ours != theirs:
                break
            same += 1
        same = self._last_word(self._written[:same])
        if same > len(self._agreed):
            self._agreed = self._written[:same]
        self._before = self._written

    def _continued(
        self, prefix: Sequence[int], rows: Tensor, token_log_probs: Tensor, max_pieces: int
    ) -> list[int]:
        valid = torch.ones(1, len(rows), dtype=torch.bool, device=rows.device)
        (written,) = self._decoder.greedy(rows[None].float(), valid, max_pieces, prefix=prefix)
        pieces = written.pieces[: without_circle(written.pieces, num_sure=len(prefix))]
        words = self._pieces.decode(pieces).split()
        num_agreed = len(self._pieces.decode(self._agreed).split())
        kept = said_once(words, token_log_probs, num_sure=num_agreed)
        return pieces if len(kept) == len(words) else pieces[: self._begin_of_word(pieces, len(kept))]

    def _ratio(self, pieces: Sequence[int], token_log_probs: Tensor) -> float:
        return path_ratio(self._pieces.decode(pieces).split(), token_log_probs)

    def _begins_word(self, piece: int) -> bool:
        return self._pieces.names[piece].startswith(SPACE)

    def _last_word(self, pieces: Sequence[int]) -> int:
        """Where the last word begins."""
        begins = [i for i, piece in enumerate(pieces) if self._begins_word(piece)]
        return begins[-1] if begins else 0

    def _begin_of_word(self, pieces: Sequence[int], index: int) -> int:
        """Where a word begins, of those that are written before another."""
        for count in range(len(pieces)):
            if len(self._pieces.decode(pieces[: count + 1]).split()) > index:
                while count > 0 and self._pieces.names[pieces[count - 1]] == SPACE:
                    count -= 1
                return count
        return len(pieces)
