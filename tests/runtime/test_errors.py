"""The tree of errors: as drawn, and one class for each status."""

from __future__ import annotations

import pytest

from galago.runtime import abi, errors
from galago.runtime.errors import GalagoError, InvalidArgumentError, NotFoundError, of_status

STATUSES = {name: getattr(abi, name) for name in dir(abi) if name.startswith("E_")}


def classes() -> dict[str, type[GalagoError]]:
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, GalagoError)
    }


@pytest.mark.parametrize("name", STATUSES)
def test_every_status_has_a_class_of_its_own(name: str) -> None:
    error = of_status(STATUSES[name], "what and where")
    assert type(error) is not GalagoError
    assert error.status == STATUSES[name]
    assert str(error) == "what and where"
    assert [cls for cls in classes().values() if cls.status == STATUSES[name]] == [type(error)]


def test_a_status_of_the_future_is_still_a_galago_error() -> None:
    error = of_status(-77, "something new")
    assert type(error) is GalagoError
    assert "-77" in str(error) and "something new" in str(error)


def test_builtin_handlers_catch_what_they_expect() -> None:
    assert issubclass(InvalidArgumentError, ValueError)
    assert issubclass(errors.NoMemoryError, MemoryError)
    assert issubclass(errors.LibraryNotFoundError, NotFoundError)


def test_the_drawing_is_the_tree() -> None:
    drawing = errors.__doc__ or ""
    for name, cls in classes().items():
        (line,) = (
            line for line in drawing.splitlines() if line.split("(")[0].strip(" ├└│─").split()[:1] == [name]
        )
        depth = len(line) - len(line.lstrip(" │├└─"))
        assert depth == 4 * len([base for base in cls.__mro__ if issubclass(base, GalagoError)]), line
        if cls.status is not None:
            (status,) = (status for status, number in STATUSES.items() if number == cls.status)
            assert f"GALAGO_{status}" in line
