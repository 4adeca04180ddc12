"""What ``galago train`` hands to the role that a recipe trains."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["DONE", "INTERRUPTED", "WRONG", "TrainOptions", "Train", "say"]

DONE = 0
WRONG = 2
INTERRUPTED = 130  # 128 + SIGINT

AnyRecipe = TypeVar("AnyRecipe", bound=Any)


@dataclass(frozen=True)
class TrainOptions:
    """The command line beside the recipe, the same for every role; checked before a role sees it.

    Attributes:
        data_root: what the recipe's paths are relative to.
        run_folder: checkpoints, log and curves; None: ``runs/NAME``.
        cache: what is prepared once and shared by runs; None: ``corpora`` beside the run's folder.
        num_steps: instead of the recipe's, at least 1.
        device: ``cpu``, ``cuda`` or ``cuda:1``; it is there.
        prepare_only: stop before training.
        num_workers: processes that make batches ahead; 0 makes them between the steps.
        changes: lines of TOML in place of what the recipe says; see ``toml_tables.read_toml``.
    """

    data_root: Path = Path()
    run_folder: Path | None = None
    cache: Path | None = None
    num_steps: int | None = None
    device: str = "cpu"
    prepare_only: bool = False
    num_workers: int = 1
    changes: tuple[str, ...] = ()

    def folder_of(self, name: str) -> Path:
        """The folder of the run of a recipe called ``name``."""
        return self.run_folder or Path("runs") / name

    def cache_of(self, name: str) -> Path:
        """The folder of what is prepared once, for the run of a recipe called ``name``."""
        return self.cache or self.folder_of(name).parent / "corpora"

    def with_num_steps(self, recipe: AnyRecipe) -> AnyRecipe:
        """A recipe with one ``schedule``, of as many steps as the command line says, if it says so."""
        if self.num_steps is None:
            return recipe
        return replace(recipe, schedule=replace(recipe.schedule, num_steps=self.num_steps))


#: A role: from the path of its recipe and the options to an exit code, DONE or INTERRUPTED. It raises
#: TrainingError where recipe, data or run are at fault; OSError, RuntimeError and ImportError may pass.
Train = Callable[[Path, TrainOptions], int]


def say(message: str) -> None:
    """A line of progress or of complaint on standard error."""
    print(f"galago train: {message}", file=sys.stderr, flush=True)
