"""What is installed where: a board gets numpy and one engine, and the pins cover what the tests need."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest

from tests.house.repository import ROOT
from tests.house.test_layering import WORKSTATION_ONLY

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli", reason="tomllib came with Python 3.11")


def project() -> dict[str, Any]:
    with open(ROOT / "pyproject.toml", "rb") as stream:
        return tomllib.load(stream)


def name_of(requirement: str) -> str:
    """`Scikit_Build_Core>=1.1,<2` -> `scikit-build-core`."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0]).lower()


def requirements(extra: str) -> set[str]:
    """Names that an extra installs, extras of our own resolved."""
    found = set()
    for requirement in project()["project"]["optional-dependencies"][extra]:
        if name_of(requirement) == "galago":
            for inner in re.findall(r"[\w-]+", requirement.partition("[")[2]):
                found |= requirements(inner)
        else:
            found.add(name_of(requirement))
    return found


def test_the_package_itself_needs_numpy_alone() -> None:
    assert [name_of(requirement) for requirement in project()["project"]["dependencies"]] == ["numpy"]


def test_a_board_installs_nothing_of_the_workstation() -> None:
    assert requirements("board") >= {
        "openvino",
        "soundfile",
        "soxr",
        "sounddevice",
        "pillow",
        "typer",
        "rich",
        "hassil",
    }
    assert requirements("board") & WORKSTATION_ONLY == set()


def test_the_pins_cover_every_extra() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {name_of(line) for line in lines if line and not line.startswith("#")}
    assert all("==" in line for line in lines if line and not line.startswith("#"))
    named = {name for extra in project()["project"]["optional-dependencies"] for name in requirements(extra)}
    assert named - pinned == set()


def test_one_wheel_serves_every_python() -> None:
    settings = project()["tool"]["scikit-build"]
    assert settings["wheel"]["py-api"] == "py3"
    assert settings["metadata"]["version"]["input"] == "galago/__init__.py"
