"""The loop that trains any network of a voice: checkpoints, exact resume, progress, samples.

A run is a folder for each network::

    checkpoint.pt   everything that a resumed run needs, written aside and renamed
    model.pt        the averaged weights and the network's shape: what is exported and packed
    log.jsonl       a line a step, with measures on dev clips now and then
    curves.png      the same as a picture
    samples/        what dev clips sound and look like by now
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from galago.models.training.checkpoints import check_identity, load, rewind_log, save_atomically
from galago.models.training.errors import TrainingDivergedError
from galago.models.training.plots import Panel, save_curves
from galago.models.training.voice.recipe import ScheduleRecipe

__all__ = ["Run", "Task", "learning_rate", "moved"]

Row = dict[str, float]


class Task(Protocol):
    """A network and what teaches it; :class:`Run` does the rest.

    ``networks`` are the modules that are trained, by name; the one called ``model`` is averaged and exported.
    """

    name: str
    networks: dict[str, nn.Module]

    @property
    def batches(self) -> torch.utils.data.Dataset[Any]:
        """``batches[step]`` is the batch of that step."""

    @property
    def panels(self) -> tuple[Panel, ...]:
        """What of the log is drawn."""

    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree with; ``config`` is stored with the model."""

    def losses(self, batch: Any, step: int) -> Iterator[tuple[str, Tensor, Row]]:
        """One after the other: the network to be stepped, its loss, and what to log."""

    def evaluate(self, model: nn.Module) -> Row:
        """Measures on dev clips; keys begin with ``dev``."""

    def sample(self, model: nn.Module, folder: Path, num_samples: int) -> None:
        """Write WAVs and pictures of dev clips into ``folder``."""


def learning_rate(schedule: ScheduleRecipe, step: int) -> float:
    """Linear warm-up, constant, exponential fall to the final rate at the last step."""
    peak, final = schedule.peak_learning_rate, schedule.final_learning_rate
    held = schedule.hold_share * schedule.num_steps
    if step < schedule.warmup_steps:
        return peak * (step + 1) / schedule.warmup_steps
    if step < held or final <= 0 or peak <= final:
        return peak
    fallen = (step - held) / max(1.0, schedule.num_steps - held)
    return peak * math.exp(fallen * math.log(final / peak))


def moved(batch: Any, device: torch.device) -> Any:
    """A NamedTuple of tensors, on ``device``."""
    return type(batch)._make(value.to(device, non_blocking=True) for value in batch)


