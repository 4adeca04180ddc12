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

from galago.models.conformer import Conformer, EarOutput
from galago.models.training.checkpoints import CheckpointError, load
from galago.models.training.ear.batches import Batch, BatchMaker
from galago.models.training.ear.losses import disagreement, losses
from galago.models.training.ear.recipe import LossRecipe, Recipe
from galago.models.training.ear.trainer import EarTask, dev_batches, load_model
from galago.models.training.errors import TrainingDivergedError
from galago.models.training.loop import Run
from tests.models.training.ear.tone_corpus import NETWORK, tone_recipe, write_tone_corpus


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tones")
    write_tone_corpus(folder)
    return folder


def with_dropout(**schedule: Any) -> Recipe:
    """Dropout draws from torch's generator: a resumed run must find that where it was."""
    return replace(tone_recipe(**schedule), network={**NETWORK, "dropout": 0.1})


def run_of(recipe: Recipe, folder: Path, cache: Path, *, with_dev: bool = False) -> Run[EarTask]:
    data = BatchMaker(recipe, cache, cache)
    return Run(EarTask(recipe, data, dev_batches(data) if with_dev else ()), folder)


def weights(run: Run[EarTask]) -> dict[str, torch.Tensor]:
    both = (("model", run.model), ("average", run.average))
    return {f"{name}.{key}": value for name, model in both for key, value in model.state_dict().items()}


def assert_identical(left: Run[EarTask], right: Run[EarTask]) -> None:
    ours, theirs = weights(left), weights(right)
    assert [key for key in ours if not torch.equal(ours[key], theirs[key])] == []
    assert left.history == right.history


def test_a_few_steps_lower_the_loss(cache: Path, tmp_path: Path) -> None:
    recipe = tone_recipe(num_steps=30, clean_steps=30, checkpoint_steps=30)
    run = run_of(recipe, tmp_path, cache, with_dev=True)
    run.train()
    totals = [row["total"] for row in run.history]
    assert sum(totals[-5:]) < 0.7 * sum(totals[:5])
    assert run.history[-1]["phone_accuracy"] > 0.5
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint.pt",
        "curves.png",
        "log.jsonl",
        "model.pt",
    ]
    lines = (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(30))


def test_evaluation_and_the_stored_model(cache: Path, tmp_path: Path) -> None:
    run = run_of(tone_recipe(num_steps=2, evaluate_steps=2), tmp_path, cache, with_dev=True)
    assert [len(texts) for _, texts in run.task.dev] == [4]
    run.train()
    last = run.history[-1]
    assert 0.0 <= last["dev_phone_accuracy"] <= 1.0 and last["dev_wer"] >= 0.0
    recipe = json.loads(load(tmp_path / "model.pt")["recipe"])
    assert (recipe["name"], recipe["schedule"]["num_steps"]) == ("tones", 2)
    stored = load_model(tmp_path / "model.pt").state_dict()
    assert all(torch.equal(value, stored[key]) for key, value in run.average.state_dict().items())


class Killed(Exception):
    pass


def test_a_resumed_run_is_the_run(cache: Path, tmp_path: Path) -> None:
    """Broken off between two checkpoints and run on: weights, averages and log are those of one run."""
    straight = run_of(with_dropout(), tmp_path / "straight", cache)
    straight.train()
    broken = run_of(with_dropout(), tmp_path / "broken", cache)

    def kill() -> bool:
        if broken.step == 6:
            raise Killed
        return False

    with pytest.raises(Killed):
        broken.train(should_stop=kill)
    with open(tmp_path / "broken" / "log.jsonl", "a", encoding="utf-8") as log:
        log.write('{"step": 6, "tot')  # a torn line
    torch.manual_seed(999)
    resumed = run_of(with_dropout(), tmp_path / "broken", cache)
    assert resumed.step == 4
    resumed.train()
    assert_identical(resumed, straight)


def train_until_killed(folder: Path, cache: Path) -> None:
    """In a process of its own: six of eight steps with a worker, then SIGKILL, as from a dying machine."""
    torch.set_num_threads(1)
    run = run_of(with_dropout(), folder, cache)

    def kill() -> bool:
        if run.step == 6:
            os.kill(os.getpid(), signal.SIGKILL)
        return False

    run.train(num_workers=1, should_stop=kill)


def test_a_killed_run_with_a_worker_resumes_to_the_bit(cache: Path, tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=train_until_killed, args=(tmp_path / "k", cache)
    )
    process.start()
    process.join(600)
    assert process.exitcode == -signal.SIGKILL
    resumed = run_of(with_dropout(), tmp_path / "k", cache)
    assert resumed.step == 4
    resumed.train(num_workers=1)
    straight = run_of(with_dropout(), tmp_path / "straight", cache)
    straight.train()
    assert_identical(resumed, straight)


