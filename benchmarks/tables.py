"""The tables of the documents: which rows of which benchmark, which numbers; `render.py` draws them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True)
class Column:
    """One column.

    Args:
        title: head of the column.
        value: dotted path in a row: "variant", "numbers.step_ms.p50".
        digits: after the point, for numbers.
        unit: put behind the value.
        scale: the number is multiplied by it: 100 makes a share a percentage.
        is_number: numbers stand to the right.
    """

    title: str
    value: str
    digits: int = 1
    unit: str = ""
    scale: float = 1.0
    is_number: bool = True


@dataclass(frozen=True)
class Table:
    """One table: the rows of `benchmark` whose variant fits one of `variants` (shell patterns)."""

    benchmark: str
    columns: tuple[Column, ...]
    variants: tuple[str, ...] = ("*",)

    def takes(self, row: Mapping[str, Any]) -> bool:
        return any(fnmatchcase(str(row["variant"]), pattern) for pattern in self.variants)


TABLES: dict[str, Table] = {}
