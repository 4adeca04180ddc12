"""Pieces of words: taking apart, putting together, and choosing some of a vocabulary."""

from __future__ import annotations

import string

import pytest

from galago.models.pieces import END, NUM_SPECIAL, Pieces, chosen_pieces

#: In the order in which they were found: characters come last, as in the vocabularies of SentencePiece.
JOINTS = [" t", "he", " the", "re", " there", "in", " k", "it", "en", "ch"]
NAMES = ["<0>", "<1>", "<2>", *JOINTS, " ", *string.ascii_lowercase, "'"]


def spelled(pieces: Pieces, word: str) -> list[str]:
    return [pieces.names[i] for i in pieces.encode([word])]


def test_words_are_joined_in_the_order_of_the_vocabulary() -> None:
    pieces = Pieces(NAMES)
    assert spelled(pieces, "the") == [" the"]
    assert spelled(pieces, "there") == [" there"]
    assert spelled(pieces, "then") == [" the", "n"]  # " the" was found before "en"
    assert spelled(pieces, "kitchen") == [" k", "it", "c", "he", "n"]
    assert spelled(pieces, "o'er") == [" ", "o", "'", "e", "r"]
    words = "the kitchen isn't there".split()
    assert pieces.decode(pieces.encode(words)) == " ".join(words)
    assert pieces.decode([*pieces.encode(["the"]), END]) == "the"


def test_what_no_piece_spells_is_refused() -> None:
    with pytest.raises(ValueError, match="'café': no piece has 'é'"):
        Pieces(NAMES).encode(["café"])
    for names in (["<0>", "<1>", "<2>"], [*NAMES, "he"]):
        with pytest.raises(ValueError, match="different texts"):
            Pieces(names)


def test_chosen_pieces_are_those_of_the_likeliest_words() -> None:
    pieces = Pieces(NAMES)
    characters = NUM_SPECIAL + 28
    kept = chosen_pieces(pieces, {"the": 100.0, "kitchen": 1.0}, characters + 3)
    names = [pieces.names[i] for i in kept]
    assert len(kept) == characters + 3 and kept == sorted(kept)
    assert {" the", " t", "he"} <= set(names)  # with what it is joined from
    fewer = Pieces(names)
    for word in ("the", "kitchen", "there"):  # nothing becomes unspeakable
        assert fewer.decode(fewer.encode([word])) == word
    assert spelled(fewer, "the") == [" the"]
    with pytest.raises(ValueError, match="10 pieces: 31 are needed for the characters alone"):
        chosen_pieces(pieces, {"the": 1.0}, 10)
