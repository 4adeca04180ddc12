"""The trainer: it learns, it resumes to the bit, and what goes wrong leaves the last checkpoint whole."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from galago.models.conformer import EarOutput
from galago.models.training.checkpoints import CheckpointError, load
from galago.models.training.ear.batches import Batch, BatchMaker
from galago.models.training.ear.recipe import LossRecipe, Recipe, ScheduleRecipe
from galago.models.training.ear.trainer import (
    Trainer,
    TrainingDivergedError,
    dev_batches,
    load_model,
    losses,
)
from galago.models.training.schedule import learning_rate
from tests.models.training.ear.tone_corpus import NETWORK, tone_recipe, write_tone_corpus


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tones")
    write_tone_corpus(folder)
    return folder


def with_dropout(**schedule: Any) -> Recipe:
    """Dropout draws from torch's generator: a resumed run must find that where it was."""
    return replace(tone_recipe(**schedule), network={**NETWORK, "dropout": 0.1})


def trainer_of(recipe: Recipe, folder: Path, cache: Path) -> Trainer:
    return Trainer(recipe, BatchMaker(recipe, cache, cache), folder)


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    both = (("model", trainer.model), ("average", trainer.average))
    return {f"{name}.{key}": value for name, model in both for key, value in model.state_dict().items()}


def assert_identical(left: Trainer, right: Trainer) -> None:
    ours, theirs = weights(left), weights(right)
    assert [key for key in ours if not torch.equal(ours[key], theirs[key])] == []
    assert left.history == right.history


def test_a_few_steps_lower_the_loss(cache: Path, tmp_path: Path) -> None:
    trainer = trainer_of(tone_recipe(num_steps=30, clean_steps=30, checkpoint_steps=30), tmp_path, cache)
    trainer.run(dev_batches(trainer.data), num_workers=0)
    totals = [row["total"] for row in trainer.history]
    assert sum(totals[-5:]) < 0.7 * sum(totals[:5])
    assert trainer.history[-1]["phone_accuracy"] > 0.5
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint.pt",
        "curves.png",
        "log.jsonl",
        "model.pt",
    ]
    lines = (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(30))


def test_evaluation_and_the_stored_model(cache: Path, tmp_path: Path) -> None:
    trainer = trainer_of(tone_recipe(num_steps=2, evaluate_steps=2), tmp_path, cache)
    dev = dev_batches(trainer.data)
    assert [len(texts) for _, texts in dev] == [4]
    trainer.run(dev, num_workers=0)
    last = trainer.history[-1]
    assert 0.0 <= last["dev_phone_accuracy"] <= 1.0 and last["dev_wer"] >= 0.0
    recipe = json.loads(load(tmp_path / "model.pt")["recipe"])
    assert (recipe["name"], recipe["schedule"]["num_steps"]) == ("tones", 2)
    stored = load_model(tmp_path / "model.pt").state_dict()
    assert all(torch.equal(value, stored[key]) for key, value in trainer.average.state_dict().items())


class Killed(Exception):
    pass


def test_a_resumed_run_is_the_run(cache: Path, tmp_path: Path) -> None:
    """Broken off between two checkpoints and run on: weights, averages and log are those of one run."""
    straight = trainer_of(with_dropout(), tmp_path / "straight", cache)
    straight.run([], num_workers=0)
    broken = trainer_of(with_dropout(), tmp_path / "broken", cache)

    def kill() -> bool:
        if broken.step == 6:
            raise Killed
        return False

    with pytest.raises(Killed):
        broken.run([], num_workers=0, should_stop=kill)
    with open(tmp_path / "broken" / "log.jsonl", "a", encoding="utf-8") as log:
        log.write('{"step": 6, "tot')  # a torn line
    torch.manual_seed(999)
    resumed = trainer_of(with_dropout(), tmp_path / "broken", cache)
    assert resumed.step == 4
    resumed.run([], num_workers=0)
    assert_identical(resumed, straight)


def train_until_killed(folder: Path, cache: Path) -> None:
    """In a process of its own: six of eight steps with a worker, then SIGKILL, as from a dying machine."""
    torch.set_num_threads(1)
    trainer = trainer_of(with_dropout(), folder, cache)

    def kill() -> bool:
        if trainer.step == 6:
            os.kill(os.getpid(), signal.SIGKILL)
        return False

    trainer.run([], num_workers=1, should_stop=kill)


