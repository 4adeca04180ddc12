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

A speaker who hesitates ends an utterance in the middle of a sentence. The next one may go on from it: it is
written behind the text that was final, of the rows of both, and of its own alone; the characters choose.

    rows of both          |---- the last one ----|  pause  |--- its own ---|
    written behind it      so alice went into      the     living room

Where the characters are blank throughout, as in noise, only a text that the decoder is sure of is one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from galago.models.piece_decoder import PieceDecoder, Written
from galago.models.pieces import END, SPACE, Pieces
from galago.models.repetition import path_ratio, said_once, without_circle

__all__ = ["PieceWriter"]

#: Of what is written where the characters are blank throughout: the probability of all its pieces.
LEAST_CONFIDENCE_ALONE = 0.6


class PieceWriter:
    """Of one utterance after the other; each begins with :meth:`reset` or :meth:`go_on`."""

    def __init__(self, decoder: PieceDecoder, pieces: Pieces) -> None:
        self._decoder, self._pieces = decoder.as_used(), pieces
        # What is agreed, or was final, are words: none of them goes on.
        self._ends_word = torch.tensor([i == END or self._begins_word(i) for i in range(len(pieces.names))])
        self.reset()

    def reset(self) -> None:
        """An utterance begins."""
        self._written = Written([], [])
        self.go_on(0)

    def go_on(self, num_rows_before: int) -> None:
        """An utterance begins that goes on from the last: its text follows what was written by now.

        Args:
            num_rows_before: of the rows that :meth:`write` gets, the first, which it is not written of alone.
        """
        self._num_given, self._num_rows_before = len(self._written.pieces), num_rows_before
        self._before = self._agreed = self._written.pieces

    @property
    def text(self) -> str:
        """What was written last."""
        return " ".join(self._words(self._written.pieces))

    def write(self, rows: Tensor, token_log_probs: Tensor, max_pieces: int) -> str:
        """What was heard by now.

        Args:
            rows: (T, C) of the utterance, and before them of the one it goes on from.
            token_log_probs: (T', num_tokens) of the utterance.
        """
        heard = (rows, token_log_probs, max_pieces)
        found = self._continued(self._agreed, *heard)
        if self._num_given:
            found = self._better(found, self._continued(self._agreed, *heard, is_alone=True), token_log_probs)
        begun = self._before[: self._last_word(self._before)]
        if len(begun) > len(self._agreed) and found.pieces[: len(begun)] != begun:
            found = self._better(found, self._continued(begun, *heard), token_log_probs)
        if self._is_made_up(found, token_log_probs):
            found = self._first(found, self._num_given)
        self._written = found
        return self.text

    def agree(self) -> None:
        """More is to come."""
        same = 0
        written = self._written.pieces
        for ours, theirs in zip(written, self._before, strict=False):
            if ours != theirs:
                break
            same += 1
        same = self._last_word(written[:same])
        if same > len(self._agreed):
            self._agreed = written[:same]
        self._before = written

    def _continued(
        self,
        prefix: Sequence[int],
        rows: Tensor,
        token_log_probs: Tensor,
        max_pieces: int,
        *,
        is_alone: bool = False,
    ) -> Written:
        """The pieces that are given, and behind them a text that begins with the rest of ``prefix``."""
        given = self._first(self._written, self._num_given)
        num_left_out = len(given.pieces) if is_alone else 0
        if is_alone:
            rows = rows[self._num_rows_before :]
        valid = torch.ones(1, len(rows), dtype=torch.bool, device=rows.device)
        most = max_pieces + len(given.pieces) - num_left_out
        (found,) = self._decoder.greedy(
            rows[None].float(),
            valid,
            most,
            prefix=prefix[num_left_out:],
            after_prefix=self._ends_word.to(rows.device),
        )
        found = self._first(found, without_circle(found.pieces, num_sure=len(prefix) - num_left_out))
        if is_alone:
            found = Written(given.pieces + found.pieces, given.log_probs + found.log_probs)
        words = self._words(found.pieces)
        kept = said_once(words, token_log_probs, num_sure=len(self._words(self._agreed)))
        if len(kept) == len(words):
            return found
        own = found.pieces[len(given.pieces) :]
        return self._first(found, len(given.pieces) + self._begin_of_word(own, len(kept)))

    def _better(self, found: Written, other: Written, token_log_probs: Tensor) -> Written:
        is_better = self._ratio(other.pieces, token_log_probs) > self._ratio(found.pieces, token_log_probs)
        return other if is_better else found

    def _is_made_up(self, found: Written, token_log_probs: Tensor) -> bool:
        """Whether the characters are all blank (token 0), and the decoder is not sure of it either."""
        if len(self._agreed) > self._num_given or bool((token_log_probs.argmax(-1) != 0).any()):
            return False
        return math.exp(sum(found.log_probs[self._num_given :])) < LEAST_CONFIDENCE_ALONE

    @staticmethod
    def _first(found: Written, count: int) -> Written:
        return Written(found.pieces[:count], found.log_probs[:count])

    def _words(self, pieces: Sequence[int]) -> list[str]:
        """Those of the utterance itself."""
        return self._pieces.decode(pieces[self._num_given :]).split()

    def _ratio(self, pieces: Sequence[int], token_log_probs: Tensor) -> float:
        return path_ratio(self._words(pieces), token_log_probs)

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
