"""The loop of every role: what it averages, decays and refuses, and runs that began before it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from galago.models.training.checkpoints import CheckpointError, load, save_atomically
from galago.models.training.errors import TrainingDivergedError
from galago.models.training.loop import Run
from galago.models.training.plots import Panel
from galago.models.training.task import NetworkLosses, Row, Task


@dataclass(frozen=True)
class FixedRate:
    num_steps: int = 6
    weight_decay: float = 0.5
    average_decay: float = 0.9
    checkpoint_steps: int = 2
    evaluate_steps: int = 4

    def learning_rate(self, step: int) -> float:
        return 0.1


class Points(NamedTuple):
    x: Tensor
    label: str = "points"


class PointsOfStep:
    def __getitem__(self, step: int, /) -> Points:
        return Points(torch.randn(8, 3, generator=torch.Generator().manual_seed(step)))


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.position_bias = nn.Parameter(torch.ones(2, 2))  # no loss moves it: what does is decay
        self.norm = nn.BatchNorm1d(3)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.norm(self.dropout(self.linear(x)))
        return answer + 0.0 * self.position_bias.sum()


class PointsTask(Task):
    name = "points"
    device = torch.device("cpu")
    max_gradient_norm = 1.0
    panels = (Panel("loss", ("total",)),)

    def __init__(self, schedule: FixedRate = FixedRate(), *, has_critic: bool = False) -> None:
        torch.manual_seed(1)
        self.schedule, self.batches = schedule, PointsOfStep()
        self.network, self.critic = Network(), nn.Linear(3, 1)
        self.networks = {"model": self.network}
        if has_critic:
            self.networks["critic"] = self.critic
        self.num_begun = 0

    def begin(self) -> None:
        self.num_begun += 1
        nn.init.constant_(self.network.linear.weight, 0.25)

    def identity(self) -> dict[str, Any]:
        return {"networks": sorted(self.networks)}

    def losses(self, batch: Points, step: int) -> NetworkLosses:
        assert batch.label == "points"
        if "critic" in self.networks:
            yield "critic", self.critic(batch.x).square().mean(), {}
        loss = (self.network(batch.x) - 1.0).square().mean()
        yield "model", loss, {"total": loss}

    def evaluate(self, model: nn.Module, samples: Path) -> Row:
        assert not model.training and not torch.is_grad_enabled()
        samples.mkdir(parents=True)
        return {"dev_loss": float((model(torch.ones(2, 3)) - 1.0).square().mean())}

    def export(self, model: nn.Module, step: int, path: Path) -> None:
        save_atomically({"step": step, "model": model.state_dict()}, path)


def state(run: Run[PointsTask]) -> list[Tensor]:
    modules = (*run.task.networks.values(), run.average)
    return [value.clone() for module in modules for value in module.state_dict().values()]


def assert_identical(left: Run[PointsTask], right: Run[PointsTask]) -> None:
    assert all(torch.equal(a, b) for a, b in zip(state(left), state(right), strict=True))
    assert left.history == right.history


@pytest.mark.parametrize("has_critic", [False, True])
def test_a_stopped_run_is_the_run(has_critic: bool, tmp_path: Path) -> None:
    straight = Run(PointsTask(has_critic=has_critic), tmp_path / "straight")
    straight.train()
    stopped = Run(PointsTask(has_critic=has_critic), tmp_path / "stopped")
    stopped.train(should_stop=lambda: stopped.step == 3)
    resumed = Run(PointsTask(has_critic=has_critic), tmp_path / "stopped")
    assert (resumed.step, resumed.task.num_begun, stopped.task.num_begun) == (3, 0, 1)
    resumed.train()
    assert_identical(resumed, straight)
    assert ("critic_gradient_norm" in resumed.history[0]) == has_critic
    lines = (tmp_path / "stopped" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == resumed.history
    assert [row["step"] for row in resumed.history if "dev_loss" in row] == [3, 5]
    assert sorted(p.name for p in (tmp_path / "stopped" / "samples").iterdir()) == ["000004", "000006"]
    assert load(tmp_path / "stopped" / "model.pt")["step"] == 6


def test_a_run_that_kept_one_network_at_the_top_goes_on(tmp_path: Path) -> None:
    straight = Run(PointsTask(), tmp_path / "straight")
    straight.train()
    stopped = Run(PointsTask(), tmp_path / "old")
    stopped.train(should_stop=lambda: stopped.step == 3)
    stored = load(tmp_path / "old" / "checkpoint.pt")
    stored["model"], stored["optimizer"] = stored.pop("networks")["model"], stored.pop("optimizers")["model"]
    save_atomically(stored, tmp_path / "old" / "checkpoint.pt")
    resumed = Run(PointsTask(), tmp_path / "old")
    resumed.train()
    assert_identical(resumed, straight)
    del stored["optimizer"]
    save_atomically(stored, tmp_path / "old" / "checkpoint.pt")
    with pytest.raises(CheckpointError, match="checkpoint.pt: holds no 'optimizer'"):
        Run(PointsTask(), tmp_path / "old")


def test_matrices_decay_but_for_those_that_the_task_names(tmp_path: Path) -> None:
    decayed, kept = PointsTask(), PointsTask()
    kept.undecayed = ("position_bias",)
    for name, task in (("decayed", decayed), ("kept", kept)):
        Run(task, tmp_path / name).train()
    assert torch.equal(kept.network.position_bias, torch.ones(2, 2))
    torch.testing.assert_close(decayed.network.position_bias, torch.full((2, 2), (1 - 0.1 * 0.5) ** 6))


def test_statistics_are_taken_as_they_are_or_averaged(tmp_path: Path) -> None:
    taken, averaged = PointsTask(), PointsTask()
    averaged.averages_statistics = True
    runs = [Run(task, tmp_path / name) for task, name in ((taken, "taken"), (averaged, "averaged"))]
    for run in runs:
        run.train()
    first, second = (run.average.get_buffer("norm.running_mean") for run in runs)
    last = taken.network.get_buffer("norm.running_mean")
    assert torch.equal(first, last) and not torch.equal(second, last)
    num_batches = [run.average.get_buffer("norm.num_batches_tracked").item() for run in runs]
    assert num_batches == [6, 6]


@pytest.mark.parametrize(
    ("network", "message"), [("model", "loss of step 2"), ("critic", "loss of the critic of")]
)
def test_what_is_no_number_ends_the_run_before_it_reaches_a_weight(
    network: str, message: str, tmp_path: Path
) -> None:
    run = Run(PointsTask(has_critic=True), tmp_path)
    run.train(should_stop=lambda: run.step == 2)
    before = state(Run(PointsTask(has_critic=True), tmp_path))
    with torch.no_grad():
        next(run.task.networks[network].parameters()).fill_(math.nan)
    with pytest.raises(TrainingDivergedError, match=message):
        run.train()
    after = state(Run(PointsTask(has_critic=True), tmp_path))
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
