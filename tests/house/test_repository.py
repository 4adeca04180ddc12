"""The written rules of the repository that a machine can hold; CONTRIBUTING.md lists them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import galago
from galago.runtime import abi
from tests.house.repository import ROOT, SOURCE_SUFFIXES, python_modules, source_files, text_of, tracked_files

MAX_LINES = 600
MAX_FILE_BYTES = 16 * 1024 * 1024  # the largest weights file of the default bundle, with room

#: Spelled in pieces, so that this file does not hold what it looks for.
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"]) + r")\b")
MACHINE_PATH = re.compile("|".join(["/wo" + "rk/", "/ro" + "ot/", r"/ho" + r"me/\w"]))
BARE_IGNORE = re.compile(r"#\s*(type:\s*ignore|noqa)(?!\S*\[|: [A-Z]+\d+)")

#: Import names of what galago stands on: a module of ours with such a name would shadow it for a reader.
DEPENDENCIES = {
    "numpy",
    "torch",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "openvino",
    "hassil",
    "soundfile",
    "sounddevice",
    "soxr",
    "pyaudio",
    "pocketsphinx",
    "rich",
    "typer",
    "yaml",
    "scipy",
    "matplotlib",
    "tqdm",
    "pytest",
    "PIL",
    "gi",
}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_no_source_file_is_longer_than_600_lines() -> None:
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in source_files()}
    assert len(lengths) > 50
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_nothing_is_left_unfinished() -> None:
    found = [
        f"{relative(path)}:{number}: {line.strip()}"
        for path in source_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if UNFINISHED.search(line)
    ]
    assert found == []


def test_no_path_of_one_machine_is_written_down() -> None:
    found = [
        f"{relative(path)}:{number}"
        for path in tracked_files()
        if (text := text_of(path)) is not None
        for number, line in enumerate(text.splitlines(), start=1)
        if MACHINE_PATH.search(line)
    ]
    assert found == []


def test_every_ignored_warning_names_its_code() -> None:
    found = [
        f"{relative(path)}:{number}: {line.strip()}"
        for path in source_files()
        if path.suffix == ".py" and path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if BARE_IGNORE.search(line)
    ]
    assert found == []


def test_no_module_is_named_like_the_standard_library_or_a_dependency() -> None:
    names = {
        name: relative(path)
        for name, path in ((m.rpartition(".")[2], p) for m, p in python_modules().items())
    }
    # `boards.profile` is the field's word; the standard profiler of that name is on its way out (PEP 799).
    taken = set(names) & (DEPENDENCIES | set(sys.stdlib_module_names)) - {"profile"}
    assert {name: names[name] for name in taken} == {}


def test_no_exception_is_swallowed() -> None:
    """Whoever catches everything passes it on: raises again, or keeps the error for somebody who does.

    `except SomeError: pass` hides as much; `contextlib.suppress(SomeError)` says what may be ignored.
    """
    found = []
    for path in source_files():
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
            if not isinstance(node, ast.ExceptHandler):
                continue
            empty = all(isinstance(step, ast.Pass) for step in node.body)
            catches_all = node.type is None or getattr(node.type, "id", "") == "BaseException"
            passes_on = any(
                isinstance(step, ast.Raise) or (isinstance(step, ast.Name) and step.id == node.name)
                for step in ast.walk(node)
            )
            if empty or (catches_all and not passes_on):
                found.append(f"{relative(path)}:{node.lineno}")
    assert found == []


def test_every_test_is_collected() -> None:
    """A test in a file that pytest does not open never fails."""
    stray = []
    for path in source_files():
        if path.suffix != ".py":
            continue
        collected = relative(path).startswith("tests/") and path.name.startswith("test_")
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        tests = [
            node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name[:5] == "test_"
        ]
        if tests and not collected:
            stray.append(f"{relative(path)}: {tests[0]}")
    assert stray == []


def test_every_skip_says_why() -> None:
    silent = []
    for path in source_files():
        if path.suffix != ".py" or not relative(path).startswith("tests/"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            keywords = {keyword.arg for keyword in node.keywords}
            if node.func.attr == "skip" and not node.args and "reason" not in keywords:
                silent.append(f"{relative(path)}:{node.lineno}")
            if node.func.attr == "skipif" and "reason" not in keywords:
                silent.append(f"{relative(path)}:{node.lineno}")
    assert silent == []


def test_no_file_is_larger_than_the_weights() -> None:
    large = {
        relative(path): path.stat().st_size
        for path in tracked_files()
        if path.stat().st_size > MAX_FILE_BYTES
    }
    assert large == {}


def test_one_version_everywhere() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", galago.__version__)
    assert abi.version().split()[0].split("+")[0] == galago.__version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[?(\d+\.\d+\.\d+)", changelog, flags=re.MULTILINE)
    assert released and released[0] == galago.__version__


# -- CONTRIBUTING.md: every rule has a check that exists --------------------------------------------------


def contributing_rules() -> list[tuple[str, str]]:
    """(rule, checks) of each row below the header `| Rule | Check |`."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("| Rule | Check |\n")[2].partition("\n\n")[0]
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split(" | ")] for line in table.splitlines()[1:]
    ]
    return [(row[0], row[-1]) for row in rows]


def test_the_table_of_rules_is_found() -> None:
    assert len(contributing_rules()) > 15


@pytest.mark.parametrize(("rule", "checks"), contributing_rules(), ids=lambda text: str(text)[:40])
def test_every_rule_names_a_check_that_exists(rule: str, checks: str) -> None:
    named = re.findall(r"`([^`]+)`", checks)
    assert named, f"no check stands beside: {rule}"
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for check in named:
        if check.startswith("make "):
            assert re.search(rf"^{re.escape(check[5:])}:", makefile, flags=re.MULTILINE), check
            continue
        path, _, test = check.partition("::")
        assert (ROOT / path).exists(), check
        if test:
            assert re.search(rf"^def {re.escape(test)}\(", (ROOT / path).read_text(encoding="utf-8"), re.M), (
                check
            )


def test_the_makefile_needs_no_command_that_it_does_not_make(tmp_path: Path) -> None:
    """`make -n` walks the recipes of every documented command without running them."""
    for target in ("demo", "test", "check", "sanitize", "bench", "wheel"):
        done = subprocess.run(
            ["make", "--dry-run", f"VENV={tmp_path / 'venv'}", f"BOARD_VENV={tmp_path / 'board'}", target],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=280,
        )
        assert done.returncode == 0, done.stderr


def test_sources_have_one_suffix_each() -> None:
    """C++ is .cc and .h, C is .c: one look at a name says the language."""
    strange = [
        relative(path) for path in tracked_files() if path.suffix in {".cpp", ".cxx", ".hpp", ".hh", ".inl"}
    ]
    assert strange == []
    assert ".cc" in SOURCE_SUFFIXES
