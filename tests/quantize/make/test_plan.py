"""Steps: what they remove before they begin, what decides their keys, and how long they are said to take."""

from __future__ import annotations

from pathlib import Path

import pytest

from galago.quantize.make.content import Contents
from galago.quantize.make.inputs import Options
from galago.quantize.make.plan import Plan, plan
from galago.quantize.make.recipe import load_make_recipe
from galago.quantize.make.runner import Clock, duration
from galago.quantize.make.state import Done, State
from galago.quantize.make.steps import Layout, Step
from tests.quantize.make.tiny import write_ear, write_eye


def planned(recipe: Path, output: Path, *, adopt: bool = False) -> Plan:
    options = Options(recipe.parent / "data", adopt=adopt)
    return plan(recipe, load_make_recipe(recipe), Layout(output), options)


def step_of(found: Plan, name: str) -> Step:
    (step,) = (step for step in found.steps if step.name == name)
    return step


def test_steps_come_in_an_order_that_works(tmp_path: Path) -> None:
    assert [step.name for step in planned(write_ear(tmp_path / "ear"), tmp_path).steps] == [
        "import tones",
        "train teacher",
        "measure teacher",
        "train student",
        "measure student",
        "quantize ear",
        "measure ear",
        "pack",
    ]


def test_a_run_of_something_else_is_put_aside(tmp_path: Path) -> None:
    step = step_of(planned(write_eye(tmp_path / "eye"), tmp_path), "train small")
    run = tmp_path / "runs" / "small"
    step.begin("a key")
    (run / "checkpoint.pt").write_text("of a key")
    step.begin("a key")
    assert (run / "checkpoint.pt").read_text() == "of a key"
    step.begin("another key")
    assert [path.name for path in run.iterdir()] == ["make.json"]
    step.begin("a third")
    kept = sorted(path.name for path in run.parent.iterdir())
    assert kept == ["small", "small.old-1", "small.old-2"]
    assert (run.parent / "small.old-1" / "checkpoint.pt").read_text() == "of a key"


def test_an_ear_is_quantized_of_both_its_networks(tmp_path: Path) -> None:
    recipe = write_ear(tmp_path / "ear")
    pack = recipe.parent / "ear.pack.toml"
    pack.write_text(pack.read_text() + "[second_pass]\nchunk_tokens = [63]\n")
    recipe.write_text(
        recipe.read_text().replace('run = "student"', 'run = "student"\nsecond_pass = "teacher"')
    )
    found = planned(recipe, tmp_path)
    step = step_of(found, "quantize ear")
    begin = step.command.index("--second-pass")
    assert step.command[begin : begin + 2] == ("--second-pass", "runs/teacher")
    networks = [path for path in step.files if path.name == "model.pt"]
    assert networks == [tmp_path / "runs" / name / "model.pt" for name in ("student", "teacher")]
    for name in ("student", "teacher"):  # other weights of either: another bundle
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "model.pt").write_text("first")
    corpora = found.layout.corpora
    corpora.mkdir(exist_ok=True)
    for path in step.files:
        if not path.exists():
            path.write_text("")
    before = step.key(Contents())
    (tmp_path / "runs" / "teacher" / "model.pt").write_text("second")
    assert step.key(Contents()) != before


@pytest.mark.parametrize("adopt", [False, True])
def test_a_run_of_nobody_is_put_aside_unless_it_is_adopted(adopt: bool, tmp_path: Path) -> None:
    step = step_of(planned(write_eye(tmp_path / "eye"), tmp_path, adopt=adopt), "train small")
    run = tmp_path / "runs" / "small"
    run.mkdir(parents=True)
    (run / "checkpoint.pt").write_text("trained by hand")
    step.begin("a key")
    assert (run / "checkpoint.pt").exists() == adopt
    assert (run.parent / "small.old-1").exists() != adopt


@pytest.mark.parametrize("adopt", [False, True])
def test_a_corpus_is_decoded_anew_with_what_was_made_of_it(adopt: bool, tmp_path: Path) -> None:
    step = step_of(planned(write_ear(tmp_path / "ear"), tmp_path, adopt=adopt), "import tones")
    corpora = tmp_path / "corpora"
    corpora.mkdir()
    names = {"tones.pcm", "tones.jsonl", "tones.phones.jsonl", "tonesome.pcm", "other.pcm"}
    for name in names:
        (corpora / name).touch()
    step.begin("a key")
    found = {path.name for path in corpora.iterdir()}
    assert found == (names if adopt else {"tonesome.pcm", "other.pcm"})


def test_keys_follow_what_decides_and_nothing_else(tmp_path: Path) -> None:
    def key(folder: Path, *, adopt: bool = False) -> str:
        found = planned(folder / "colors.make.toml", tmp_path / "output", adopt=adopt)
        return step_of(found, "train small").key(Contents())

    for name in ("one", "two"):
        write_eye(tmp_path / name)
    first = key(tmp_path / "one")
    assert key(tmp_path / "two") == key(tmp_path / "one", adopt=True) == first
    recipe = tmp_path / "two" / "small.toml"
    recipe.write_text("# a remark\n" + recipe.read_text())
    assert key(tmp_path / "two") == first
    recipe.write_text(recipe.read_text().replace("batch_photos = 8", "batch_photos = 9"))
    assert key(tmp_path / "two") != first
    album = tmp_path / "one" / "data" / "colors.tar"
    album.write_bytes(album.read_bytes() + b"\0")
    assert key(tmp_path / "one") != first


def test_time_that_is_left_is_guessed_from_the_last_time_and_from_other_steps(tmp_path: Path) -> None:
    steps = planned(write_eye(tmp_path / "eye"), tmp_path).steps
    state = State(tmp_path / "make.json")
    assert Clock(state).left(steps) == ""
    state.steps["quantize eye"] = Done("", {}, 100.0)
    clock = Clock(state)
    assert clock.left(steps) == " (about 2 min left, and 6 steps that were never timed)"
    clock.ran(steps[0], 600.0)  # the second stage has as many steps
    assert clock.left(steps[2:]) == " (about 12 min left, and 3 steps that were never timed)"


def test_durations_are_read_easily() -> None:
    assert [duration(s) for s in (4.4, 89, 200, 12_345)] == ["4 s", "89 s", "3 min", "3 h 26 min"]
