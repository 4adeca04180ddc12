"""What can be wrong with a make recipe is said before any work begins, with the file and the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from galago.quantize.make.command import main
from tests.quantize.make.tiny import write_ear, write_eye


@pytest.fixture
def eye(tmp_path: Path) -> Path:
    return write_eye(tmp_path / "eye")


@pytest.fixture
def ear(tmp_path: Path) -> Path:
    return write_ear(tmp_path / "ear")


def check(recipe: Path, *options: str) -> int:
    output = recipe.parent / "output"
    return main([str(recipe), "-o", str(output), "--data-root", str(recipe.parent / "data"), *options])


def refusal(recipe: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that is said; nothing was begun."""
    assert check(recipe) == 2
    assert not (recipe.parent / "output").exists()
    said = capsys.readouterr().err.strip()
    assert said.startswith("galago make: ") and "\n" not in said
    return said


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_good_recipe_is_checked_without_any_work(
    eye: Path, ear: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(eye, "--check") == 0 and check(ear, "--check") == 0
    said = capsys.readouterr().out
    assert "colors.make.toml: 7 steps, nothing wrong" in said
    assert "tones.make.toml: 8 steps, nothing wrong" in said
    assert not (eye.parent / "output").exists()


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("colors.make.toml", 'name = "colors"', 'nmae = "colors"', "colors.make.toml: unknown key 'nmae'"),
        ("colors.make.toml", "schema_version = 1", "schema_version = 2", "schema_version must be 1"),
        ("colors.make.toml", 'name = "colors"', 'name = "../colors"', "would be no name of a folder"),
        ("colors.make.toml", '"small.toml"', '"absent.toml"', "colors.make.toml.train[0].recipe: no "),
        ("colors.make.toml", 'run = "larger"', 'run = "large"', "pack[0].run: no stage is called 'large'"),
        ("colors.make.toml", "dev_accuracy >=", "dev_accuracy =>", "train[0].accept[0]: expected a measure"),
        ("colors.make.toml", "accuracy_loss", "wer_loss", "accept[1]: nothing measures 'wer_loss' of eye"),
        ("colors.make.toml", "size_bytes", "wer", "colors.make.toml.accept[0]: nothing measures 'wer'"),
        ("colors.make.toml", 'recipe = "larger.toml"', 'name = "x"', "needs either a recipe or weights"),
        ("colors.make.toml", 'recipe = "larger.toml"', 'weights = "x.pt"', "weights need a name"),
        ("small.toml", "num_steps", "num_stpes", "small.toml.schedule: unknown key 'num_stpes'"),
        ("small.toml", '"colors.tar"', '"absent.tar"', "small.toml.albums[0].path: no "),
        ("larger.toml", "runs/small", "runs/tiny", "larger.toml.initial_weights: goes on from runs/tiny"),
        ("larger.toml", "runs/small/model.pt", "model.pt", "larger.toml.initial_weights: must be runs/NAME"),
        ("larger.toml", 'name = "larger"', 'name = "small"', "another stage or role is called 'small'"),
        ("colors.make.toml", "dev_accuracy", "accuracy", "nothing measures 'accuracy' of small"),
        ("eye.pack.toml", "max_cost", "max_cots", "unknown key 'max_cots'"),
        ("eye.pack.toml", 'role = "eye"', 'role = "nose"', "eye.pack.toml.role: must be one of"),
        ("eye.pack.toml", "[accuracy]", 'files = ["LICENSE"]\n[accuracy]', "eye.pack.toml.files: no "),
    ],
)  # fmt: skip
def test_what_is_wrong_names_its_place(
    file: str, old: str, new: str, expected: str, eye: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(eye.parent / file, old, new)
    assert expected in refusal(eye, capsys)


def test_corpora_that_nothing_decodes_are_refused(ear: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(ear.parent / "ear.pack.toml", 'corpora = ["tones"]\nclips', 'corpora = ["tones", "other"]\nclips')
    assert "ear.pack.toml.evaluation.corpora: no stage has a corpus 'other'" in refusal(ear, capsys)
    change(ear, "[[train]]", '[[corpora]]\npath = "other.tar"\n\n[[train]]')
    assert "tones.make.toml.corpora[0].path: no " in refusal(ear, capsys)
    change(ear, 'path = "other.tar"', 'path = "tones/manifest.jsonl"\nname = "other"')
    assert check(ear, "--check") == 0
    change(ear, 'name = "other"', 'name = "tones"\nspeech = false')
    assert "corpus 'tones' is made of something else in" in refusal(ear, capsys)


def test_a_second_pass_needs_its_stage_and_its_recipe(ear: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(ear, 'run = "student"', 'run = "student"\nsecond_pass = "teacher"')
    assert "pack[0].second_pass: ear.pack.toml has no [second_pass]" in refusal(ear, capsys)
    change(ear.parent / "ear.pack.toml", "[evaluation]", "[second_pass]\nchunk_tokens = [63]\n[evaluation]")
    change(ear, '"wer <= 0.5", "wer.tones', '"second_pass.wer <= 0.5", "wer.tones')
    assert check(ear, "--check") == 0
    change(ear, 'second_pass = "teacher"', 'second_pass = "larger"')
    assert "pack[0].second_pass: no stage is called 'larger'" in refusal(ear, capsys)
    change(ear, 'second_pass = "larger"', "")
    assert "ear.pack.toml has a [second_pass]: name its stage (second_pass)" in refusal(ear, capsys)


def test_a_manifest_that_names_a_missing_file_is_refused(
    ear: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (ear.parent / "data" / "tones" / "3.wav").unlink()
    assert "manifest.jsonl:4: no file" in refusal(ear, capsys)


def test_a_recipe_of_another_role_is_refused(
    eye: Path, ear: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(eye, '"eye.pack.toml"', f'"{ear.parent / "ear.pack.toml"}"')
    assert "larger is of role 'eye', ear.pack.toml for 'ear'" in refusal(eye, capsys)