def test_a_run_that_is_asked_to_stop_saves_first(cache: Path, tmp_path: Path) -> None:
    run = run_of(tone_recipe(), tmp_path, cache)
    run.train(should_stop=lambda: run.step == 3)
    assert run.step == 3 and run_of(tone_recipe(), tmp_path, cache).step == 3


def test_more_steps_than_planned_go_on_from_the_end(cache: Path, tmp_path: Path) -> None:
    run_of(tone_recipe(num_steps=2), tmp_path, cache).train()
    longer = run_of(tone_recipe(num_steps=4), tmp_path, cache)
    longer.train()
    assert [row["step"] for row in longer.history] == [0, 1, 2, 3]


class SpoiledBatches(BatchMaker):
    """Step 7 hears what is no number."""

    def __getitem__(self, step: int) -> Batch:
        batch = super().__getitem__(step)
        return batch._replace(features=batch.features * math.nan) if step == 7 else batch


def test_a_loss_that_is_no_number_ends_the_run_and_not_the_checkpoint(cache: Path, tmp_path: Path) -> None:
    recipe = tone_recipe()
    run = Run(EarTask(recipe, SpoiledBatches(recipe, cache, cache)), tmp_path)
    with pytest.raises(TrainingDivergedError, match="the loss of step 7 is nan"):
        run.train()
    kept = run_of(recipe, tmp_path, cache)
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
    run = run_of(tone_recipe(num_steps=4), tmp_path, cache)
    run.train()
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    run.step = 5
    with full_disk(20_000), pytest.raises(OSError):
        run.save()
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    assert run_of(tone_recipe(num_steps=4), tmp_path, cache).step == 4


def test_the_checkpoint_of_another_recipe_is_refused(cache: Path, tmp_path: Path) -> None:
    run_of(tone_recipe(num_steps=1), tmp_path, cache).train()
    for other in (
        replace(tone_recipe(), name="other"),
        replace(tone_recipe(), network={**NETWORK, "width": 32}),
        tone_recipe(seed=2),
    ):
        with pytest.raises(CheckpointError, match="checkpoint.pt: belongs to another recipe"):
            run_of(other, tmp_path, cache)


def shape(**changes: Any) -> Recipe:
    return replace(tone_recipe(num_steps=2), network={**NETWORK, **changes})


