"""What was made of what: a JSON file in the output folder, written aside and renamed after every step."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from galago.quantize.make.content import Contents

__all__ = ["Done", "State"]

_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Done:
    """A step that was done: what it was made of, what it left, how long it took."""

    key: str  # SHA-256 of all that decides
    outputs: dict[str, str]  # path relative to the output folder: SHA-256
    seconds: float


@dataclass
class State:
    """The steps that are done in an output folder, and the hashes of files that were read there."""

    path: Path
    steps: dict[str, Done] = field(default_factory=dict)
    contents: Contents = field(default_factory=Contents)

    @classmethod
    def load(cls, path: Path) -> State:
        """What :meth:`save` wrote. Without a file, or with one of another version, nothing is done.

        A state that cannot be read costs time, never a wrong bundle: what it would have spared is done again.
        """
        try:
            stored: Any = json.loads(path.read_text(encoding="utf-8"))
            if stored["schema_version"] != _SCHEMA_VERSION:
                return cls(path)
            steps = {name: Done(**row) for name, row in stored["steps"].items()}
            return cls(path, steps, Contents(stored["files"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls(path)

    def save(self) -> None:
        """Write beside the file and rename: a kill or a full disk leaves the old one whole.

        Raises:
            OSError: it cannot be written.
        """
        document = {
            "schema_version": _SCHEMA_VERSION,
            "steps": {name: asdict(done) for name, done in self.steps.items()},
            "files": self.contents.remembered,
        }
        part = self.path.with_suffix(".part")
        try:
            part.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
            os.replace(part, self.path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def is_done(self, name: str, key: str, root: Path) -> bool:
        """Whether a step was done with this key and what it left is still there, unchanged."""
        done = self.steps.get(name)
        if done is None or done.key != key:
            return False
        try:
            return all(self.contents.of_path(root / path) == sha for path, sha in done.outputs.items())
        except OSError:
            return False
