"""What the packing recipes of all roles have: the bundle's name, what is shipped, what the card says."""

from __future__ import annotations

from dataclasses import dataclass

from galago.models.training.toml_tables import RecipeError

__all__ = ["PACK_SCHEMA_VERSION", "DataSource", "PackRecipe", "check_precision"]

PACK_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class DataSource:
    """One source of training data, as the card names it."""

    name: str
    what: str
    licence: str
    source: str


@dataclass(frozen=True, kw_only=True)
class PackRecipe:
    """The part of a packing recipe that all roles share.

    Where several roles go into one bundle, it has the name and version of the first.
    """

    role: str
    name: str
    version: str
    description: str  # a sentence; those of all roles follow each other in the manifest
    languages: tuple[str, ...] = ()
    license: str = "Apache-2.0"  # of the weights
    files: tuple[str, ...] = ()  # shipped as they are, relative to the recipe
    data: tuple[DataSource, ...] = ()
    limits: tuple[str, ...] = ()  # sentences for the card: what the network cannot do
    schema_version: int = PACK_SCHEMA_VERSION


def check_precision(inference_precision: str) -> None:
    """Raises RecipeError for a precision that no target has."""
    if inference_precision not in ("f32", "bf16"):
        raise RecipeError(f"inference_precision: {inference_precision!r} is neither 'f32' nor 'bf16'")