@pytest.fixture(scope="module")
def finished(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model.pt of a run of two steps, whose averaged weights differ from its last ones."""
    folder = tmp_path_factory.mktemp("finished")
    run_of(shape(), folder, cache).train()
    return folder / "model.pt"


def test_a_run_begins_with_the_averaged_weights_of_another(
    finished: Path, cache: Path, tmp_path: Path
) -> None:
    recipe = replace(shape(), initial_weights=str(finished))
    run = run_of(recipe, tmp_path / "b", cache)
    expected = load_model(finished).state_dict()
    for model in (run.model, run.average):
        assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())
    last = torch.load(finished.parent / "checkpoint.pt", weights_only=True)["networks"]["model"]
    assert any(not torch.equal(value, expected[key]) for key, value in last.items())
    # A run that is resumed goes on from its own checkpoint, not from where it once began.
    run.train()
    resumed = run_of(recipe, tmp_path / "b", cache)
    assert resumed.step == 2
    assert_identical(resumed, run)


def test_a_lookahead_that_the_initial_weights_lack_begins_as_a_delay(
    finished: Path, cache: Path, tmp_path: Path
) -> None:
    """And it is no dead end: the first step already moves it away from the delay."""
    recipe = replace(shape(lookahead_tokens=3), initial_weights=str(finished))
    run = run_of(recipe, tmp_path / "c", cache)
    tokens = torch.randn(2, 10, run.task.config.width)
    for model in (run.model, run.average):
        assert isinstance(model, Conformer) and model.lookahead is not None
        with torch.no_grad():
            delayed, _ = model.lookahead.forward_chunk(tokens, torch.zeros(2, 3, run.task.config.width))
        assert torch.equal(delayed[:, 3:], tokens[:, :-3]) and not delayed[:, :3].any()
        others = {k: v for k, v in model.state_dict().items() if not k.startswith("lookahead.")}
        assert others.keys() == load_model(finished).state_dict().keys()
        assert all(torch.equal(v, others[k]) for k, v in load_model(finished).state_dict().items())
    run.train()
    trained = run.task.model
    assert isinstance(trained, Conformer) and trained.lookahead is not None
    assert trained.lookahead.conv.weight.any()


@pytest.mark.parametrize("changes", [{"width": 32}, {"num_blocks": 1}])
def test_initial_weights_of_another_shape_are_refused(
    changes: dict[str, int], finished: Path, cache: Path, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=r"model.pt: holds a network of another shape"):
        run_of(replace(shape(**changes), initial_weights=str(finished)), tmp_path, cache)


def test_initial_weights_that_are_not_there_are_named(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere.pt: cannot be read"):
        run_of(replace(shape(), initial_weights="nowhere.pt"), tmp_path, cache)


@pytest.mark.parametrize("keep", [0.0, 0.5])
def test_damaged_files_are_named(keep: float, cache: Path, tmp_path: Path) -> None:
    run_of(tone_recipe(num_steps=1), tmp_path, cache).train()
    for name in ("checkpoint.pt", "model.pt"):
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[: int(keep * len(data))])
    with pytest.raises(CheckpointError, match="checkpoint.pt: cannot be read"):
        run_of(tone_recipe(), tmp_path, cache)
    with pytest.raises(CheckpointError, match="model.pt: cannot be read"):
        load_model(tmp_path / "model.pt")


def test_a_checkpoint_is_no_model(cache: Path, tmp_path: Path) -> None:
    run_of(tone_recipe(num_steps=1), tmp_path, cache).train()
    with pytest.raises(CheckpointError, match="holds no network"):
        load_model(tmp_path / "checkpoint.pt")


def test_a_run_in_which_nothing_is_aligned_stays_finite(tmp_path: Path) -> None:
    """And where no phone is known, none was heard rightly or wrongly: that measure is left out."""
    write_tone_corpus(tmp_path, aligned=False)
    run = run_of(tone_recipe(num_steps=2), tmp_path / "run", tmp_path, with_dev=True)
    run.train()
    assert "dev_wer" in run.history[-1] and "dev_phone_accuracy" not in run.history[-1]
    assert all(math.isfinite(value) for row in run.history for value in row.values())
    assert all(torch.isfinite(value).all() for value in weights(run).values())


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


def two_views(consistency: float = 0.2) -> Recipe:
    return replace(with_dropout(clean_steps=1), loss=LossRecipe(consistency=consistency))


def random_output(seed: int, num_tokens: torch.Tensor) -> EarOutput:
    rng = torch.Generator().manual_seed(seed)
    B, T = len(num_tokens), int(num_tokens.max())
    phones, tokens = (torch.randn(B, T, n, generator=rng).requires_grad_() for n in (40, 29))
    return EarOutput(phones, tokens, num_tokens)


def test_views_that_agree_are_no_way_apart_and_others_pull_at_both(cache: Path) -> None:
    batch = BatchMaker(tone_recipe(), cache, cache)[0]
    one, other = (random_output(seed, -(-batch.num_frames // 4)) for seed in (1, 2))
    same = disagreement(one, one, batch)
    assert not same.phones.any() and not same.tokens.any()
    views = disagreement(one, other, batch)
    assert bool(views.phones > 0.1) and bool(views.tokens > 0.1)
    torch.autograd.backward([views.phones, views.tokens])
    for output in (one, other):
        for logits in (output.phone_logits, output.token_logits):
            assert logits.grad is not None
            heard = torch.arange(logits.shape[1])[None] < output.num_tokens[:, None]
            assert logits.grad[heard].abs().sum() > 0.0
            assert not logits.grad[~heard].any()


def test_padding_is_no_disagreement(cache: Path) -> None:
    batch = BatchMaker(tone_recipe(), cache, cache)[0]
    num_tokens = (-(-batch.num_frames // 4)).clone()
    num_tokens[0] -= 2
    one = random_output(1, num_tokens)
    spoiled = one.token_logits.detach().clone()
    spoiled[0, int(num_tokens[0]) :] += torch.linspace(0.0, 9.0, 29)
    assert not disagreement(one, one._replace(token_logits=spoiled), batch).tokens.any()


def test_a_run_with_two_views_learns_from_both_and_resumes_to_the_bit(cache: Path, tmp_path: Path) -> None:
    straight = run_of(two_views(), tmp_path / "straight", cache)
    straight.train()
    cut = run_of(two_views(), tmp_path / "cut", cache)
    cut.train(should_stop=lambda: cut.step == 5)
    resumed = run_of(two_views(), tmp_path / "cut", cache)
    resumed.train()
    assert_identical(resumed, straight)
    weights = LossRecipe(consistency=0.2)
    for row in straight.history:
        views = weights.phone_ctc * row["phones_apart"] + weights.token_ctc * row["tokens_apart"]
        single = sum(getattr(weights, n) * row[n] for n in ("phone_frames", "phone_ctc", "token_ctc"))
        assert row["phones_apart"] > 0.0 and row["total"] == pytest.approx(single + 0.2 * views, rel=1e-5)
    alone = run_of(two_views(consistency=0.0), tmp_path / "alone", cache)
    alone.train(should_stop=lambda: alone.step == 1)
    assert "phones_apart" not in alone.history[0]