class Run:
    """One network's run in one folder, gone on with where it was left. :meth:`train` goes to the last step.

    Raises:
        CheckpointError: the folder's checkpoint is damaged or belongs to another recipe.
    """

    def __init__(
        self,
        task: Task,
        average: nn.Module,
        schedule: ScheduleRecipe,
        folder: Path,
        *,
        device: torch.device,
    ) -> None:
        """``average`` is a network of the same shape as the task's ``model``."""
        self.task, self.schedule, self.folder, self.device = task, schedule, folder, device
        folder.mkdir(parents=True, exist_ok=True)
        # Two networks that chase each other forget sooner.
        betas = (0.8 if len(task.networks) > 1 else 0.9, 0.98)
        self.optimizers = {name: self._optimizer(net, betas) for name, net in task.networks.items()}
        self.average = average.to(device).eval()
        self.average.load_state_dict(task.networks["model"].state_dict())
        self.step = 0
        self.history: list[Row] = []
        if (folder / "checkpoint.pt").is_file():
            self._resume()

    def _optimizer(self, network: nn.Module, betas: tuple[float, float]) -> torch.optim.AdamW:
        schedule = self.schedule
        groups: list[dict[str, Any]] = [
            {
                "params": [p for p in network.parameters() if p.ndim > 1],
                "weight_decay": schedule.weight_decay,
            },
            {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=schedule.peak_learning_rate, betas=betas, fused=True)

    def _resume(self) -> None:
        path = self.folder / "checkpoint.pt"
        stored = load(path, self.device)
        check_identity(stored, self.task.identity(), path)
        for name, network in self.task.networks.items():
            network.load_state_dict(stored["networks"][name])
            self.optimizers[name].load_state_dict(stored["optimizers"][name])
        self.average.load_state_dict(stored["average"])
        torch.set_rng_state(stored["rng"].cpu())
        if self.device.type == "cuda" and "cuda_rng" in stored:
            torch.cuda.set_rng_state(stored["cuda_rng"].cpu(), self.device)
        self.step = stored["step"]
        self.history = rewind_log(self.folder / "log.jsonl", self.step)

    def save(self) -> None:
        """Write checkpoint and model.

        Raises:
            OSError: they cannot be written; those before are whole.
        """
        state: dict[str, Any] = {
            "identity": json.dumps(self.task.identity()),
            "networks": {name: network.state_dict() for name, network in self.task.networks.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "average": self.average.state_dict(),
            "rng": torch.get_rng_state(),
            "step": self.step,
        }
        if self.device.type == "cuda":  # dropout masks are drawn there
            state["cuda_rng"] = torch.cuda.get_rng_state(self.device)
        save_atomically(state, self.folder / "checkpoint.pt")
        model = {
            "network": self.task.name,
            "config": self.task.identity()["config"],
            "model": self.average.state_dict(),
            "step": self.step,
        }
        save_atomically(model, self.folder / "model.pt")

    def _refuse(self, value: float, what: str) -> None:
        if not math.isfinite(value):
            raise TrainingDivergedError(
                f"{self.folder}: the {what} of step {self.step} is {value}; the last checkpoint is the last "
                "good state"
            )

    def _train_step(self, batch: Any) -> Row:
        rate = learning_rate(self.schedule, self.step)
        row: Row = {"step": self.step, "learning_rate": rate}
        for name, loss, values in self.task.losses(batch, self.step):
            optimizer, network = self.optimizers[name], self.task.networks[name]
            for group in optimizer.param_groups:
                group["lr"] = rate
            self._refuse(float(loss.detach()), f"loss of the {name}")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            norm = float(nn.utils.clip_grad_norm_(network.parameters(), self.schedule.max_gradient_norm))
            self._refuse(norm, f"gradient of the {name}")  # such a norm would make every weight NaN
            optimizer.step()
            row.update(values)
            row[f"{name}_gradient_norm"] = norm
        decay = min(self.schedule.average_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            model = self.task.networks["model"]
            for kept, new in zip(self.average.parameters(), model.parameters(), strict=True):
                kept.lerp_(new, 1.0 - decay)
            for fixed, value in zip(self.average.buffers(), model.buffers(), strict=True):
                fixed.copy_(value)
        return row

    def train(self, *, num_workers: int = 1, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Train to the last step, with progress on standard error.

        Args:
            num_workers: processes that make batches ahead; 0 makes them here.
            should_stop: asked after every step; where it says yes, a checkpoint is saved and the run ends.

        Raises:
            TrainingDivergedError: a loss or gradient is no number.
            OSError: a checkpoint cannot be written; the one before it is whole.
        """
        from tqdm import tqdm

        schedule = self.schedule
        loader = torch.utils.data.DataLoader(
            self.task.batches,
            batch_size=None,
            sampler=range(self.step, schedule.num_steps),
            num_workers=num_workers,
            prefetch_factor=4 if num_workers else None,
            multiprocessing_context="fork" if num_workers else None,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # a loader draws a seed; from torch's own, dropout would shift
        )
        began, first = time.monotonic(), self.step
        for network in self.task.networks.values():
            network.train()
        with tqdm(
            total=schedule.num_steps, initial=self.step, desc=self.task.name, unit="step", mininterval=1.0
        ) as progress:
            for batch in loader:
                row = self._train_step(moved(batch, self.device))
                self.step += 1
                if self.step % schedule.evaluate_steps == 0 or self.step == schedule.num_steps:
                    with torch.no_grad():
                        row.update(self.task.evaluate(self.average))
                        self.task.sample(
                            self.average, self.folder / "samples" / f"{self.step:06d}", schedule.num_samples
                        )
                    measures = ", ".join(f"{k} {v:.3f}" for k, v in row.items() if k.startswith("dev"))
                    progress.write(f"{self.task.name} step {self.step}: {measures}")
                self.history.append(row)
                with open(self.folder / "log.jsonl", "a", encoding="utf-8") as log:
                    log.write(json.dumps(row) + "\n")
                stopping = should_stop()
                if stopping or self.step % schedule.checkpoint_steps == 0 or self.step == schedule.num_steps:
                    self.save()
                    save_curves(self.history, self.task.panels, self.folder / "curves.png")
                rate = (self.step - first) / (time.monotonic() - began)
                progress.set_postfix_str(f"loss {row['total']:.3f}, {rate:.2f} steps/s", refresh=False)
                progress.update()
                if stopping:
                    break
