"""Checkpoints: written aside and renamed, read without running what they hold."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from galago.models.training.errors import TrainingError

__all__ = [
    "CheckpointError",
    "check_identity",
    "files_sha256",
    "is_finished",
    "load",
    "rewind_log",
    "save_atomically",
]


class CheckpointError(TrainingError, ValueError):
    """A checkpoint is damaged or belongs to another recipe; the message names the file."""


def save_atomically(value: Any, path: Path) -> None:
    """Write beside ``path`` and rename: a full disk or a kill leaves the old file whole.

    Raises:
        OSError: it cannot be written; nothing of it is left.
    """
    part = path.with_suffix(path.suffix + ".part")
    try:
        buffer = io.BytesIO()  # written by torch, a full disk would look like a fault inside torch
        torch.save(value, buffer)
        part.write_bytes(buffer.getbuffer())
        os.replace(part, path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a full disk does not say where
        raise


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """What :func:`save_atomically` wrote, with its tensors on ``device``; a file cannot run code here.

    Raises:
        CheckpointError: no such file, or it is damaged.
    """
    try:
        stored: Any = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError, LookupError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    if not isinstance(stored, dict):
        raise CheckpointError(f"{path}: holds a {type(stored).__name__}, no checkpoint")
    return stored


def check_identity(stored: Mapping[str, Any], identity: Mapping[str, Any], path: Path) -> None:
    """Refuse a checkpoint of another run: its ``identity`` is the JSON text of what must agree.

    Raises:
        CheckpointError: it differs.
        KeyError: the checkpoint has none.
    """
    if json.loads(stored["identity"]) != json.loads(json.dumps(identity)):
        raise CheckpointError(
            f"{path}: belongs to another recipe ({stored['identity']}); name another folder for this run"
        )


def files_sha256(paths: Sequence[str]) -> list[str]:
    """The SHA-256 of each file: how a run knows again what it has begun with, such as its teachers."""
    return [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths]


def is_finished(folder: Path, identity: Mapping[str, Any], num_steps: int) -> bool:
    """Whether the run in ``folder`` has made ``num_steps`` steps and left its ``model.pt``.

    Raises:
        CheckpointError: its checkpoint is damaged, or belongs to another recipe.
    """
    path = folder / "checkpoint.pt"
    if not path.is_file() or not (folder / "model.pt").is_file():
        return False
    stored = load(path)
    try:
        check_identity(stored, identity, path)
        return int(stored["step"]) >= num_steps
    except KeyError as error:
        raise CheckpointError(f"{path}: holds no {error}") from error


def rewind_log(path: Path, step: int) -> list[dict[str, float]]:
    """The rows of a run's ``log.jsonl`` from before ``step``; the others, which are made again, leave it."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    rows = [json.loads(line) for line in lines if line.endswith("\n")]  # a kill may have torn the last one
    kept = [row for row in rows if row["step"] < step]
    part = path.with_suffix(".part")
    part.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    os.replace(part, path)  # a kill in the middle would cost the curves
    return kept
