"""Who includes whom in the native core: docs/architecture.md's table of rooms against every include.

A room is a folder of ``galago/runtime/native``. The table lists them from the ground up, and a room
includes only what stands above it in the table: so there are no circles, and a room can be read, tested and
changed with nothing in mind but those that it names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.repository import ROOT, tracked_files

NATIVE = ROOT / "galago" / "runtime" / "native"
TESTS = ROOT / "tests" / "native"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
#: What every room may include beside its own headers and those of the table: the C ABI.
PUBLIC_HEADER = "galago/galago.h"

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def rooms() -> dict[str, list[str]]:
    """Room -> the rooms that it may include, as the document's table says, in its order."""
    section = ARCHITECTURE.read_text(encoding="utf-8").partition("## The rooms of the core")[2]
    found = {}
    for line in section.partition("\n## ")[0].splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 3 and (name := re.fullmatch(r"`(\w+)`", cells[0])):
            found[name[1]] = re.findall(r"`(\w+)`", cells[2])
    return found


def sources(folder: Path) -> list[Path]:
    """C and C++ files below a folder; of the native core, the public header apart."""
    return [
        path
        for path in tracked_files()
        if path.suffix in {".cc", ".c", ".h"}
        and path.is_relative_to(folder)
        and not path.is_relative_to(NATIVE / "include")
    ]


def includes_of(text: str) -> Iterator[tuple[int, str]]:
    """(line, name) of everything included in quotes."""
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start(1)) + 1, match[1]


def violations(room: str, text: str) -> list[str]:
    """What in a source of this room is included and must not be."""
    found = []
    for line, name in includes_of(text):
        if name == PUBLIC_HEADER:
            continue
        if not (NATIVE / name).is_file():
            found.append(f'{line}: "{name}" is no room/file.h of the core')
        elif name.split("/")[0] not in {room, *rooms().get(room, [])}:
            found.append(f"{line}: {room} may not include {name}")
    return found


def test_a_room_includes_what_stands_above_it_in_the_table() -> None:
    above: list[str] = []
    for room, may_include in rooms().items():
        assert set(may_include) <= set(above), f"{room}: {may_include}"
        above.append(room)
    assert len(above) > 8


def test_every_source_stands_in_a_room() -> None:
    strange = [path for path in sources(NATIVE) if path.parent.parent != NATIVE]
    assert strange == []
    assert {path.parent.name for path in sources(NATIVE)} == set(rooms())


@pytest.mark.parametrize("room", list(rooms()))
def test_includes_stay_inside_the_table(room: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{violation}"
        for path in sources(NATIVE / room)
        for violation in violations(room, path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize("room", list(rooms()))
def test_the_table_promises_no_more_than_there_is(room: str) -> None:
    included = {
        name.split("/")[0]
        for path in sources(NATIVE / room)
        for _, name in includes_of(path.read_text(encoding="utf-8"))
    }
    assert set(rooms()[room]) <= included


def test_the_tests_of_a_room_stand_in_a_folder_of_its_name() -> None:
    folders = {path.parent for path in sources(TESTS) if path.parent != TESTS}
    assert {folder.name for folder in folders} <= set(rooms())
    assert [path for path in sources(TESTS) if path.parent == TESTS and path.suffix != ".h"] == []
    for path in sources(TESTS):
        if path.parent == TESTS or not path.name.startswith("test_") or path.suffix != ".cc":
            continue
        included = {name.split("/")[0] for _, name in includes_of(path.read_text(encoding="utf-8"))}
        assert path.parent.name in included, f"{path.relative_to(ROOT)} tests nothing of its room"


@pytest.mark.parametrize(
    "include", ['#include "session/session.h"', '#  include "session/session.h"', '#include "status.h"']
)
def test_the_check_sees_a_forbidden_include(include: str) -> None:
    """A guard that cannot bark is no guard: upwards, upwards with spaces, and past the rooms."""
    assert violations("base", f"// A file.\n#include <vector>\n{include}\n") != []
    assert violations("base", '#include "base/status.h"\n') == []