def test_a_killed_run_with_a_worker_resumes_to_the_bit(cache: Path, tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=train_until_killed, args=(tmp_path / "k", cache)
    )
    process.start()
    process.join(100)
    assert process.exitcode == -signal.SIGKILL
    resumed = trainer_of(with_dropout(), tmp_path / "k", cache)
    assert resumed.step == 4
    resumed.run([], num_workers=1)
    straight = trainer_of(with_dropout(), tmp_path / "straight", cache)
    straight.run([], num_workers=0)
    assert_identical(resumed, straight)


def test_a_run_that_is_asked_to_stop_saves_first(cache: Path, tmp_path: Path) -> None:
    trainer = trainer_of(tone_recipe(), tmp_path, cache)
    trainer.run([], num_workers=0, should_stop=lambda: trainer.step == 3)
    assert trainer.step == 3 and trainer_of(tone_recipe(), tmp_path, cache).step == 3


def test_more_steps_than_planned_go_on_from_the_end(cache: Path, tmp_path: Path) -> None:
    trainer_of(tone_recipe(num_steps=2), tmp_path, cache).run([], num_workers=0)
    longer = trainer_of(tone_recipe(num_steps=4), tmp_path, cache)
    longer.run([], num_workers=0)
    assert [row["step"] for row in longer.history] == [0, 1, 2, 3]


class SpoiledBatches(BatchMaker):
    """Step 7 hears what is no number."""

    def __getitem__(self, step: int) -> Batch:
        batch = super().__getitem__(step)
        return batch._replace(features=batch.features * math.nan) if step == 7 else batch


def test_a_loss_that_is_no_number_ends_the_run_and_not_the_checkpoint(cache: Path, tmp_path: Path) -> None:
    recipe = tone_recipe()
    trainer = Trainer(recipe, SpoiledBatches(recipe, cache, cache), tmp_path)
    with pytest.raises(TrainingDivergedError, match="the loss of step 7 is nan"):
        trainer.run([], num_workers=0)
    kept = trainer_of(recipe, tmp_path, cache)
    assert kept.step == 4
    assert all(torch.isfinite(value).all() for value in weights(kept).values())


@contextmanager
def full_disk(num_bytes: int) -> Iterator[None]:
    """No file may grow beyond ``num_bytes``: writing fails as on a full disk, inside the operating system."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_old_checkpoint_whole(cache: Path, tmp_path: Path) -> None:
    trainer = trainer_of(tone_recipe(num_steps=4), tmp_path, cache)
    trainer.run([], num_workers=0)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    trainer.step = 5
    with full_disk(20_000), pytest.raises(OSError):
        trainer.save()
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    assert trainer_of(tone_recipe(num_steps=4), tmp_path, cache).step == 4


def test_the_checkpoint_of_another_recipe_is_refused(cache: Path, tmp_path: Path) -> None:
    trainer_of(tone_recipe(num_steps=1), tmp_path, cache).run([], num_workers=0)
    for other in (
        replace(tone_recipe(), name="other"),
        replace(tone_recipe(), network={**NETWORK, "width": 32}),
        tone_recipe(seed=2),
    ):
        with pytest.raises(CheckpointError, match="checkpoint.pt: belongs to another recipe"):
            trainer_of(other, tmp_path, cache)


def shape(**changes: Any) -> Recipe:
    return replace(tone_recipe(num_steps=2), network={**NETWORK, **changes})


@pytest.fixture(scope="module")
def finished(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model.pt of a run of two steps, whose averaged weights differ from its last ones."""
    folder = tmp_path_factory.mktemp("finished")
    trainer_of(shape(), folder, cache).run([], num_workers=0)
    return folder / "model.pt"


def test_a_run_begins_with_the_averaged_weights_of_another(
    finished: Path, cache: Path, tmp_path: Path
) -> None:
    recipe = replace(shape(), initial_weights=str(finished))
    trainer = trainer_of(recipe, tmp_path / "b", cache)
    expected = load_model(finished).state_dict()
    for model in (trainer.model, trainer.average):
        assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())
    last = torch.load(finished.parent / "checkpoint.pt", weights_only=True)["model"]
    assert any(not torch.equal(value, expected[key]) for key, value in last.items())
    # A run that is resumed goes on from its own checkpoint, not from where it once began.
    trainer.run([], num_workers=0)
    resumed = trainer_of(recipe, tmp_path / "b", cache)
    assert resumed.step == 2
    assert_identical(resumed, trainer)


