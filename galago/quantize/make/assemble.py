"""Bundles of single roles into one: their files side by side, their manifests and cards together."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from galago.models.training.toml_tables import RecipeError
from galago.quantize.model_card import join_parts, split_parts
from galago.quantize.pack import CARD, MANIFEST, joined_header, replace_folder
from galago.runtime.bundle_folder import check_files, write_manifest
from galago.runtime.manifest import read_manifest

__all__ = ["assemble"]


def assemble(bundles: Sequence[Path], output: Path, *, header: Mapping[str, str] | None = None) -> None:
    """Put the roles of ``bundles`` into one, which then stands in the place of ``output``.

    Packing all roles at once gives the same bytes; but here a role that has not changed is not packed again.

    Args:
        bundles: each with other roles. Name and version are those of the first.
        header: "name", "version" or "description" where the bundles' are not wanted.

    Raises:
        RecipeError: a role stands in two, or files of one name differ.
        GalagoError: one of them is no whole bundle.
        OSError: nothing can be written.
    """
    partial = output.with_name(output.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    roles: dict[str, Any] = {}
    golden: list[Any] = []
    cards: dict[str, str] = {}
    documents = []
    for bundle in bundles:
        manifest = read_manifest(bundle)
        check_files(bundle, manifest)
        document = json.loads((bundle / MANIFEST).read_text(encoding="utf-8"))
        for role in document["roles"]:
            if role in roles:
                raise RecipeError(f"{bundle}: a second {role}; a bundle has one")
        for name in manifest.files:
            if name != CARD:
                _copy(bundle, partial, name)
        roles |= document["roles"]
        golden += document.get("golden", [])
        card = bundle / CARD
        if card.is_file():
            cards |= split_parts(card.read_text(encoding="utf-8"), list(document["roles"]))
        documents.append(document)
    (partial / CARD).write_text(join_parts(cards, num_roles=len(roles)), encoding="utf-8")
    head = {**joined_header(documents), **(header or {})}
    write_manifest(partial, {**head, "roles": roles, "golden": golden})
    check_files(partial, read_manifest(partial))
    replace_folder(partial, output)


def _copy(bundle: Path, partial: Path, name: str) -> None:
    source, target = bundle / name, partial / name
    if target.is_file() and target.read_bytes() != source.read_bytes():
        raise RecipeError(f"{source}: another role has a file of this name that differs")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
