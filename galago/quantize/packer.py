"""What a role brings to packing: a packer that writes its files into a bundle and tells what they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from galago.quantize.recipe import PackRecipe

__all__ = ["Job", "PackedRole", "Packer"]


@dataclass(frozen=True)
class Job:
    """Where the packer of one role finds what it needs, and where it works."""

    checkpoint: Path
    recipe_folder: Path  # what the recipe's paths are relative to
    work: Path  # graphs, calibration set and report are kept here
    corpora: Path | None = None  # folder of imported corpora
    albums: Path | None = None  # folder of albums
    g2p: Path | None = None  # run of a letter-to-phone network, or its model.pt
    second_pass: Path | None = None  # run of the network of an ear's second pass, or its model.pt
    measure_time: bool = True  # without it the same input gives the same bytes, every one of them
    say: Callable[[str], None] = lambda line: None  # told what is being done, a line at a time


@dataclass(frozen=True)
class PackedRole:
    """One role of a bundle whose files are written."""

    entry: dict[str, Any]  # of the manifest's "roles"
    golden: tuple[dict[str, Any], ...]  # entries of the manifest's "golden"
    card: str  # Markdown, with a heading of its own
    report: dict[str, Any]


class Packer(Protocol):
    """Packs one role. Making it checks what it needs, so that nothing is missed after minutes of work.

    Its constructor raises FileNotFoundError, RecipeError, CorpusError or CheckpointError.
    """

    @property
    def recipe(self) -> PackRecipe:
        """What the role's part of the bundle is called."""
        ...

    def pack(self, folder: Path) -> PackedRole:
        """Export, quantize and measure; write the role's files below ``folder``, the bundle in the making.

        Raises:
            ExportError, CalibrationError, QuantizationError: as their messages say.
        """
        ...
