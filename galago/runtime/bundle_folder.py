"""The folder of a bundle: finding it, checking its files, writing its manifest.

The native core checks every file again when it opens a bundle; what stands here serves the packer and the
tools.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galago.runtime.errors import CorruptError, NotFoundError
from galago.runtime.manifest import MANIFEST_NAME, SCHEMA_VERSION, Manifest, parse_manifest

__all__ = ["check_files", "find_bundle", "write_manifest"]

_BUNDLES = Path(__file__).resolve().parent.parent / "bundles"
_HASH_BLOCK_BYTES = 1 << 20


def find_bundle(name: str | os.PathLike[str] = "default") -> Path:
    """The folder of a bundle: a path, or the name of one that ships with galago ("default").

    A name without a separator that is a folder here is taken as that folder, unless it ships.

    Raises:
        NotFoundError: neither.
    """
    shipped = _BUNDLES / name
    if shipped.parent == _BUNDLES and (shipped / MANIFEST_NAME).is_file():
        return shipped
    folder = Path(name)
    if folder.is_dir():
        return folder
    names = sorted(entry.parent.name for entry in _BUNDLES.glob(f"*/{MANIFEST_NAME}"))
    ships = f"these ship with galago: {', '.join(names)}" if names else "none ships with this galago"
    raise NotFoundError(f"{os.fspath(name)}: no such bundle; {ships}")


def check_files(folder: Path, manifest: Manifest) -> None:
    """Compare every file of a bundle with its manifest, sizes first.

    Raises:
        CorruptError: a file is missing, differs, or stands there unlisted.
    """
    for name, entry in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise CorruptError(f"{path}: listed in {MANIFEST_NAME}, but not there")
        size_bytes = path.stat().st_size
        if size_bytes != entry.size_bytes:
            raise CorruptError(f"{path}: {size_bytes} bytes, {entry.size_bytes} in {MANIFEST_NAME}")
        if _sha256(path) != entry.sha256:
            raise CorruptError(f"{path}: sha256 differs from {MANIFEST_NAME}")
    for path in _files_of(folder):
        name = path.relative_to(folder).as_posix()
        if name not in manifest.files:
            raise CorruptError(f"{path}: not listed in {MANIFEST_NAME}")


def write_manifest(folder: Path, document: Mapping[str, Any]) -> Manifest:
    """Write `folder/manifest.json`, the packer's last act.

    Args:
        folder: holds every other file of the bundle already.
        document: the manifest without "files" and "schema_version", which are filled in here.

    Returns:
        the manifest as a reader sees it.

    Raises:
        CorruptError: the document would not pass the reader; nothing is written.
    """
    files = {
        path.relative_to(folder).as_posix(): {"sha256": _sha256(path), "size_bytes": path.stat().st_size}
        for path in _files_of(folder)
    }
    complete = {**document, "schema_version": SCHEMA_VERSION, "files": files}
    path = folder / MANIFEST_NAME
    manifest = parse_manifest(complete, str(path))
    # Written beside and moved, so that a bundle never holds half a manifest.
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(complete, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)
    return manifest


def _files_of(folder: Path) -> list[Path]:
    # What a file manager or an editor leaves behind (.DS_Store) is no part of a bundle.
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST_NAME and not path.name.startswith(".")
    )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
