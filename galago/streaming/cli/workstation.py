"""The workstation's commands (`galago train`, `import`, `label`, `pack`, `make`) on the board's command line.

The board's half imports nothing of the workstation's, so each command runs as a module of a process of
its own, with its own options, its own `--help` and its own exit code.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import typer

from galago.streaming.cli.exits import FAILED, complain
from galago.streaming.cli.interrupts import left_to_a_child


@dataclass(frozen=True, slots=True)
class WorkstationCommand:
    module: str  # run with `python -m`
    extra: str  # of galago, that installs what it needs
    needs: tuple[str, ...]  # what it cannot start without


COMMANDS = {
    "train": WorkstationCommand("galago.models.training.command", "train", ("torch",)),
    "import": WorkstationCommand("galago.models.published.command", "train", ("torch",)),
    "label": WorkstationCommand("galago.models.training.distill.command", "train", ("torch",)),
    "pack": WorkstationCommand("galago.quantize.command", "quantize", ("torch", "onnx", "openvino")),
    "make": WorkstationCommand(
        "galago.quantize.make.command", "train,quantize", ("torch", "onnx", "openvino")
    ),
}


def hand_over(name: str, arguments: Sequence[str]) -> None:
    """Run a workstation command and exit as it does."""
    command = COMMANDS[name]
    missing = [library for library in command.needs if importlib.util.find_spec(library) is None]
    if missing:
        libraries = " and ".join(missing)
        complain(
            f"{name} runs on a workstation and needs {libraries}: pip install 'galago[{command.extra}]' "
            "(torch first: with plain pip its newest build brings gigabytes of CUDA)"
        )
        raise typer.Exit(FAILED)
    # After Ctrl-C it finishes its step and saves a checkpoint, however long that takes; its own exit code
    # says that it was interrupted.
    with left_to_a_child():
        code = subprocess.run([sys.executable, "-m", command.module, *arguments], check=False).returncode
    raise typer.Exit(code)
