"""Whole makes, in processes of their own: to the end, killed, without room, of what cannot be trained."""

from __future__ import annotations

import hashlib
import json
import re
import resource
import shutil
import subprocess
from pathlib import Path

import pytest
import soundfile
import torch

from tests.quantize.make.kills import NUM_STEPS, bundle_hash, draw_moments, kill_at, logged
from tests.quantize.make.tiny import command, environment, make, write_ear, write_eye

#: A guard against hanging: a make is many processes, and the machine may do other things too.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def eye(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eye(tmp_path_factory.mktemp("eye") / "recipes", num_steps=NUM_STEPS)


@pytest.fixture(scope="module")
def straight(eye: Path) -> Path:
    """Where nobody has disturbed the make of the eye."""
    output = eye.parent / "straight"
    done = make(eye, output)
    assert done.returncode == 0, done.stderr
    return output


def steps(said: str) -> dict[str, str]:
    """What became of each step, by the lines of a make."""
    return dict(re.findall(r"\[\d/\d\] ([^:\n]+): (.+)", said))


def test_a_make_ends_with_a_bundle_and_a_report(straight: Path) -> None:
    page = (straight / "report.html").read_text(encoding="utf-8")
    sha256 = hashlib.sha256((straight / "bundle" / "manifest.json").read_bytes()).hexdigest()
    assert sha256 in page and "missed" not in page
    for expected in ("Training: small", "Training: larger", "Signal to quantization noise", "accuracy_loss"):
        assert expected in page
    # One file: nothing is fetched, and nothing is run.
    assert not re.search(r'(src|href)="(?!data:)|url\(|@import|<script|<link', page)


def test_what_is_up_to_date_is_not_made_again(eye: Path, straight: Path) -> None:
    before = bundle_hash(straight)
    again = make(eye, straight)
    assert again.returncode == 0, again.stderr
    assert set(steps(again.stdout).values()) == {"up to date"} and len(steps(again.stdout)) == 7
    assert bundle_hash(straight) == before


def without_room(recipe: Path, output: Path) -> subprocess.CompletedProcess[str]:
    """A make whose processes can write no file beyond 40 kB, as on a disk that is full: no checkpoint."""
    return subprocess.run(
        command(recipe, output),
        env=environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)),
        capture_output=True,
        text=True,
        check=False,
    )


def test_kills_and_a_full_disk_change_no_byte_of_the_bundle(eye: Path, straight: Path) -> None:
    output = eye.parent / "killed"
    assert kill_at(eye, output, logged("small", 6))
    checkpoint = output / "runs" / "small" / "checkpoint.pt"
    before = checkpoint.read_bytes()
    full = without_room(eye, output)
    assert full.returncode == 1
    assert "File too large: 'runs/small/checkpoint.pt'" in full.stderr
    assert "galago make: train small: ended with exit code 2" in full.stderr
    assert "Not made: train small" in (output / "report.html").read_text()
    assert checkpoint.read_bytes() == before and not list(output.rglob("*.part"))
    assert all([kill_at(eye, output, moment) for moment in draw_moments(3, seed=3)[2:]])
    last = make(eye, output)
    assert last.returncode == 0, last.stderr
    assert bundle_hash(output) == bundle_hash(straight)


def test_what_has_changed_is_made_again_and_nothing_is_lost(
    eye: Path, straight: Path, tmp_path: Path
) -> None:
    """A stage that learns otherwise: its old run is put aside, and the stages before it stay as they are."""
    recipes, output = tmp_path / "recipes", tmp_path / "moved"
    shutil.copytree(eye.parent, recipes, ignore=shutil.ignore_patterns("straight", "killed"))
    shutil.copytree(straight, output)  # neither where it is made nor where its data is counts
    larger, recipe = recipes / "larger.toml", recipes / eye.name
    larger.write_text(larger.read_text().replace("_rate = 0.01", "_rate = 0.02"))
    text = recipe.read_text()
    recipe.write_text(text.replace('"larger.toml"', '"larger.toml"\naccept = ["accuracy >= 1.5"]'))
    done = make(recipe, output)
    found = steps(done.stdout)
    assert found["train small"] == found["measure small"] == "up to date"
    assert found["train larger"] != "up to date" and "quantize eye" not in found
    assert (output / "runs" / "larger.old-1" / "model.pt").is_file()
    assert done.returncode == 1
    assert re.search(r"not accepted: larger: accuracy is [\d.]+, wanted: accuracy >= 1.5", done.stderr)
    assert bundle_hash(output) == bundle_hash(straight)  # what was accepted before still stands


def test_a_loss_that_is_no_number_stops_the_make(eye: Path, straight: Path, tmp_path: Path) -> None:
    """The stage begins with weights that somebody has spoilt."""
    recipe = write_eye(tmp_path / "eye")
    stored = torch.load(straight / "runs" / "small" / "model.pt", weights_only=True)
    name = next(name for name in stored["model"] if name.endswith("weight"))
    stored["model"][name].fill_(torch.nan)
    torch.save(stored, recipe.parent / "spoilt.pt")
    first, _, rest = recipe.read_text().partition('recipe = "small.toml"')
    _, _, others = rest.partition("measure = false")
    recipe.write_text(f'{first}name = "small"\nweights = "spoilt.pt"{others}')
    done = make(recipe, tmp_path / "output")
    assert done.returncode == 1
    assert "galago train: runs/larger: the loss of step 0 is nan; the last checkpoint" in done.stderr
    assert "galago make: train larger: ended with exit code 2" in done.stderr


def test_words_that_no_token_spells_stop_the_make(tmp_path: Path) -> None:
    recipe = write_ear(tmp_path / "ear")
    manifest = recipe.parent / "data" / "tones" / "manifest.jsonl"
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    manifest.write_text("".join(json.dumps({**row, "text": "1999"}) + "\n" for row in rows))
    done = make(recipe, tmp_path / "output")
    assert done.returncode == 1
    assert "no clip with a transcript in train" in done.stderr
    assert "galago make: train teacher: ended with exit code 2" in done.stderr


def test_from_sound_to_a_bundle_that_hears(tmp_path: Path, native_library: Path) -> None:
    """Clips, a teacher, its student, int8, a bundle; and the native core hears what was said."""
    import galago

    recipe = write_ear(tmp_path / "ear")
    done = make(recipe, tmp_path / "output")
    assert done.returncode == 0, done.stderr
    measured = json.loads((tmp_path / "output" / "measured" / "ear.json").read_text())["measures"]
    assert measured["wer"] <= 0.5
    folder = recipe.parent / "data" / "tones"
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    dev = [row for row in rows if row["split"] == "dev"]
    num_right = 0
    with galago.open(tmp_path / "output" / "bundle") as bundle:
        for row in dev:
            samples, _ = soundfile.read(folder / row["file"], dtype="float32")
            with bundle.session() as session:
                finals = [event for event in session.run(samples) if isinstance(event, galago.Final)]
            num_right += " ".join(event.text for event in finals) == row["text"]
    assert num_right >= len(dev) / 2
