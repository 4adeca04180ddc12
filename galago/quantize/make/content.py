"""What files and values are, as SHA-256: what decides whether a step has to be done again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from galago.models.training.sources import MANIFEST, CorpusError

__all__ = ["Contents", "digest_of_values", "files_of_source"]

_BLOCK_BYTES = 1 << 20


def digest_of_values(values: Any) -> str:
    """SHA-256 of a JSON document; the order of its keys does not count."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


class Contents:
    """SHA-256 of files, read again only where size, times or place of a file have changed.

    A corpus has gigabytes, and is asked for whenever somebody runs ``galago make``.
    """

    def __init__(self, remembered: dict[str, list[Any]] | None = None) -> None:
        """``remembered`` is what :attr:`remembered` was; anything odd in it is forgotten."""
        self._known = dict(remembered or {})
        self._used: set[str] = set()

    @property
    def remembered(self) -> dict[str, list[Any]]:
        """For the state file: what was asked for since this object was made, by path."""
        return {name: self._known[name] for name in sorted(self._used)}

    def of_file(self, path: Path) -> str:
        """SHA-256 of a file's bytes.

        Raises:
            OSError: it cannot be read.
        """
        stat = path.stat()
        # The time of the last change of the inode cannot be set by a program: a copy that keeps the old time
        # of modification is noticed too.
        seen = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        name = str(path.resolve())
        self._used.add(name)
        known = self._known.get(name)
        if isinstance(known, list) and len(known) == 5 and known[:4] == seen:
            return str(known[4])
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
        self._known[name] = [*seen, digest.hexdigest()]
        return digest.hexdigest()

    def of_path(self, path: Path) -> str:
        """SHA-256 of a file, or of the names and contents of everything in a folder.

        Raises:
            OSError: nothing is there, or it cannot be read.
        """
        return self.of_file(path) if path.is_file() else self.of_files(path, _below(path))

    def of_files(self, root: Path, files: Iterable[Path]) -> str:
        """SHA-256 of files together, with their names relative to ``root``. Raises OSError."""
        found = {path.relative_to(root).as_posix(): self.of_file(path) for path in files}
        return digest_of_values(found)

    def of_source(self, path: Path) -> str:
        """SHA-256 of a corpus or album: of a tar, of a folder, of a manifest with the files that it names.

        Raises:
            CorpusError: a manifest cannot be read.
            OSError: something is missing.
        """
        if path.suffix in (".jsonl", ".json") and path.is_file():
            return self.of_files(path.parent, files_of_source(path))
        return self.of_path(path)


def _below(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: neither a file nor a folder")
    return sorted(path for path in folder.rglob("*") if path.is_file())


def files_of_source(path: Path) -> list[Path]:
    """The files that a corpus or album consists of: itself, what is in it, or what its manifest names.

    Raises:
        CorpusError: a line of the manifest names no file.
        OSError: nothing is there.
    """
    if path.is_dir():
        return _below(path)
    if path.suffix not in (".jsonl", ".json"):
        return [path]
    return sorted({path, *(path.parent / name for name in _named(path))})


def _named(path: Path) -> Iterator[str]:
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            name = row.get("file", row.get("audio_filepath"))
        except (json.JSONDecodeError, AttributeError) as error:
            raise CorpusError(f"{path}:{number}: no line of a {MANIFEST}: {error}") from error
        if not isinstance(name, str):
            raise CorpusError(f"{path}:{number}: a line needs 'file' (or 'audio_filepath'), a text")
        if not (path.parent / name).is_file():
            raise CorpusError(f"{path}:{number}: no file {path.parent / name}")
        yield name
