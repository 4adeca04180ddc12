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

Where the characters heard a dozen between two words that the text has not, the decoder jumped over them, as
it does where a list says the same words again; what follows is written anew, of the rows from there on alone.
Where the characters are blank throughout, as in noise, only a text that the decoder is sure of is one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from galago.models.ctc_path import num_heard, path_ratio, word_places
from galago.models.piece_decoder import PieceDecoder, Written
from galago.models.pieces import END, SPACE, Pieces
from galago.models.repetition import said_once, without_circle

__all__ = ["PieceWriter"]

#: Of what is written where the characters are blank throughout: the probability of all its pieces.
LEAST_CONFIDENCE_ALONE = 0.6
#: Heard between two words of a text: so many were left out; and so often it is looked for them.
GAP_CHARACTERS, MOST_GAPS = 12, 4

_NOTHING = Written([], [])


class _Heard(NamedTuple):
    rows: Tensor
    token_log_probs: Tensor
    max_pieces: int


class PieceWriter:
    """Of one utterance after the other; each begins with :meth:`reset` or :meth:`go_on`."""

    def __init__(self, decoder: PieceDecoder, pieces: Pieces) -> None:
        self._decoder, self._pieces = decoder.as_used(), pieces
        # What is agreed, or was final, are words: none of them goes on.
        self._ends_word = torch.tensor([i == END or self._begins_word(i) for i in range(len(pieces.names))])
        self.reset()

    def reset(self) -> None:
        """An utterance begins."""
        self._written = _NOTHING
        self.go_on(0)

    def go_on(self, num_rows_before: int, num_context_rows: int = 0) -> None:
        """An utterance begins that goes on from the last: its text follows what was written by now.

        Args:
            num_rows_before: of the rows that :meth:`write` gets, those before its own.
            num_context_rows: the last of these, which it is written of alone, too.
        """
        self._num_given = len(self._written.pieces)
        self._num_rows_before = num_rows_before
        self._first_row_alone = max(num_rows_before - num_context_rows, 0)
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
        heard = _Heard(rows, token_log_probs, max_pieces)
        found = self._continued(heard, prefix=self._agreed)
        if self._num_given:
            own, given = self._agreed[self._num_given :], self._first(self._written, self._num_given)
            alone = self._continued(heard, behind=given, prefix=own, first_row=self._first_row_alone)
            found = self._better(found, alone, heard)
        begun = self._before[: self._last_word(self._before)]
        if len(begun) > len(self._agreed) and found.pieces[: len(begun)] != begun:
            found = self._better(found, self._continued(heard, prefix=begun), heard)
        for _ in range(MOST_GAPS):
            filled = self._filled(found, heard)
            if filled is None or self._better(found, filled, heard) is found:
                break
            found = filled
        if self._is_made_up(found, heard):
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
        self, heard: _Heard, *, behind: Written = _NOTHING, prefix: Sequence[int] = (), first_row: int = 0
    ) -> Written:
        """A text of the rows from ``first_row`` on that begins with ``prefix``; and before it one that
        the decoder is not told.
        """
        rows = heard.rows[first_row:]
        valid = torch.ones(1, len(rows), dtype=torch.bool, device=rows.device)
        goes_on = bool(prefix) or len(behind.pieces) > self._num_given
        (found,) = self._decoder.greedy(
            rows[None].float(),
            valid,
            heard.max_pieces + self._num_given - len(behind.pieces),
            prefix=prefix,
            after_prefix=self._ends_word.to(rows.device) if goes_on else None,
        )
        found = self._first(found, without_circle(found.pieces, num_sure=len(prefix)))
        found = Written(behind.pieces + found.pieces, behind.log_probs + found.log_probs)
        words = self._words(found.pieces)
        num_sure = len(self._words(self._agreed))
        kept = said_once(words, heard.token_log_probs, num_sure=num_sure)
        return found if len(kept) == len(words) else self._first_words(found, len(kept))

    def _filled(self, found: Written, heard: _Heard) -> Written | None:
        """The text up to the longest passage that only the characters heard, and written anew from there."""
        tokens, words = heard.token_log_probs, self._words(found.pieces)
        edges = [0, *(edge for place in word_places(words, tokens) for edge in place), len(tokens)]
        num_sure = len(self._words(self._agreed))
        gaps = [num_heard(tokens, edges[2 * i], edges[2 * i + 1]) for i in range(num_sure, len(words) + 1)]
        if max(gaps) < GAP_CHARACTERS:
            return None
        longest = num_sure + gaps.index(max(gaps))
        behind = self._first_words(found, longest)
        num_rows = len(heard.rows) - self._num_rows_before  # of so many tokens
        first_row = self._num_rows_before + edges[2 * longest] * num_rows // len(tokens)
        return self._continued(heard, behind=behind, first_row=first_row)

    def _better(self, found: Written, other: Written, heard: _Heard) -> Written:
        ratios = [path_ratio(self._words(of.pieces), heard.token_log_probs) for of in (found, other)]
        return other if ratios[1] > ratios[0] else found

    def _is_made_up(self, found: Written, heard: _Heard) -> bool:
        """Whether the characters are all blank (token 0), and the decoder is not sure of it either."""
        if len(self._agreed) > self._num_given or bool((heard.token_log_probs.argmax(-1) != 0).any()):
            return False
        return math.exp(sum(found.log_probs[self._num_given :])) < LEAST_CONFIDENCE_ALONE

    def _first_words(self, found: Written, count: int) -> Written:
        """As much of it as is written before another word."""
        own = found.pieces[self._num_given :]
        return self._first(found, self._num_given + self._begin_of_word(own, count))

    @staticmethod
    def _first(found: Written, count: int) -> Written:
        return Written(found.pieces[:count], found.log_probs[:count])

    def _words(self, pieces: Sequence[int]) -> list[str]:
        """Those of the utterance itself."""
        return self._pieces.decode(pieces[self._num_given :]).split()

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
