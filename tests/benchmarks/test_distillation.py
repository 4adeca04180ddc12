"""What the benchmark of distillation compares, and what it refuses to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.distillation import differences, ear_gains, eye_gains, named_teachers, part_of_teacher


def stored(*, step: int = 9, width: int = 8, **recipe: Any) -> dict[str, Any]:
    told = {"name": "a", "schedule": {"num_steps": 9, "seed": 1}, "distillation": None, **recipe}
    return {"step": step, "config": {"width": width}, "recipe": json.dumps(told)}


TAUGHT = {"teachers": ["t.pt"]}


def test_runs_that_differ_in_their_teacher_alone_are_compared() -> None:
    assert differences(stored(), stored(name="b", distillation=TAUGHT)) == []


@pytest.mark.parametrize(
    ("distilled", "message"),
    [
        (stored(distillation=TAUGHT, step=8), "step: 9 and 8"),
        (stored(distillation=TAUGHT, width=9), "config: {'width': 8} and {'width': 9}"),
        (stored(distillation=TAUGHT, schedule={"num_steps": 9, "seed": 2}), "recipe.schedule"),
        (stored(distillation=TAUGHT, initial_weights="x.pt"), "recipe.initial_weights"),
        (stored(), "the distilled student had no teacher"),
    ],
)
def test_other_runs_are_refused_by_what_differs(distilled: dict[str, Any], message: str) -> None:
    assert differences(stored(), distilled) == [message]


def test_a_student_may_begin_as_a_part_of_its_teacher_and_of_no_other_network() -> None:
    part = {"weights": "t.pt", "blocks": [2, 4]}
    taught = stored(name="b", distillation=TAUGHT, pruning=part)
    assert differences(stored(), taught) == []
    assert part_of_teacher(json.loads(taught["recipe"])) == {"blocks": [2, 4]}
    other = stored(name="b", distillation=TAUGHT, pruning={**part, "weights": "u.pt"})
    assert differences(stored(), other) == ["recipe.pruning: of a network that is no teacher"]
    assert part_of_teacher(json.loads(stored()["recipe"])) is None


def test_a_student_alone_has_no_teacher() -> None:
    assert "the student alone had a teacher" in differences(*[stored(distillation=TAUGHT)] * 2)


def test_gains_are_relative_for_errors_and_points_for_photos() -> None:
    found = ear_gains({"so762": {"alone": 40.0, "distilled": 34.0, "teacher": 20.0}})
    assert found["so762"] == {
        "alone_percent": 40.0,
        "distilled_percent": 34.0,
        "teacher_percent": 20.0,
        "better_percent": 15.0,
    }
    assert eye_gains({"all": {"alone": 50.0, "distilled": 53.5}})["all"]["better_points"] == 3.5


def test_teachers_are_named_without_the_folder_that_runs_lie_in() -> None:
    told = named_teachers({"teachers": ["/far/away/runs/big/model.pt", "model.pt"], "share": 0.8})
    assert told == {"teachers": ["big/model.pt", "model.pt"], "share": 0.8}
