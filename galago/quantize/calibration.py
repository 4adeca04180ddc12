"""Calibration sets: the inputs of single runs of a graph, as they were, with their origin and their hash."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "CalibrationError", "CalibrationSet"]

Array = NDArray[np.float32]


class CalibrationError(ValueError):
    """A calibration set cannot be made or read; the message names the file or the corpus."""


@dataclass(frozen=True)
class CalibrationSet:
    """Inputs of single runs by the names that the graph gives them, and where they are from."""

    name: str
    samples: tuple[dict[str, Array], ...] = field(repr=False)
    origin: dict[str, Any]

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[dict[str, Array]]:
        return iter(self.samples)

    @property
    def sha256(self) -> str:
        """Of every array with its name: two reports that name the same hash saw the same data."""
        digest = hashlib.sha256()
        for sample in self.samples:
            for name in sorted(sample):
                digest.update(name.encode())
                digest.update(np.ascontiguousarray(sample[name]).tobytes())
        return digest.hexdigest()

    def check(self, sha256: str | None) -> None:
        """Raises CalibrationError where a recipe names another set by its hash."""
        if sha256 is not None and sha256 != self.sha256:
            raise CalibrationError(f"{self.name}: the set is {self.sha256}, and the recipe wants {sha256}")

    def describe(self, num_held_out: int) -> dict[str, Any]:
        """The set as reports and bundles name it.

        Args:
            num_held_out: samples of the same recording that no range has seen.
        """
        return {
            "name": self.name,
            "sha256": self.sha256,
            "num_samples": len(self),
            "num_held_out": num_held_out,
        }

    def split(self, num_held_out: int) -> tuple[CalibrationSet, CalibrationSet]:
        """(for calibration, held out): every k-th sample is held out: no range has seen it."""
        if not 0 < num_held_out < len(self):
            raise CalibrationError(f"{self.name}: cannot hold {num_held_out} of {len(self)} samples out")
        held = {i * len(self) // num_held_out for i in range(num_held_out)}
        kept = tuple(sample for i, sample in enumerate(self.samples) if i not in held)
        out = tuple(sample for i, sample in enumerate(self.samples) if i in held)
        return CalibrationSet(self.name, kept, self.origin), CalibrationSet(self.name, out, self.origin)

    def save(self, path: Path) -> None:
        """One ``.npz`` with an array a name (all samples stacked) and the origin as JSON."""
        arrays = {name: np.stack([sample[name] for sample in self.samples]) for name in self.samples[0]}
        note = json.dumps({"name": self.name, "sha256": self.sha256, "origin": self.origin})
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez(file, __note__=np.array(note), **arrays)  # type: ignore[arg-type]  # numpy's stub is narrow

    @classmethod
    def load(cls, path: Path) -> CalibrationSet:
        """Raises CalibrationError for anything but a set that :meth:`save` wrote, unchanged since."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                note = json.loads(str(stored["__note__"]))
                arrays = {name: stored[name] for name in stored.files if name != "__note__"}
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise CalibrationError(f"{path}: no calibration set: {error}") from error
        count = min(map(len, arrays.values()), default=0)
        samples = tuple({name: values[i] for name, values in arrays.items()} for i in range(count))
        loaded = cls(note["name"], samples, note["origin"])
        if loaded.sha256 != note["sha256"]:
            raise CalibrationError(f"{path}: sha256 differs from the one written with it")
        return loaded
