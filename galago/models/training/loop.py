"""The loop that trains every network: steps, progress, checkpoints, exact resume, log and curves.

A run is a folder::

    checkpoint.pt   everything that a resumed run needs, written aside and renamed
    model.pt        the averaged weights and the network's shape: what is exported and packed
    log.jsonl       a line a step, with measures on dev data now and then
    curves.png      the same as a picture
    samples/        where the task makes some: what dev data sound and look like by now
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from galago.models.training.checkpoints import (
    CheckpointError,
    check_identity,
    load,
    rewind_log,
    save_atomically,
)
from galago.models.training.errors import TrainingDivergedError
from galago.models.training.plots import save_curves
from galago.models.training.task import Row, Task, moved

__all__ = ["Run"]

TaskT = TypeVar("TaskT", bound=Task)


class Run(Generic[TaskT]):
    """One task's run in one folder, gone on with where it was left. :meth:`train` goes to the last step.

    Attributes:
        average: the exponential average of the task's ``model``, in evaluation mode.
        step: how many steps are done.
        history: the rows of the log, one a step.

    Raises:
        CheckpointError: the folder's checkpoint is damaged or belongs to another recipe, or what the task
            begins with is.
    """

    def __init__(self, task: TaskT, folder: Path) -> None:
        self.task, self.folder = task, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.optimizers = {name: self._optimizer(net) for name, net in task.networks.items()}
        self.step = 0
        self.history: list[Row] = []
        is_resumed = (folder / "checkpoint.pt").is_file()
        if not is_resumed:
            task.begin()
        self.average = copy.deepcopy(self.model).eval()
        stored = self.average.state_dict().keys()
        pairs = zip(self.average.named_buffers(), self.model.buffers(), strict=True)
        self._statistics = [(kept, new) for (name, kept), new in pairs if name in stored]
        if is_resumed:
            self._resume()

    @property
    def model(self) -> nn.Module:
        """The network that is exported, with the weights of the last step."""
        return self.task.networks["model"]

    def _optimizer(self, network: nn.Module) -> torch.optim.AdamW:
        def is_decayed(name: str, parameter: Tensor) -> bool:
            return parameter.ndim > 1 and not any(part in name for part in self.task.undecayed)

        schedule, named = self.task.schedule, list(network.named_parameters())
        groups: list[dict[str, Any]] = [
            {"params": [p for n, p in named if is_decayed(n, p)], "weight_decay": schedule.weight_decay},
            {"params": [p for n, p in named if not is_decayed(n, p)], "weight_decay": 0.0},
        ]
        betas = (self.task.momentum, 0.98)
        return torch.optim.AdamW(groups, lr=schedule.learning_rate(0), betas=betas, fused=True)

    def _resume(self) -> None:
        path, device = self.folder / "checkpoint.pt", self.task.device
        stored = load(path, device)
        try:
            check_identity(stored, self.task.identity(), path)
            # Runs that began before every role had this loop kept one network under "model".
            networks = stored["networks"] if "networks" in stored else {"model": stored["model"]}
            optimizers = stored["optimizers"] if "optimizers" in stored else {"model": stored["optimizer"]}
            for name, network in self.task.networks.items():
                network.load_state_dict(networks[name])
                self.optimizers[name].load_state_dict(optimizers[name])
            self.average.load_state_dict(stored["average"])
            torch.set_rng_state(stored["rng"].cpu())
            if device.type == "cuda" and "cuda_rng" in stored:
                torch.cuda.set_rng_state(stored["cuda_rng"].cpu(), device)
            self.step = stored["step"]
        except KeyError as error:
            raise CheckpointError(f"{path}: holds no {error}") from error
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
        if self.task.device.type == "cuda":  # dropout masks are drawn there
            state["cuda_rng"] = torch.cuda.get_rng_state(self.task.device)
        save_atomically(state, self.folder / "checkpoint.pt")
        self.task.export(self.average, self.step, self.folder / "model.pt")

    def _refuse(self, value: float, what: str) -> None:
        if not math.isfinite(value):
            raise TrainingDivergedError(
                f"{self.folder}: the {what} of step {self.step} is {value}; the last checkpoint is the last "
                "good state"
            )

    def _train_step(self, batch: Any) -> Row:
        rate = self.task.schedule.learning_rate(self.step)
        row: Row = {"step": self.step, "learning_rate": rate}
        for name, loss, found in self.task.losses(batch, self.step):
            optimizer, network = self.optimizers[name], self.task.networks[name]
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(network.parameters(), self.task.max_gradient_norm)
            scalars = [value.detach().float() for value in (loss, norm, *found.values())]
            numbers = torch.stack(scalars).tolist()  # one wait for the device
            self._refuse(numbers[0], "loss" if name == "model" else f"loss of the {name}")
            # Clipped by such a norm, every weight would become NaN, and be saved.
            self._refuse(numbers[1], "gradient" if name == "model" else f"gradient of the {name}")
            optimizer.step()
            row["gradient_norm" if name == "model" else f"{name}_gradient_norm"] = numbers[1]
            row.update(zip(found, numbers[2:], strict=True))
        self._average()
        return row

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.task.schedule.average_decay, (1 + self.step) / (10 + self.step))
        for kept, new in zip(self.average.parameters(), self.model.parameters(), strict=True):
            kept.lerp_(new, 1.0 - decay)
        for statistic, value in self._statistics:
            if self.task.averages_statistics and statistic.is_floating_point():
                statistic.lerp_(value, 1.0 - decay)
            else:
                statistic.copy_(value)

    def _batches(self, num_workers: int) -> Iterable[Any]:
        steps, batches = range(self.step, self.task.schedule.num_steps), self.task.batches
        if num_workers == 0:
            return (batches[step] for step in steps)
        dataset: Any = batches  # a loader with a sampler only ever asks for batches[step]
        return torch.utils.data.DataLoader(
            dataset,
            batch_size=None,
            sampler=steps,
            num_workers=num_workers,
            prefetch_factor=4,
            multiprocessing_context="fork",
            pin_memory=self.task.device.type == "cuda",
            # A loader draws a seed when it starts; from torch's own generator, that would shift every dropout
            # mask of a resumed run. (Batches do not use it: each has a generator of its own.)
            generator=torch.Generator(),
        )

    def train(self, *, num_workers: int = 0, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Train to the last step, with progress on standard error.

        Args:
            num_workers: processes that make batches ahead; 0 makes them here.
            should_stop: asked after every step; where it says yes, a checkpoint is saved and the run ends.

        Raises:
            TrainingDivergedError: a loss or gradient is no number.
            OSError: a checkpoint cannot be written; the one before it is whole.
        """
        from tqdm import tqdm

        task, schedule = self.task, self.task.schedule
        if self.step >= schedule.num_steps:
            # A kill may have come after the last checkpoint and before its model.
            task.export(self.average, self.step, self.folder / "model.pt")
        began, amount = time.monotonic(), 0.0
        for network in task.networks.values():
            network.train()
        with (
            tqdm(
                total=schedule.num_steps, initial=self.step, desc=task.name, unit="step", mininterval=1.0
            ) as progress,
            open(self.folder / "log.jsonl", "a", encoding="utf-8", buffering=1) as log,
        ):
            for batch in self._batches(num_workers):
                row = self._train_step(moved(batch, task.device))
                self.step += 1
                amount += task.amount(batch)
                is_last = self.step == schedule.num_steps
                if is_last or self.step % schedule.evaluate_steps == 0:
                    with torch.no_grad():
                        found = task.evaluate(self.average, self.folder / "samples" / f"{self.step:06d}")
                    row.update(found)
                    measures = ", ".join(f"{name} {value:.3f}" for name, value in found.items())
                    progress.write(f"{task.name} step {self.step}: {measures}")
                self.history.append(row)
                log.write(json.dumps(row) + "\n")
                stopping = should_stop()
                if stopping or is_last or self.step % schedule.checkpoint_steps == 0:
                    self.save()
                    save_curves(self.history, task.panels, self.folder / "curves.png")
                rate = amount / (time.monotonic() - began)
                progress.set_postfix_str(
                    f"loss {row['total']:.3f} {rate:.3g} {task.rate_unit}", refresh=False
                )
                progress.update()
                if stopping:
                    break
