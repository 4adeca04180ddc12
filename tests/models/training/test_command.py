"""`galago train`: the recipe says what is trained, and gets the command line's options."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from galago.models.training import command
from galago.models.training.command import main, role_of, run
from galago.models.training.errors import TrainingError
from galago.models.training.options import DONE, INTERRUPTED, TrainOptions


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text("schema_version = 1\n" + text)
    return path


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, TrainOptions]]:
    """A role called "nose" stands in the table; what it is asked to train is in this list."""
    calls: list[tuple[Path, TrainOptions]] = []

    def train_recipe(recipe: Path, options: TrainOptions) -> int:
        calls.append((recipe, options))
        return INTERRUPTED if options.num_steps == 1 else DONE

    module = types.ModuleType("made_up_nose")
    module.train_recipe = train_recipe  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "made_up_nose", module)
    monkeypatch.setitem(command.ROLES, "nose", "made_up_nose")
    monkeypatch.setattr("torch.set_flush_denormal", lambda on: None)
    return calls


def test_the_role_is_an_ear_where_a_recipe_says_nothing(tmp_path: Path) -> None:
    assert role_of(write(tmp_path, "")) == role_of(write(tmp_path, "role = 'ear'")) == "ear"


def test_a_recipe_goes_to_its_role_with_the_options(
    trained: list[tuple[Path, TrainOptions]], tmp_path: Path
) -> None:
    recipe = write(tmp_path, "role = 'nose'")
    assert run([str(recipe), "--data-root", "d", "--cache", "c", "--num-workers", "0"]) == DONE
    further = ["--num-steps", "1", "--prepare-only", "--set", "a=1", "--set", "b.c=2"]
    assert run([str(recipe), *further]) == INTERRUPTED
    (first, options), (_, others) = trained
    assert first == recipe
    assert options == TrainOptions(data_root=Path("d"), cache=Path("c"), num_workers=0)
    assert (others.num_steps, others.prepare_only, others.changes) == (1, True, ("a=1", "b.c=2"))
    assert options.folder_of("n") == Path("runs/n") and options.cache_of("n") == Path("c")
    assert others.cache_of("n") == Path("runs/corpora")


@pytest.mark.parametrize("role", ['"tail"', "3", "[]", "{}"])
def test_an_unknown_role_is_an_error_that_names_those_there_are(
    role: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(write(tmp_path, f"role = {role}")) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("galago train: mine.toml.role: must be one of ear") and "\n" not in said


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (TrainingError("the nose is blocked"), "galago train: the nose is blocked"),
        (OSError(28, "No space left"), "galago train: OSError: [Errno 28] No space left"),
    ],
)
def test_what_a_role_raises_is_said_in_one_line(
    error: Exception,
    message: str,
    trained: list[tuple[Path, TrainOptions]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(recipe: Path, options: TrainOptions) -> int:
        raise error

    monkeypatch.setattr(sys.modules["made_up_nose"], "train_recipe", fail)
    assert main(write(tmp_path, "role = 'nose'")) == 2
    assert capsys.readouterr().err.strip() == message
    assert trained == []
