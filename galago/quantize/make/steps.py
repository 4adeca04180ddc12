"""One step of a make: what decides it, what it leaves, and the process that does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from galago.quantize.make.acceptance import Criterion
from galago.quantize.make.content import Contents, digest_of_values

__all__ = ["Layout", "Step"]


@dataclass(frozen=True)
class Layout:
    """The output folder: everything that is made, and what it is made of that should not be made twice."""

    root: Path

    @property
    def state(self) -> Path:
        return self.root / "make.json"

    @property
    def corpora(self) -> Path:
        return self.root / "corpora"

    @property
    def packed(self) -> Path:
        """The bundle before it is judged."""
        return self.root / "packed"

    @property
    def bundle(self) -> Path:
        return self.root / "bundle"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    def run(self, name: str) -> Path:
        """The folder of a training run."""
        return self.root / "runs" / name

    def role(self, role: str) -> Path:
        """The bundle of one role alone."""
        return self.root / "roles" / role

    def work(self, role: str) -> Path:
        """Graphs in float, calibration sets and the report of a role."""
        return self.root / "roles" / f"{role}.work"

    def measured(self, name: str) -> Path:
        """What was measured of a stage or a role."""
        return self.root / "measured" / f"{name}.json"


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: what it is called in the state and on the screen, "train ear-en-us".
        subject: the stage or role that it works on.
        values: what decides its outputs beside files: settings, versions.
        files: files and folders that decide, made by other steps or given.
        sources: corpora and albums that decide.
        outputs: what it leaves, relative to the output folder.
        command: module and arguments of its process, which runs in the output folder.
        begin: called before the process starts, with the step's key: removes what another key has left.
        amount: how much of its kind of work it is, for the time that it will take.
        kind: steps of a kind take times in proportion to their amounts.
        criteria: what must be met when it is done; they are read from the last of ``outputs``.
    """

    name: str
    subject: str
    values: dict[str, Any]
    outputs: tuple[str, ...]
    command: tuple[str, ...]
    files: tuple[Path, ...] = ()
    sources: tuple[Path, ...] = ()
    begin: Callable[[str], None] = lambda key: None
    kind: str = ""
    amount: float | None = None
    criteria: tuple[Criterion, ...] = field(default=())

    def key(self, contents: Contents) -> str:
        """SHA-256 of all that decides. Paths do not: the output folder and the data may be moved.

        Raises:
            OSError: something that it is made of is not there.
        """
        return digest_of_values(
            {
                "name": self.name,
                "values": self.values,
                "outputs": self.outputs,
                "files": [contents.of_path(path) for path in self.files],
                "sources": [contents.of_source(path) for path in self.sources],
            }
        )

    def outputs_of(self, contents: Contents, root: Path) -> dict[str, str]:
        """SHA-256 of what it has left, by path. Raises FileNotFoundError where something is missing."""
        return {name: contents.of_path(root / name) for name in self.outputs}
