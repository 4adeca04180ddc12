"""Each folder has one door, and its `__all__` is exactly what stands in it."""

from __future__ import annotations

import importlib
import types

import pytest

from tests.house.repository import python_modules

DOORS = sorted(name for name, path in python_modules().items() if path.name == "__init__.py")


@pytest.mark.parametrize("door", DOORS)
def test_all_lists_what_the_door_holds(door: str) -> None:
    module = importlib.import_module(door)
    declared = list(getattr(module, "__all__", []))
    assert len(declared) == len(set(declared)), "a name stands twice in __all__"
    missing = [name for name in declared if not hasattr(module, name)]
    assert missing == [], f"{door}.__all__ promises what is not there"
    # Submodules become attributes when anything imports them, and `annotations` comes from __future__.
    visible = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and name != "annotations" and not isinstance(value, types.ModuleType)
    }
    undeclared = sorted(visible - set(declared))
    assert undeclared == [], f"{door} shows names that __all__ does not list"


@pytest.mark.parametrize("door", DOORS)
def test_every_public_name_says_what_it_is(door: str) -> None:
    module = importlib.import_module(door)
    assert (module.__doc__ or "").strip(), f"{door} has no docstring"
    silent = [
        name
        for name in getattr(module, "__all__", [])
        if isinstance(value := getattr(module, name), type | types.FunctionType)
        and not (value.__doc__ or "").strip()
    ]
    assert silent == [], f"public names of {door} without a docstring"