def test_a_lookahead_that_the_initial_weights_lack_begins_as_a_delay(
    finished: Path, cache: Path, tmp_path: Path
) -> None:
    """And it is no dead end: the first step already moves it away from the delay."""
    recipe = replace(shape(lookahead_tokens=3), initial_weights=str(finished))
    trainer = trainer_of(recipe, tmp_path / "c", cache)
    tokens = torch.randn(2, 10, trainer.config.width)
    for model in (trainer.model, trainer.average):
        assert model.lookahead is not None
        with torch.no_grad():
            delayed, _ = model.lookahead.forward_chunk(tokens, torch.zeros(2, 3, trainer.config.width))
        assert torch.equal(delayed[:, 3:], tokens[:, :-3]) and not delayed[:, :3].any()
        others = {k: v for k, v in model.state_dict().items() if not k.startswith("lookahead.")}
        assert others.keys() == load_model(finished).state_dict().keys()
        assert all(torch.equal(v, others[k]) for k, v in load_model(finished).state_dict().items())
    trainer.run([], num_workers=0)
    assert trainer.model.lookahead is not None and trainer.model.lookahead.conv.weight.any()


@pytest.mark.parametrize("changes", [{"width": 32}, {"num_blocks": 1}])
def test_initial_weights_of_another_shape_are_refused(
    changes: dict[str, int], finished: Path, cache: Path, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=r"model.pt: holds a network of another shape"):
        trainer_of(replace(shape(**changes), initial_weights=str(finished)), tmp_path, cache)


def test_initial_weights_that_are_not_there_are_named(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere.pt: cannot be read"):
        trainer_of(replace(shape(), initial_weights="nowhere.pt"), tmp_path, cache)


@pytest.mark.parametrize("keep", [0.0, 0.5])
def test_damaged_files_are_named(keep: float, cache: Path, tmp_path: Path) -> None:
    trainer_of(tone_recipe(num_steps=1), tmp_path, cache).run([], num_workers=0)
    for name in ("checkpoint.pt", "model.pt"):
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[: int(keep * len(data))])
    with pytest.raises(CheckpointError, match="checkpoint.pt: cannot be read"):
        trainer_of(tone_recipe(), tmp_path, cache)
    with pytest.raises(CheckpointError, match="model.pt: cannot be read"):
        load_model(tmp_path / "model.pt")


def test_a_checkpoint_is_no_model(cache: Path, tmp_path: Path) -> None:
    trainer_of(tone_recipe(num_steps=1), tmp_path, cache).run([], num_workers=0)
    with pytest.raises(CheckpointError, match="holds no network"):
        load_model(tmp_path / "checkpoint.pt")


def test_a_run_in_which_nothing_is_aligned_stays_finite(tmp_path: Path) -> None:
    write_tone_corpus(tmp_path, aligned=False)
    trainer = trainer_of(tone_recipe(num_steps=2), tmp_path / "run", tmp_path)
    trainer.run([], num_workers=0)
    assert all(math.isfinite(value) for row in trainer.history for value in row.values())
    assert all(torch.isfinite(value).all() for value in weights(trainer).values())


def test_losses_count_what_is_known_and_nothing_else(cache: Path, tmp_path: Path) -> None:
    """Scores that are the targets: the frame loss vanishes, whatever stands in padding."""
    batch = BatchMaker(tone_recipe(), cache, cache)[0]
    B, T = batch.phone_frames.shape
    phone_logits = torch.full((B, T, 40), -30.0)
    phone_logits.scatter_(2, batch.phone_frames.clamp_min(0)[..., None], 30.0)
    output = EarOutput(phone_logits, torch.zeros(B, T, 29), -(-batch.num_frames // 4))
    found = losses(output, batch, LossRecipe(1.0, 0.5, 0.25))
    assert float(found.phone_accuracy) == 1.0 and float(found.phone_frames) < 1e-6
    assert float(found.phone_ctc) < 1e-3
    expected = found.phone_frames + 0.5 * found.phone_ctc + 0.25 * found.token_ctc
    torch.testing.assert_close(found.total, expected)


def test_the_learning_rate_rises_stays_and_falls() -> None:
    schedule = ScheduleRecipe(num_steps=100, warmup_steps=10, decay_steps=20, peak_learning_rate=1e-3)
    rates = [learning_rate(schedule, step) for step in range(101)]
    assert rates[:10] == pytest.approx([1e-4 * (i + 1) for i in range(10)])
    assert rates[10:81] == pytest.approx([1e-3] * 71)
    assert all(a > b for a, b in zip(rates[80:], rates[81:], strict=False))
    assert rates[100] == pytest.approx(schedule.final_learning_rate)
