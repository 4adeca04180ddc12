"""What a training recipe needs to be trained: its data, and the runs that it goes on from.

Nothing here knows the tables of a role. Paths of data stand under the keys ``path``, ``sentences`` and
``dictionary``; what begins with ``runs/`` is a run of the same output folder, wherever it stands, and under
``initial_weights``, ``initial_decoder``, ``teachers``, ``weights`` and ``features_of`` nothing else does.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galago.models.training.command import role_of
from galago.models.training.toml_tables import SCHEMA_VERSION, RecipeError, read_toml

__all__ = ["RUNS", "Source", "Training", "read_training"]

RUNS = "runs"  # the folder of runs in the output folder, where training recipes look for other runs
_DATA_KEYS = ("path", "sentences", "dictionary")
_WEIGHT_KEYS = ("initial_weights", "initial_decoder", "teachers", "weights", "features_of")

#: Role -> module and function that reads its recipes, with all that may be wrong in them.
_READERS = {
    "ear": ("galago.models.training.ear.recipe", "load_recipe"),
    "eye": ("galago.models.training.eye.recipe", "load_eye_recipe"),
    "voice": ("galago.models.training.voice.recipe", "load_recipe"),
    "g2p": ("galago.models.training.g2p", "load_g2p_recipe"),
    "pretraining": ("galago.models.training.pretrain.recipe", "load_pretraining_recipe"),
}


@dataclass(frozen=True)
class Source:
    """A corpus that is decoded into the cache before anything is trained."""

    name: str
    path: Path
    speech: bool
    where: str  # of messages: the recipe and its key


@dataclass(frozen=True)
class Training:
    """A training recipe as far as ``galago make`` looks into it."""

    path: Path
    name: str
    role: str
    document: dict[str, Any]
    data: tuple[tuple[str, Path], ...]  # (recipe and key, file or folder) of all that it reads
    runs: tuple[tuple[str, str], ...]  # (recipe and key, name of a run) of all that it goes on from

    @property
    def sources(self) -> Iterator[Source]:
        """The corpora of an ear, a voice or a pre-training; albums are read where they are."""
        if self.role not in ("ear", "voice", "pretraining"):
            return
        paths = dict(self.data)
        for key, table in _tables(self.document, self.path.name):
            if "path" in table:
                where = f"{key}.path"
                name = table.get("name") or corpus_name(paths[where])
                yield Source(name, paths[where], bool(table.get("speech", True)), where)

    @property
    def models(self) -> tuple[str, ...]:
        """What a finished run leaves, relative to its folder."""
        if self.role == "voice":
            networks = self.document.get("networks", ["acoustic", "vocoder"])
            return tuple(f"{network}/model.pt" for network in networks)
        return ("model.pt", "held_out.json") if self.role == "g2p" else ("model.pt",)

    @property
    def num_steps(self) -> int | None:
        """Of all its networks together, where the recipe says so."""
        tables = [self.document, *(v for v in self.document.values() if isinstance(v, dict))]
        found = [t["schedule"]["num_steps"] for t in tables if "num_steps" in t.get("schedule", {})]
        return sum(found) or None


def corpus_name(path: Path) -> str:
    """What a decoded corpus is called; see ``import_corpus``."""
    return path.resolve().parent.name if path.stem == "manifest" else path.stem


def read_training(path: Path, data_root: Path) -> Training:
    """Read a training recipe, and check that its data is there.

    Raises:
        RecipeError: it is no recipe, something in it is wrong, or a file that it names is missing; the
            message says at which key.
    """
    role = role_of(path)
    module, function = _READERS[role]
    reader: Callable[[Path], Any] = getattr(importlib.import_module(module), function)
    name = str(reader(path).name)
    document = read_toml(path, SCHEMA_VERSION)
    data: list[tuple[str, Path]] = []
    runs: list[tuple[str, str]] = []
    for where, key, text in _texts(document, path.name):
        if text.startswith(f"{RUNS}/"):
            runs.append((where, Path(text).parts[1]))
        elif key in _WEIGHT_KEYS:
            raise RecipeError(f"{where}: must be {RUNS}/NAME/model.pt of a stage NAME, got {text!r}")
        elif key in _DATA_KEYS:
            found = data_root / text.partition(":")[0]
            if not found.exists():
                raise RecipeError(f"{where}: no {found}")
            data.append((where, found))
    return Training(path, name, role, document, tuple(data), tuple(runs))


def _texts(value: Any, where: str, key: str = "") -> Iterator[tuple[str, str, str]]:
    """(place, key, text) of all texts in a document."""
    if isinstance(value, str):
        yield where, key, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _texts(item, f"{where}.{name}", name)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts(item, f"{where}[{number}]", key)


def _tables(value: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, table) of all tables in a document."""
    if isinstance(value, dict):
        yield where, value
        for name, item in value.items():
            yield from _tables(item, f"{where}.{name}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _tables(item, f"{where}[{number}]")
