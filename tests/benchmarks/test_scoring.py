"""Word error rate and what counts as a reference."""

from __future__ import annotations

import pytest

from benchmarks.scoring import count_errors, hypothesis_words, reference_words


def test_errors_add_up_over_the_set() -> None:
    errors = count_errors(
        [
            (["turn", "on", "the", "light"], "turn of light"),  # one substitution, one deletion
            (["stop"], "stop now"),  # one insertion
            (["go", "left"], ""),  # two deletions
        ]
    )
    counted = (errors.num_clips, errors.num_words, errors.substitutions, errors.deletions, errors.insertions)
    assert counted == (3, 7, 1, 3, 1)
    assert errors.wer == pytest.approx(100 * 5 / 7)
    assert errors.as_row()["wer_percent"] == 71.43


def test_case_and_punctuation_are_no_errors() -> None:
    words = reference_words("Lord, but I'm GLAD to see you again, Phil.")
    assert words is not None
    assert count_errors([(words, "lord but i'm glad to see you again phil")]).wer == 0.0


def test_an_empty_reference_is_refused() -> None:
    with pytest.raises(ValueError, match="without words"):
        count_errors([([], "hello")])


def test_no_clips_have_no_word_error_rate() -> None:
    with pytest.raises(ValueError, match="no clips"):
        count_errors([])


@pytest.mark.parametrize("text", ["", "1999", "[ring tone]", "press 1", "<silence>"])
def test_what_is_not_known_to_be_spoken_is_left_out(text: str) -> None:
    assert reference_words(text) is None


def test_what_cannot_be_normalised_stays_wrong() -> None:
    assert hypothesis_words("Room 12, please") == ["room", "12,", "please"]
