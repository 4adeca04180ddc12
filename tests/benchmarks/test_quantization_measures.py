"""How the errors of an int8 graph are held against those of its float graph."""

from __future__ import annotations

import numpy as np

from benchmarks.quantization_subjects import Errors

SETS = ("near", "near", "far", "far")
WORDS = np.array([10, 30, 20, 40])


def errors(*wrong: int) -> Errors:
    return Errors(SETS, WORDS, np.array(wrong))


def test_points_are_of_all_words_and_not_means_of_clips() -> None:
    found = errors(1, 3, 4, 10).against(errors(0, 3, 5, 8))
    assert list(found) == ["all", "far", "near"]
    assert (found["near"]["num_items"], found["near"]["num_counted"]) == (2, 40)
    assert (found["near"]["float_errors_percent"], found["near"]["errors_percent"]) == (7.5, 10.0)
    assert found["near"]["points_lost"] == 2.5
    assert found["far"]["points_lost"] == 1.67
    assert found["all"]["points_lost"] == 2.0


def test_the_interval_holds_what_was_measured_and_is_the_same_every_time() -> None:
    first, again = (errors(1, 3, 4, 10).against(errors(0, 3, 5, 8))["all"] for _ in range(2))
    assert first == again
    assert first["points_lost_low"] < first["points_lost"] < first["points_lost_high"]


def test_a_graph_loses_nothing_against_itself() -> None:
    same = errors(1, 3, 4, 10)
    for row in same.against(same).values():
        assert (row["points_lost_low"], row["points_lost"], row["points_lost_high"]) == (0.0, 0.0, 0.0)
