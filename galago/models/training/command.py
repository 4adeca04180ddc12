"""``galago train RECIPE``: the recipe's key ``role`` says what is trained; an ear where it says nothing.

Exit codes: 0 done, 2 something is wrong with the recipe, the data or the run (the message says what),
130 stopped by Ctrl-C after a checkpoint was saved.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from galago.models.training.errors import TrainingError
from galago.models.training.options import INTERRUPTED, WRONG, Train, TrainOptions, say
from galago.models.training.toml_tables import SCHEMA_VERSION, RecipeError, read_toml

__all__ = ["ROLES", "main", "role_of", "run"]

#: Role -> the module whose ``train_recipe`` (see options.Train) trains it, loaded when a recipe asks for it.
ROLES = {
    "ear": "galago.models.training.ear.command",
    "eye": "galago.models.training.eye.command",
    "voice": "galago.models.training.voice.command",
    "g2p": "galago.models.training.g2p",
    "pretraining": "galago.models.training.pretrain.command",
}


def role_of(recipe: Path) -> str:
    """The role that a recipe trains.

    Raises:
        RecipeError: the file is no recipe, or names no role that there is.
    """
    role = read_toml(recipe, SCHEMA_VERSION).get("role", "ear")
    if role not in tuple(ROLES):  # a role that is a list is no key either
        raise RecipeError(f"{recipe.name}.role: must be one of {', '.join(ROLES)}, got {role!r}")
    return str(role)


def _check_device(device: str) -> None:
    kind = torch.device(device).type  # RuntimeError where there is no such kind
    if kind not in ("cpu", "cuda") or (kind == "cuda" and not torch.cuda.is_available()):
        raise TrainingError(f"no device {device!r} here: torch {torch.__version__} can use the CPU")


def main(
    recipe: Path,
    *,
    run_folder: Path | None = None,
    data_root: Path | None = None,
    cache: Path | None = None,
    num_steps: int | None = None,
    threads: int | None = None,
    device: str = "cpu",
    prepare_only: bool = False,
    num_workers: int = 1,
    changes: Sequence[str] = (),
) -> int:
    """Prepare and train a recipe; a run that was cut short goes on where its last checkpoint stands.

    Args:
        recipe: a TOML file, see ``docs/training.md``.
        data_root: what the recipe's paths are relative to; by default ``$GALAGO_DATA`` or the current folder.
        threads: of torch; by default its own choice.
        run_folder, cache, num_steps, device, prepare_only, num_workers, changes: see :class:`TrainOptions`.

    Returns:
        an exit code: 0 done, 2 failed (a message is on standard error), 130 stopped by Ctrl-C.
    """
    try:
        train: Train = importlib.import_module(ROLES[role_of(recipe)]).train_recipe
        if num_steps is not None and num_steps < 1:
            raise TrainingError(f"the number of steps must be at least 1, got {num_steps}")
        if threads is not None and threads < 1 or num_workers < 0:
            raise TrainingError(f"cannot run with {threads} threads and {num_workers} workers")
        _check_device(device)
        if threads is not None:
            torch.set_num_threads(threads)
        torch.set_flush_denormal(True)  # tiny activations of silence would cost a hundred times their share
        options = TrainOptions(
            data_root=data_root or Path(os.environ.get("GALAGO_DATA", ".")),
            run_folder=run_folder,
            cache=cache,
            num_steps=num_steps,
            device=device,
            prepare_only=prepare_only,
            num_workers=num_workers,
            changes=tuple(changes),
        )
        return train(recipe, options)
    except TrainingError as error:
        say(str(error))
    except (OSError, RuntimeError, ImportError) as error:  # a full disk, a device out of memory, a library
        say(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        say("stopped; the same command goes on from the last checkpoint")
        return INTERRUPTED
    return WRONG


def run(arguments: Sequence[str] | None = None) -> int:
    """Read the command line (by default this process's) and call :func:`main`."""
    parser = argparse.ArgumentParser(
        prog="galago train",
        description="Train a network from a recipe. What is prepared or trained already is not done again.",
    )
    parser.add_argument("recipe", type=Path, help="a TOML file, for instance recipes/ear-en-us.toml")
    parser.add_argument("--run-folder", type=Path, help="checkpoints, log and curves [runs/NAME]")
    parser.add_argument(
        "--data-root", type=Path, help="what the recipe's paths are relative to [$GALAGO_DATA, or here]"
    )
    parser.add_argument("--cache", type=Path, help="decoded corpora [corpora, beside the run's folder]")
    parser.add_argument("--num-steps", type=int, help="instead of the recipe's")
    parser.add_argument(
        "--set",
        dest="changes",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a line of TOML in place of what the recipe says, such as schedule.seed=2; may be repeated",
    )
    parser.add_argument("--threads", type=int, help="of torch [its own choice]")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N [cpu]")
    parser.add_argument("--prepare-only", action="store_true", help="decode, synthesise and align, then stop")
    parser.add_argument("--num-workers", type=int, default=1, help="processes that make batches ahead [1]")
    return main(**vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(run())
