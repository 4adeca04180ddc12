"""What a stage must reach: ``"wer <= 0.5"``, a measure, a comparison and a number."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from galago.models.training.toml_tables import RecipeError

__all__ = ["Criterion", "Verdict", "judge", "parse_criterion"]

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_EXPRESSION = re.compile(r"\s*([A-Za-z][\w.-]*)\s*(<=|>=|<|>)\s*(\S+)\s*")


@dataclass(frozen=True)
class Criterion:
    """``measure`` ``comparison`` ``bound``."""

    measure: str
    comparison: str
    bound: float

    def __str__(self) -> str:
        return f"{self.measure} {self.comparison} {self.bound:g}"


@dataclass(frozen=True)
class Verdict:
    """What became of a criterion: of which stage, what was found (None: nothing), whether it will do."""

    subject: str
    criterion: Criterion
    found: float | None

    @property
    def is_met(self) -> bool:
        compare = _COMPARISONS[self.criterion.comparison]
        return self.found is not None and compare(self.found, self.criterion.bound)

    def __str__(self) -> str:
        found = "was not measured" if self.found is None else f"is {self.found:g}"
        return f"{self.subject}: {self.criterion.measure} {found}, wanted: {self.criterion}"


def parse_criterion(text: str, where: str) -> Criterion:
    """Read an expression.

    Raises:
        RecipeError: it is none; the message says at which place of the recipe.
    """
    match = _EXPRESSION.fullmatch(text)
    try:
        bound = float(match[3]) if match else math.nan
    except ValueError:
        bound = math.nan
    if match is None or not math.isfinite(bound):
        raise RecipeError(f'{where}: expected a measure, <=, >=, < or >, and a number, got "{text}"')
    return Criterion(match[1], match[2], bound)


def judge(subject: str, criteria: tuple[Criterion, ...], found: Mapping[str, float]) -> list[Verdict]:
    """A verdict for each criterion; a measure that is no number meets none."""
    return [Verdict(subject, criterion, found.get(criterion.measure)) for criterion in criteria]
