"""What the networks of a voice have in common for the loop that trains them."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

from torch import nn

from galago.models.training.checkpoints import save_atomically
from galago.models.training.task import Row, Task
from galago.models.training.voice.recipe import ScheduleRecipe

__all__ = ["VoiceTask"]


class VoiceTask(Task):
    """A network of a voice, measured and sampled on dev clips; ``name`` says which it is."""

    def __init__(self, config: dict[str, Any], schedule: ScheduleRecipe) -> None:
        self._config, self.schedule = config, schedule
        self._num_samples, self._seed = schedule.num_samples, schedule.seed
        self.max_gradient_norm = schedule.max_gradient_norm

    def identity(self) -> dict[str, Any]:
        """The network's shape and the seed."""
        return {"network": self.name, "config": self._config, "seed": self._seed}

    def evaluate(self, model: nn.Module, samples: Path) -> Row:
        """Losses on dev clips; a few of them as WAVs and pictures."""
        found = self.measure(model)
        self.sample(model, samples, self._num_samples)
        return found

    def export(self, model: nn.Module, step: int, path: Path) -> None:
        """A ``model.pt`` as :mod:`galago.models.training.voice.checkpoint` reads it."""
        stored = {
            "role": "voice",
            "network": self.name,
            "config": self._config,
            "model": model.state_dict(),
            "step": step,
        }
        save_atomically(stored, path)

    @abstractmethod
    def measure(self, model: nn.Module) -> Row:
        """Measures on dev clips; keys begin with ``dev_``."""

    @abstractmethod
    def sample(self, model: nn.Module, folder: Path, num_samples: int) -> None:
        """Write WAVs and pictures of dev clips into ``folder``."""
