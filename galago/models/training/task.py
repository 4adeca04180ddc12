"""What a role tells the loop of :mod:`galago.models.training.loop`: its networks, losses and measures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from galago.models.training.plots import Panel

__all__ = ["Batches", "NetworkLosses", "Row", "Schedule", "Task", "moved"]

#: A line of the log.
Row = dict[str, float]
#: One after the other: the network to be stepped, its loss, and scalars to log.
NetworkLosses = Iterator[tuple[str, Tensor, dict[str, Tensor]]]


class Batches(Protocol):
    """``batches[step]`` is the batch of that step, a function of a seed and ``step``: resuming is exact."""

    def __getitem__(self, step: int, /) -> Any: ...


class Schedule(Protocol):
    """What the loop asks of a recipe's schedule."""

    @property
    def num_steps(self) -> int: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def average_decay(self) -> float: ...
    @property
    def checkpoint_steps(self) -> int: ...
    @property
    def evaluate_steps(self) -> int: ...
    def learning_rate(self, step: int) -> float: ...


class Task(ABC):
    """Networks and what teaches them; :class:`~galago.models.training.loop.Run` does the rest.

    Attributes:
        name: stands before the progress.
        device: where the networks are, and batches are moved to.
        networks: the modules that are trained, by name; the one called ``model`` is averaged and exported.
        panels: what of the log is drawn.
        max_gradient_norm: of each network; larger gradients are scaled down to it.
        momentum: Adam's first beta.
        undecayed: parts of the names of matrices that weight decay leaves alone, as it does all vectors.
        averages_statistics: whether what BatchNorm measures is averaged like the weights, or taken as it is.
        rate_unit: what progress says behind :meth:`amount` per second.
    """

    name: str
    device: torch.device
    schedule: Schedule
    networks: dict[str, nn.Module]
    batches: Batches
    panels: tuple[Panel, ...]
    max_gradient_norm: float
    momentum: float = 0.9
    undecayed: tuple[str, ...] = ()
    averages_statistics: bool = False
    rate_unit: str = "steps/s"

    def begin(self) -> None:  # noqa: B027 - most begin with the weights that they were made with
        """Set the weights that a new run begins with; a run that is resumed has its own."""

    def amount(self, batch: Any) -> float:
        """How much of :attr:`rate_unit` a batch is."""
        return 1.0

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree with, as JSON."""

    @abstractmethod
    def losses(self, batch: Any, step: int) -> NetworkLosses:
        """The losses of a step; ``total`` is among the scalars.

        A network is stepped before the next loss is asked for.
        """

    @abstractmethod
    def evaluate(self, model: nn.Module, samples: Path) -> Row:
        """Measures of the averaged ``model``; keys begin with ``dev_``. Examples may go into ``samples``."""

    @abstractmethod
    def export(self, model: nn.Module, step: int, path: Path) -> None:
        """Write the averaged ``model`` after ``step`` steps with what is needed to build it again.

        Raises:
            OSError: it cannot be written; the file of before is whole.
        """


def moved(batch: Any, device: torch.device) -> Any:
    """A NamedTuple with its tensors on ``device``; what is no tensor stays as it is."""
    values = (v.to(device, non_blocking=True) if isinstance(v, Tensor) else v for v in batch)
    return type(batch)._make(values)
