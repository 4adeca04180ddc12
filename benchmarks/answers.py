"""Answers of a slow peer, kept in a file so that no clip is decoded twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Answers:
    """Rows by their key, a JSON line each, written at once: a kill costs one clip.

    Args:
        path: the file; it need not exist.
        key: the field that tells one row from the others.

    Raises:
        SystemExit: ``path`` is a folder, cannot be read, or holds something else.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path, self._key = path, key
        self._rows: dict[str, dict[str, Any]] = {}
        if not path.exists():
            return
        if path.is_dir():
            raise SystemExit(f"{path}: expected a file of answers, found a folder: name a file in it")
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SystemExit(f"{path}: cannot be read: {error}") from error
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                self._rows[row[key]] = row
            except (ValueError, TypeError, KeyError) as error:
                raise SystemExit(f"{path}:{number}: no answer with a {key!r}") from error

    def get(self, key: str) -> dict[str, Any] | None:
        return self._rows.get(key)

    def add(self, row: dict[str, Any]) -> None:
        """Keep a row, in memory and in the file.

        Raises:
            OSError: it cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        self._rows[row[self._key]] = row
