"""Writing as an utterance comes: what two texts agree on stays, and none jumps over what another one had."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch

from galago.models.piece_decoder import Written
from galago.models.piece_writer import PieceWriter
from galago.models.pieces import Pieces
from tests.models.test_repetition import spoken

NAMES = ["<0>", "<1>", "<2>", *(f" {letter}" for letter in "abcdex"), " ", *"abcdex"]


class Scripted:
    """A decoder that says of so many rows what it was told, by what its text has to begin with."""

    def __init__(self, says: Mapping[int, Sequence[str]]) -> None:
        self.says, self.asked, self.log_prob = says, 0, 0.0

    def as_used(self) -> Scripted:
        return self

    def greedy(
        self, rows: Any, valid: Any, max_pieces: int, *, prefix: Sequence[int], after_prefix: torch.Tensor
    ) -> list[Written]:
        self.asked += 1
        for text in self.says[rows.shape[1]]:
            pieces = Pieces(NAMES).encode(text.split())
            if pieces[: len(prefix)] == list(prefix):
                return [Written(pieces[:max_pieces], [self.log_prob] * len(pieces))]
        raise AssertionError(f"nothing begins with {prefix}")


def writer(says: Mapping[int, Sequence[str]]) -> PieceWriter:
    return PieceWriter(Scripted(says), Pieces(NAMES))  # type: ignore[arg-type]


def test_what_two_texts_agree_on_stays() -> None:
    says = {1: ["a bx"], 2: ["a b c"], 3: ["b b c", "a x", "a b e"]}
    writing, characters = writer(says), spoken("x x")
    for num_rows, text in ((1, "a bx"), (2, "a b c"), (3, "a x")):
        assert writing.write(torch.zeros(num_rows, 4), characters, 9) == text
        writing.agree()
    writing.reset()
    assert writing.write(torch.zeros(3, 4), characters, 9) == "b b c"


@pytest.mark.parametrize(("said", "text"), [("a b c d e", "a b c d e"), ("a x d e", "a x d e")])
def test_a_text_that_jumps_is_taken_if_the_characters_say_so(said: str, text: str) -> None:
    writing = writer({1: ["a b c"], 2: ["a x d e", "a b c d e"]})
    writing.write(torch.zeros(1, 4), spoken("a b c"), 9)
    writing.agree()
    assert writing.write(torch.zeros(2, 4), spoken(said), 9) == text


def test_a_text_that_goes_on_is_written_once() -> None:
    """Its last word may have been cut by the chunk's end."""
    decoder = Scripted({1: ["a b x"], 2: ["a b c"]})
    writing = PieceWriter(decoder, Pieces(NAMES))  # type: ignore[arg-type]
    for num_rows in (1, 2):
        writing.write(torch.zeros(num_rows, 4), spoken("a b c"), 9)
        writing.agree()
    assert (writing.text, decoder.asked) == ("a b c", 2)


def test_circles_and_passages_that_were_said_once_are_left() -> None:
    passage = "a b c d e"
    writing = writer({1: ["a b b b b"], 2: [f"{passage} {passage}"]})
    assert writing.write(torch.zeros(1, 4), spoken("a b"), 9) == "a b"
    assert writing.write(torch.zeros(2, 4), spoken(passage), 20) == passage
    assert writing.write(torch.zeros(2, 4), spoken(f"{passage} {passage}"), 20) == f"{passage} {passage}"
    writing.agree()  # what was said twice is not taken back
    assert writing.write(torch.zeros(2, 4), spoken(f"{passage} {passage}"), 20) == f"{passage} {passage}"


def test_an_utterance_goes_on_from_the_last() -> None:
    """Behind its text, of the rows of both; what was agreed before is no part of its own text."""
    says = {3: ["a b", "c d"], 5: ["a b c d", "a b c x"], 2: ["x d", "c d"]}
    for said, text in (("c d", "c d"), ("x d", "x d")):  # or alone, where the characters say so
        writing = writer(says)
        writing.write(torch.zeros(3, 4), spoken("a b"), 9)
        writing.go_on(num_rows_before=3)
        assert writing.text == ""
        assert writing.write(torch.zeros(5, 4), spoken(said), 9) == text
        writing.agree()
        assert writing.write(torch.zeros(5, 4), spoken(said), 9) == text
        writing.reset()
        assert writing.write(torch.zeros(3, 4), spoken("a b"), 9) == "a b"


def test_what_is_agreed_stays_in_an_utterance_that_goes_on() -> None:
    says = {3: ["a b"], 5: ["a b c d"], 2: ["c d"], 7: ["a b x d e", "a b c d e"], 4: ["x d e", "c x e"]}
    writing = writer(says)
    writing.write(torch.zeros(3, 4), spoken("a b"), 9)
    writing.go_on(num_rows_before=3)
    for _ in range(2):
        assert writing.write(torch.zeros(5, 4), spoken("c d"), 9) == "c d"
        writing.agree()
    assert writing.write(torch.zeros(7, 4), spoken("c d e"), 9) == "c d e"
    assert writing.write(torch.zeros(7, 4), spoken("c x e"), 9) == "c x e"  # alone, and still with its "c"


@pytest.mark.parametrize("probability", [0.5, 0.9])
def test_where_the_characters_are_blank_only_what_is_sure_is_a_text(probability: float) -> None:
    decoder = Scripted({1: ["a"], 2: ["a b"]})
    decoder.log_prob = math.log(probability)
    writing = PieceWriter(decoder, Pieces(NAMES))  # type: ignore[arg-type]
    silence = spoken("x")[1:]
    assert writing.write(torch.zeros(1, 4), silence, 9) == ("a" if probability > 0.6 else "")
    assert writing.write(torch.zeros(1, 4), spoken("a"), 9) == "a"


def test_a_passage_that_was_left_out_is_written_of_its_own_rows() -> None:
    """From the last word before it on, and only if the characters then fit better."""
    left_out = "c x c c x x c x x x c c"
    said = f"a b {left_out} d e"
    rows, characters = torch.zeros(2 * len(said), 4), spoken(said)  # a row for each of the characters'
    gap = 2 * len("a b") - 1
    says = {len(rows): ["a b d e"], len(rows) - gap: [f"{left_out} d e"]}
    assert writer(says).write(rows, characters, 20) == said
    says[len(rows) - gap] = ["a a a"]
    assert writer(says).write(rows, characters, 20) == "a b d e"
    short = "a b c x c x d e"  # so few letters may be anything
    rows, characters = torch.zeros(2 * len(short), 4), spoken(short)
    assert writer({len(rows): ["a b d e"]}).write(rows, characters, 20) == "a b d e"


def test_an_end_that_was_left_out_is_written_too() -> None:
    rest = "c x c c x x c x x x c c"
    said = f"a {rest}"
    rows, characters = torch.zeros(2 * len(said), 4), spoken(said)
    assert writer({len(rows): ["a"], len(rows) - 1: [rest]}).write(rows, characters, 20) == said
