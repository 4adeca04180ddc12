"""Text and alignment become phones with stress, marks and frames that add up."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from galago.models.training.ear.align import Alignment
from galago.models.training.voice.utterances import marks_of_text, stress, utterance_of
from galago.models.training.voice.voice_data import means_by_phone
from galago.runtime.language.phones import Pronunciation


@pytest.mark.parametrize(
    ("text", "words", "marks"),
    [
        ("Author of it, Philip, etc.", "author of it philip etc", "  ,,."),
        ("Really? Yes!", "really yes", "?!"),
        ("So-called 'friends'...", "so called friends", "  ."),
        ("No end", "no end", " ."),
        ("It’s — I think — fine; go", "it's i think fine go", ", ,,."),
    ],
)  # fmt: skip
def test_punctuation_stands_behind_its_word(text: str, words: str, marks: str) -> None:
    found = marks_of_text(text, words.split())
    assert len(found) == len(words.split())
    assert found == list(marks)


def test_a_text_of_other_words_has_plain_boundaries() -> None:
    assert marks_of_text("1999, they said.", ["nineteen", "they", "said"]) == [" ", " ", "."]


def test_stress_comes_from_the_dictionary() -> None:
    dictionary: dict[str, list[Pronunciation]] = {
        "record": [("R", "AH0", "K", "AO1", "R", "D"), ("R", "EH1", "K", "ER0", "D")],
        "tomato": [("T", "AH0", "M", "EY1", "T", "OW2")],
    }
    assert stress("record", ["R", "EH", "K", "ER", "D"], dictionary) == ("R", "EH1", "K", "ER0", "D")
    # a pronunciation that is not listed takes the stresses of one with as many vowels
    assert stress("tomato", ["T", "AH", "M", "AA", "T", "OW"], dictionary) == (
        "T", "AH0", "M", "AA1", "T", "OW2",
    )  # fmt: skip
    assert stress("galago", ["G", "AH", "L", "AA"], {}) == ("G", "AH1", "L", "AA0")
    assert stress("shh", ["SH"], {}) == ("SH",)


def energy(num_frames: int, loud: slice) -> NDArray[np.float32]:
    values = np.full(num_frames, -9.0, dtype=np.float32)
    values[loud] = -2.0
    return values


def test_silence_inside_is_the_marks_and_at_the_ends_is_taken_off_the_phones() -> None:
    """The aligner gave frames 0-19 to the first phone; its sound begins at frame 12."""
    alignment = Alignment(
        "clip",
        [("AA", 0, 20), ("N", 20, 10), ("SIL", 30, 15), ("IY", 45, 55)],
        [("on", 0, 30), ("ee", 45, 55)],
    )
    found = utterance_of(alignment, "train", "On... ee", energy(100, slice(12, 70)), {"on": [("AA1", "N")]})
    assert found.phones == ("^", "AA1", "N", ".", "IY1", ".")
    assert found.counts == (5, 8, 10, 15, 25, 15)
    assert found.begin_frame == 7 and found.num_frames == 78


def test_an_edge_is_never_taken_off_whole() -> None:
    alignment = Alignment("clip", [("S", 0, 4), ("IY", 4, 6)], [("see", 0, 10)])
    found = utterance_of(alignment, "train", "see", energy(12, slice(4, 5)), {})
    assert min(found.counts[1:3]) >= 1 and found.begin_frame + found.num_frames <= 12


def test_means_by_phone() -> None:
    values = np.array([1, 3, 5, 5, 9], dtype=np.float32)
    assert means_by_phone(values, np.array([2, 0, 3])).tolist() == pytest.approx([2.0, 0.0, 19 / 3])
