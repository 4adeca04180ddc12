"""A folder as Hugging Face's libraries save a model: weights, and JSON files that say what they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from galago.models.published.safetensors_file import read_safetensors
from galago.models.training.checkpoints import CheckpointError

__all__ = ["PublishedFolder", "Settings", "read_folder"]

_Value = TypeVar("_Value", bound=int | float | str | bool | list[Any] | dict[str, Any])


class Settings:
    """A JSON object whose keys are asked for by name and type; a missing or odd one is refused by name.

    Args:
        path: the file, as messages name it.
    """

    def __init__(self, path: Path, values: Mapping[str, Any]) -> None:
        self.path, self.values = path, values

    def get(self, key: str, kind: type[_Value], default: _Value | None = None) -> _Value:
        """The value of a key; without a default it must be there.

        Raises:
            CheckpointError: it is missing, null, or of another type.
        """
        value = self.values.get(key, default)
        if kind is float and type(value) is int:
            value = float(value)
        # A bool is an int to Python, and 1 is no true to us.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise CheckpointError(f"{self.path}: {key} must be {kind.__name__}, got {value!r}")
        return value

    def integers(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers.

        Raises:
            CheckpointError: it is something else.
        """
        values: list[Any] = self.get(key, list)
        if any(type(value) is not int for value in values):
            raise CheckpointError(f"{self.path}: {key} must be whole numbers, got {values!r}")
        return tuple(values)

    def only(self, key: str, *allowed: Any) -> None:
        """Refuse what galago's network cannot be; a missing key is the first of ``allowed``.

        Raises:
            CheckpointError: another value.
        """
        value = self.values.get(key, allowed[0])
        if value not in allowed:
            known = " or ".join(json.dumps(one) for one in allowed)
            raise CheckpointError(f"{self.path}: {key} is {json.dumps(value)}; galago knows {known}")


@dataclass(frozen=True)
class PublishedFolder:
    """What :func:`read_folder` found; JSON files other than ``config.json`` are read when asked for."""

    path: Path
    config: Settings
    tensors: Mapping[str, Tensor]
    sha256: Mapping[str, str]  # of config and weights, by file name

    @property
    def architecture(self) -> str:
        """The class that saved it.

        Raises:
            CheckpointError: ``config.json`` names none, or several.
        """
        names: list[Any] = self.config.get("architectures", list)
        if len(names) != 1 or not isinstance(names[0], str):
            raise CheckpointError(f"{self.config.path}: architectures must be one name, got {names!r}")
        return names[0]

    def settings(self, name: str) -> Settings | None:
        """Another JSON file of the folder; None where there is none.

        Raises:
            CheckpointError: it is damaged.
        """
        path = self.path / name
        return Settings(path, _read_json(path)) if path.is_file() else None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: holds a {type(value).__name__}, no JSON object")
    return value


def _weight_files(folder: Path) -> list[Path]:
    """``model.safetensors``, or the parts that its index names."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return [folder / "model.safetensors"]
    parts: dict[str, Any] = Settings(index, _read_json(index)).get("weight_map", dict)
    names = sorted({str(part) for part in parts.values()})
    for name in names:
        if Path(name).name != name:
            raise CheckpointError(f"{index}: {name!r} is no file of this folder")
    return [folder / name for name in names]


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def read_folder(path: Path) -> PublishedFolder:
    """Read ``config.json`` and ``model.safetensors`` (or its parts).

    Raises:
        CheckpointError: a file is missing or damaged, or two parts hold the same tensor.
    """
    config = Settings(path / "config.json", _read_json(path / "config.json"))
    tensors: dict[str, Tensor] = {}
    files = _weight_files(path)
    for file in files:
        for name, tensor in read_safetensors(file).items():
            if name in tensors:
                raise CheckpointError(f"{file}: {name} stands in another part, too")
            tensors[name] = tensor
    return PublishedFolder(path, config, tensors, {f.name: _sha256(f) for f in [config.path, *files]})
