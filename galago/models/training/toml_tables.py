"""Versioned TOML read into frozen dataclasses; an unknown key is refused by name.

The range of a value stands beside its type, so that ``schedule.batch_s = -1`` is refused when the recipe is
read, with its place, and not after an hour of preparation::

    @dataclass(frozen=True)
    class Schedule:
        num_steps: Positive = 6000
        batch_s: Annotated[float, Range(0.1)] = 80.0

    schedule = build(Schedule, read_toml(path, schema_version=1), path.name)
"""

from __future__ import annotations

import dataclasses
import math
import sys
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from galago.models.training.errors import TrainingError

__all__ = [
    "SCHEMA_VERSION",
    "Count",
    "NotEmpty",
    "Positive",
    "Range",
    "RecipeError",
    "Rising",
    "Share",
    "Weight",
    "build",
    "read_toml",
]

SCHEMA_VERSION = 1  # of training recipes, whatever their role


class RecipeError(TrainingError, ValueError):
    """A recipe cannot be used; the message names the file, the table and the key."""


@dataclass(frozen=True)
class Range:
    """What a number, or each number of a list, must lie in; both ends belong to it."""

    low: float
    high: float = math.inf

    def check(self, value: Any, where: str) -> None:
        for number in value if isinstance(value, tuple) else (value,):
            if not math.isfinite(number) or not self.low <= number <= self.high:
                above = f"at most {self.high:g}" if math.isfinite(self.high) else "finite"
                raise RecipeError(f"{where}: must be at least {self.low:g} and {above}, got {value!r}")


@dataclass(frozen=True)
class Rising:
    """A list whose values do not fall: the ends of an interval."""

    def check(self, value: Any, where: str) -> None:
        if list(value) != sorted(value):
            raise RecipeError(f"{where}: the first value must not exceed the second, got {list(value)!r}")


@dataclass(frozen=True)
class NotEmpty:
    """A list with at least one value."""

    def check(self, value: Any, where: str) -> None:
        if not value:
            raise RecipeError(f"{where}: needs at least one value")


Share = Annotated[float, Range(0.0, 1.0)]  # a probability, too
Weight = Annotated[float, Range(0.0)]
Count = Annotated[int, Range(0)]
Positive = Annotated[int, Range(1)]


def read_toml(path: Path, schema_version: int, changes: Sequence[str] = ()) -> dict[str, Any]:
    """The document at ``path``, whose key ``schema_version`` must say what this version of galago reads.

    Args:
        changes: lines of TOML such as ``schedule.seed = 2``, which stand in place of what the file says; a
            table keeps what no line names.

    Raises:
        RecipeError: no such file, no UTF-8, no TOML, another schema version, a change that is no TOML.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: is not UTF-8 (byte {error.start})") from error
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path}: {error}") from error
    found = document.get("schema_version")
    if found != schema_version:
        raise RecipeError(f"{path}: schema_version must be {schema_version}, got {found!r}")
    for line in changes:
        try:
            change = tomllib.loads(line)
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"{line!r} does not change a recipe: {error}") from error
        document = _changed(document, change)
    return document


def _changed(document: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """``document`` with the values of ``change``; of tables that both have, each by its keys."""
    changed = dict(document)
    for key, value in change.items():
        before = document.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            changed[key] = _changed(before, value)
        else:
            changed[key] = value
    return changed


def build(kind: Any, value: Any, where: str) -> Any:
    """Turn a TOML value into ``kind``, refusing what does not fit with the place it stands at.

    Args:
        kind: a type, a dataclass for a table, or ``Annotated`` with checks such as :class:`Range`.
        where: how messages name the place; for a whole document the name of its file.

    Raises:
        RecipeError: unknown or missing key, wrong type, wrong length, out of range.
    """
    origin = typing.get_origin(kind)
    if origin is Annotated:
        plain, *checks = typing.get_args(kind)
        built = build(plain, value, where)
        for check in checks:
            check.check(built, where)
        return built
    if origin in (types.UnionType, typing.Union):
        kinds = [k for k in typing.get_args(kind) if k is not type(None)]
        return build(kinds[0], value, where)
    if origin is Literal:
        known = typing.get_args(kind)
        if value not in known:
            raise RecipeError(f"{where}: must be {' or '.join(map(repr, known))}, got {value!r}")
        return value
    if dataclasses.is_dataclass(kind):
        return _build_table(kind, value, where)
    if origin is tuple:
        return _build_list(typing.get_args(kind), value, where)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    plain = dict if origin is dict else kind
    if not isinstance(value, plain) or (isinstance(value, bool) and plain is not bool):
        raise RecipeError(f"{where}: expected {plain.__name__}, got {value!r}")
    return value


def _build_table(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise RecipeError(f"{where}: expected a table, got {value!r}")
    hints = typing.get_type_hints(kind, include_extras=True)
    known = {f.name: f for f in dataclasses.fields(kind)}
    for key in value:
        if key not in known:
            raise RecipeError(f"{where}: unknown key {key!r} (known: {', '.join(known)})")
    for name, fld in known.items():
        needed = fld.default is dataclasses.MISSING and fld.default_factory is dataclasses.MISSING
        if needed and name not in value:
            raise RecipeError(f"{where}: key {name!r} is missing")
    values = {k: build(hints[k], v, f"{where}.{k}") for k, v in value.items()}
    try:
        return kind(**values)
    except ValueError as error:  # values that do not fit together
        raise RecipeError(f"{where}: {error}") from error


def _build_list(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise RecipeError(f"{where}: expected a list, got {value!r}")
    if kinds[-1] is ...:
        kinds = (kinds[0],) * len(value)
    if len(value) != len(kinds):
        raise RecipeError(f"{where}: expected {len(kinds)} values, got {value!r}")
    return tuple(build(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
