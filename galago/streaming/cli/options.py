"""Options that several commands share, so that they are called and explained alike."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from galago.runtime.bundle import Bundle
from galago.runtime.bundle_folder import find_bundle
from galago.runtime.manifest import read_manifest

BundleName = Annotated[
    str, typer.Option("--bundle", "-b", help="A bundle's directory, or the name of one that ships.")
]
BundleArgument = Annotated[str, typer.Argument(help="A bundle's directory, or the name of one that ships.")]
ChunkMs = Annotated[
    int | None, typer.Option("--chunk-ms", min=1, help="New audio of one step; default: the bundle's first.")
]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Threads of the engine.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, for programs.")]


def open_bundle(
    name: str,
    *,
    chunk_ms: int | None = None,
    num_threads: int | None = None,
    roles: Iterable[str] | None = None,
) -> Bundle:
    """Open the bundle that the options mean; of `roles`, if given, those that it has, and no others.

    A bundle that has none of them is opened whole: who needs one says that it is not there.
    """
    folder = find_bundle(name)
    if roles is not None:
        manifest = read_manifest(folder)
        roles = [role for role in roles if getattr(manifest, role) is not None] or None
    return Bundle(folder, chunk_ms=chunk_ms, num_threads=num_threads, roles=roles)


def human_path(path: Path) -> str:
    """A path as short as it can be said: relative where it lies below the working directory."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
