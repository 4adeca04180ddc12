"""The roles that can be packed: which packer a run needs, which recipe a packer reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galago.models.training.checkpoints import CheckpointError, load
from galago.models.training.toml_tables import RecipeError, build, read_toml
from galago.quantize.ear.network import IMPORTED_EARS
from galago.quantize.ear.pack import EarPacker
from galago.quantize.ear.recipe import EarPackRecipe
from galago.quantize.eye.pack import EyePacker
from galago.quantize.eye.recipe import EyePackRecipe
from galago.quantize.packer import Job, Packer
from galago.quantize.recipe import PACK_SCHEMA_VERSION, PackRecipe
from galago.quantize.voice.pack import VoicePacker
from galago.quantize.voice.recipe import VoicePackRecipe

__all__ = ["ROLES", "Role", "load_pack_recipe", "role_of_checkpoint"]


@dataclass(frozen=True)
class Role:
    """What is known about a role before it is packed."""

    recipe: type[PackRecipe]
    packer: Callable[[Any, Job], Packer]  # takes the role's kind of recipe


ROLES: dict[str, Role] = {
    "ear": Role(EarPackRecipe, EarPacker),
    "eye": Role(EyePackRecipe, EyePacker),
    "voice": Role(VoicePackRecipe, VoicePacker),
}


def load_pack_recipe(path: Path) -> PackRecipe:
    """Read a packing recipe; its key ``role`` says of what, an ear where it says nothing.

    Raises:
        RecipeError: no such file, no UTF-8, no TOML, an unknown role, an unknown or missing key, a wrong
            type or value, another schema version.
    """
    document = read_toml(path, PACK_SCHEMA_VERSION)
    role = document.get("role", "ear")
    if role not in tuple(ROLES):  # a role that is a list is no key either
        raise RecipeError(f"{path.name}.role: must be one of {', '.join(ROLES)}, got {role!r}")
    recipe: PackRecipe = build(ROLES[role].recipe, document, path.name)
    return recipe


def role_of_checkpoint(path: Path) -> str:
    """The role of a run's ``model.pt``; where it says nothing, a voice if it names its network, else an ear.

    An imported network whose head is an ear's is an ear.

    Raises:
        CheckpointError: the file is damaged, or holds what no packer packs.
    """
    stored = load(path)
    role = stored.get("role", "voice" if "network" in stored else "ear")
    if role in IMPORTED_EARS:
        return "ear"
    if role not in tuple(ROLES):
        raise CheckpointError(f"{path}: holds a network of role {role!r}; packed are {', '.join(ROLES)}")
    return str(role)
