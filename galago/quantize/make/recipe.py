"""The make recipe: which recipes are trained and packed, what of, and what must be reached."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from galago.models.training.toml_tables import NotEmpty, RecipeError, build, read_toml

__all__ = ["MAKE_SCHEMA_VERSION", "MakeRecipe", "MoreCorpus", "PackEntry", "TrainEntry", "load_make_recipe"]

MAKE_SCHEMA_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class MoreCorpus:
    """Recordings that nothing learns from: what an ear or a voice is only measured on."""

    path: str  # below the data root: a tar, a manifest or a folder
    name: str | None = None  # as training recipes do: the stem of the path where nothing is said
    speech: bool = True


@dataclass(frozen=True)
class TrainEntry:
    """A stage: a training recipe, or weights that are there already, a published checkpoint for instance.

    A training recipe that names ``runs/NAME/model.pt``, as initial weights or as a teacher, goes on from
    the stage of that name.
    """

    recipe: str | None = None  # relative to this recipe
    weights: str | None = None  # a model.pt, relative to this recipe
    name: str | None = None  # of weights; a recipe has its own
    accept: tuple[str, ...] = ()  # what it must reach before anything goes on from it
    measure: bool = True  # in float, as its role is; without it only what its log says is known

    def __post_init__(self) -> None:
        if (self.recipe is None) == (self.weights is None):
            raise RecipeError("a stage needs either a recipe or weights")
        if (self.weights is None) != (self.name is None):
            raise RecipeError("weights need a name, and a recipe has its own")


@dataclass(frozen=True)
class PackEntry:
    """A role of the bundle: the stage that it comes from, and how it is quantized and packed."""

    run: str  # the name of a stage
    recipe: str  # a packing recipe, relative to this recipe
    g2p: str | None = None  # the stage of letters to phones, for a voice that packs one
    second_pass: str | None = None  # the stage of an ear's second pass, where that is another network
    accept: tuple[str, ...] = ()


@dataclass(frozen=True)
class MakeRecipe:
    """Everything that decides a bundle, by the files that it names."""

    name: str
    train: Annotated[tuple[TrainEntry, ...], NotEmpty()]
    pack: Annotated[tuple[PackEntry, ...], NotEmpty()]
    bundle_name: str | None = None  # None, as the next two: what the first packing recipe says
    version: str | None = None
    description: str | None = None
    corpora: tuple[MoreCorpus, ...] = ()
    accept: tuple[str, ...] = ()  # of the bundle as a whole
    # Times of this machine in the bundle, and int8 refused where it is measured to be slower. The same recipe
    # then no longer gives the same bytes.
    measure_time: bool = False
    schema_version: int = MAKE_SCHEMA_VERSION

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise RecipeError(f"name: {self.name!r} would be no name of a folder")


def load_make_recipe(path: Path) -> MakeRecipe:
    """Read a make recipe.

    Raises:
        RecipeError: no such file, no UTF-8, no TOML, an unknown or missing key, a wrong type or value,
            another schema version.
    """
    recipe: MakeRecipe = build(MakeRecipe, read_toml(path, MAKE_SCHEMA_VERSION), path.name)
    return recipe
