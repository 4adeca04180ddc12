"""Reading JSON objects of a manifest: every complaint names the file, the key and what stood there."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Container, Mapping
from typing import Any

from galago.runtime.errors import CorruptError

__all__ = ["Keys", "is_number", "shown"]


class Keys:
    """One JSON object with its place in the document, so that every complaint can name it."""

    def __init__(self, path: str, place: str, document: Mapping[str, Any]) -> None:
        self.path = path
        self.place = place
        self.document = document

    def names(self) -> list[str]:
        return list(self.document)

    def at(self, key: str) -> str:
        return f"{self.place}.{key}" if self.place else key

    def wrong(self, key: str, expected: str, found: object) -> CorruptError:
        return CorruptError(f"{self.path}: {self.at(key)}: expected {expected}, found {shown(found)}")

    def _get(self, key: str, expected: str, fits: Callable[[Any], bool]) -> Any:
        if key not in self.document:
            raise CorruptError(f"{self.path}: {self.at(key)} is missing; expected {expected}")
        value = self.document[key]
        if not fits(value):
            raise self.wrong(key, expected, value)
        return value

    def text(self, key: str, default: str | None = None) -> str:
        if default is not None and key not in self.document:
            return default
        value: str = self._get(key, "a string", lambda value: isinstance(value, str))
        return value

    def optional_text(self, key: str) -> str | None:
        return None if self.document.get(key) is None else self.text(key)

    def boolean(self, key: str) -> bool:
        value: bool = self._get(key, "true or false", lambda value: isinstance(value, bool))
        return value

    def integer(self, key: str, *, minimum: int, default: int | None = None) -> int:
        if default is not None and key not in self.document:
            return default

        def fits(value: Any) -> bool:
            return isinstance(value, int) and not isinstance(value, bool) and minimum <= value < 2**53

        value: int = self._get(key, f"an integer of at least {minimum}", fits)
        return value

    def number(self, key: str, *, default: float | None = None) -> float:
        if default is not None and key not in self.document:
            return default
        return float(self._get(key, "a finite number", is_number))

    def numbers(self, key: str) -> list[float]:
        values = self._get(
            key,
            "a list of finite numbers",
            lambda value: isinstance(value, list) and all(is_number(item) for item in value),
        )
        return [float(value) for value in values]

    def texts(self, key: str) -> list[str]:
        values: list[str] = self._get(
            key,
            "a list of strings",
            lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
        )
        return values

    def object(self, key: str, *, required: bool = True) -> Keys:
        if not required and key not in self.document:
            return Keys(self.path, self.at(key), {})
        value = self._get(key, "an object", lambda value: isinstance(value, dict))
        return Keys(self.path, self.at(key), value)

    def objects(self, key: str, *, required: bool = True) -> list[Keys]:
        if not required and key not in self.document:
            return []
        values = self._get(
            key,
            "a list of objects",
            lambda value: isinstance(value, list) and all(isinstance(item, dict) for item in value),
        )
        return [Keys(self.path, f"{self.at(key)}[{i}]", value) for i, value in enumerate(values)]

    def listed(self, key: str, name: str, files: Container[str]) -> None:
        """Refuse a file that `files` does not list: it would be read unchecked."""
        if name not in files:
            raise self.wrong(key, "a file that stands in files", name)


def is_number(value: Any) -> bool:
    """Whether it is a finite number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def shown(value: object) -> str:
    """The value as JSON, cut to what fits into a message."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
