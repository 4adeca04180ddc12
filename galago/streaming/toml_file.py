"""TOML that people write, read strictly: every complaint names the file, the line and the key.

document = read_toml("turn.toml")
document.only("schema_version", "reply")
for reply in document.tables("reply"):
    reply.texts("say")
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from galago.runtime.errors import InvalidArgumentError, NotFoundError
from galago.runtime.manifest_keys import is_number, shown

# A header of a table, or a key, at the start of a line; in a text of many lines it may only look like one.
_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]")
_KEY = re.compile(r"^\s*(\"[^\"]*\"|'[^']*'|[\w-]+)\s*[=.]")


class Table:
    """One table of a document, and the lines that it stands on.

    Args:
        path: of the file, for messages.
        values: key -> value.
        line: of its header; 0: not known.
        key_lines: key -> its line.
        children: the tables below, by key, in order.
    """

    def __init__(
        self,
        path: str,
        values: Mapping[str, Any],
        *,
        line: int = 0,
        key_lines: Mapping[str, int] | None = None,
        children: Mapping[str, list[tuple[int, dict[str, int]]]] | None = None,
    ) -> None:
        self.path = path
        self.values = values
        self.line = line
        self._key_lines = key_lines or {}
        self._children = children or {}

    @property
    def folder(self) -> Path:
        """Paths in the file are relative to it."""
        return Path(self.path).parent

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def wrong(self, key: str, complaint: str) -> InvalidArgumentError:
        """The exception that says what is wrong with a key, and where it stands."""
        line = self._key_lines.get(key, self.line)
        return InvalidArgumentError(f"{self.path}:{f'{line}:' if line else ''} {key}: {complaint}")

    def only(self, *known: str) -> None:
        """Refuse every other key."""
        for key in self.values:
            if key not in known:
                raise self.wrong(key, f"is not known here; known: {', '.join(known)}")

    def schema(self, version: int) -> None:
        """Refuse a document of another version than this galago reads."""
        found = self.values.get("schema_version")
        if found != version:
            raise self.wrong("schema_version", f"expected {version}, found {shown(found)}")

    def text(self, key: str, default: str | None = None) -> str:
        """A string; `default` None: it must be there."""
        value = self._value(key, default)
        if not isinstance(value, str):
            raise self.wrong(key, f"expected a string, found {shown(value)}")
        return value

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """A string, or a list of strings that is not empty."""
        value = self._value(key, default)
        listed = (value,) if isinstance(value, str) else value
        if not isinstance(listed, list | tuple) or not all(isinstance(item, str) for item in listed):
            raise self.wrong(key, f"expected a string or a list of strings, found {shown(value)}")
        if not listed and key in self.values:
            raise self.wrong(key, "expected at least one string")
        return tuple(listed)

    def choice(self, key: str, known: Collection[str], default: str | None = None) -> str:
        """One of some words."""
        value = self.text(key, default)
        if value not in known:
            raise self.wrong(key, f"expected one of {', '.join(known)}, found {value!r}")
        return value

    def number(self, key: str, default: float, *, minimum: float, maximum: float) -> float:
        """A number in a range, both ends included."""
        value = self._value(key, default)
        if not is_number(value) or not minimum <= value <= maximum:
            raise self.wrong(key, f"expected a number from {minimum:g} to {maximum:g}, found {shown(value)}")
        return float(value)

    def integer(self, key: str, default: int | None, *, minimum: int = 1) -> int | None:
        """A whole number, or the default where it is not there."""
        value = self.values.get(key, default)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise self.wrong(key, f"expected a whole number of at least {minimum}, found {shown(value)}")
        return value

    def boolean(self, key: str, default: bool) -> bool:
        value = self._value(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, f"expected true or false, found {shown(value)}")
        return value

    def file(self, key: str) -> Path:
        """The path of a file that is there, relative to the folder of the document."""
        path = self.folder / self.text(key)
        if not path.is_file():
            raise self.wrong(key, f"there is no file {path}")
        return path

    def mapping(self, key: str) -> Mapping[str, Any]:
        """A table whose keys are the writer's own; empty where it is not there."""
        value = self._value(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, f"expected a table, found {shown(value)}")
        return value

    def table(self, key: str) -> Table:
        """A table below this one; empty where it is not there."""
        self.mapping(key)
        return self._below(key, [self.mapping(key)])[0]

    def tables(self, key: str) -> list[Table]:
        """The tables of `[[key]]`, in order; none where there is none."""
        value = self._value(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.wrong(key, f"expected tables, [[{key}]], found {shown(value)}")
        return self._below(key, value)

    def _below(self, key: str, listed: list[Any]) -> list[Table]:
        places = self._children.get(key, [])
        if len(places) != len(listed):  # written inline, or looked alike: lines are not known
            places = [(self._key_lines.get(key, 0), {}) for _ in listed]
        return [
            Table(self.path, values, line=line, key_lines=key_lines)
            for values, (line, key_lines) in zip(listed, places, strict=True)
        ]

    def _value(self, key: str, default: Any) -> Any:
        value = self.values.get(key, default)
        if value is None:
            raise self.wrong(key, "is missing")
        return value


def read_toml(path: str | os.PathLike[str]) -> Table:
    """The whole document.

    Raises:
        NotFoundError: it cannot be read.
        InvalidArgumentError: it is no UTF-8 or no TOML; the message names the line.
        UnsupportedError: Python 3.10 without tomli.
    """
    name = os.fspath(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise NotFoundError(f"{name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"{name}: is not UTF-8 (byte {error.start})") from error
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        from galago.streaming.extras import import_extra

        tomllib = import_extra("tomli", extra="cli", purpose="reading TOML before Python 3.11")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidArgumentError(f"{name}: {error}") from error
    key_lines, children = _lines(text)
    return Table(name, values, key_lines=key_lines, children=children)


def _lines(text: str) -> tuple[dict[str, int], dict[str, list[tuple[int, dict[str, int]]]]]:
    """Where keys and tables of the top stand: (key -> line, table -> [(line, key -> line)])."""
    top: dict[str, int] = {}
    children: dict[str, list[tuple[int, dict[str, int]]]] = {}
    keys = top
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            name, _, below = header[2].partition(".")
            if below:  # [a.b]: its keys are not those of [a], and b is a key of it
                places = children.setdefault(name.strip("\"' "), [(number, {})])
                places[-1][1].setdefault(below.strip("\"' "), number)
                keys = {}
                continue
            keys = {}
            children.setdefault(name.strip("\"' "), []).append((number, keys))
        elif key := _KEY.match(line):
            keys.setdefault(key[1].strip("\"'"), number)
    return top, children
