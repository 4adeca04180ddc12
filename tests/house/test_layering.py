"""Who imports whom: the table of docs/architecture.md, held against every import of every module.

Imports count wherever they stand (top, function, TYPE_CHECKING), and so do names handed to
`importlib.import_module` or `find_spec` as text: a layer is not left through a side door.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.repository import ROOT, python_modules, run_python

#: Folder -> what of galago it may import, beside itself.  A name allows everything below it.
MAY_IMPORT: dict[str, frozenset[str]] = {
    "galago": frozenset({"galago.runtime"}),
    "galago.runtime": frozenset(),
    "galago.models": frozenset({"galago.runtime.language"}),
    "galago.boards": frozenset({"galago.runtime"}),
    "galago.boards.profile": frozenset(),
    "galago.streaming": frozenset({"galago.runtime", "galago.boards.profile", "galago.__version__"}),
    "galago.quantize": frozenset(
        {
            "galago.models",
            "galago.runtime.bundle_folder",
            "galago.runtime.manifest",
            "galago.runtime.errors",
            "galago.runtime.language",
            "galago.boards",
        }
    ),
    "galago.bundles": frozenset(),
}

#: What never enters a board's process through galago: the workstation's half and what it is made with.
WORKSTATION_ONLY = frozenset({"torch", "onnx", "onnxscript", "transformers", "matplotlib", "scipy"})
#: What only the module that needs it loads: opening the package costs numpy and nothing else.
ON_DEMAND = WORKSTATION_ONLY | {
    "openvino",
    "onnxruntime",
    "soundfile",
    "soxr",
    "sounddevice",
    "pyaudio",
    "hassil",
    "yaml",
    "typer",
    "rich",
    "PIL",
    "gi",
}
BOARD_SIDE = ("galago", "galago.runtime", "galago.streaming", "galago.boards")


def imports_of(path: Path, module: str) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of everything a file imports."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            # `from galago import runtime` is an import of galago.runtime; a plain name does no harm here.
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args:
            function = (
                node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            )
            target = node.args[0]
            if function in {"import_module", "__import__"} and isinstance(target, ast.Constant):
                yield node.lineno, str(target.value)


def layer_of(module: str) -> str:
    """The longest entry of the table that holds the module."""
    holders = [layer for layer in MAY_IMPORT if module == layer or module.startswith(layer + ".")]
    return max(holders, key=len)


def is_below(name: str, layer: str) -> bool:
    return name == layer or name.startswith(layer + ".")


def violations(module: str, path: Path) -> list[str]:
    layer = layer_of(module)
    if layer == "galago" and module != "galago" and path.name != "__init__.py":
        return [f"{path.relative_to(ROOT)}: stands in no folder of the table"]
    found = []
    for line, name in imports_of(path, module):
        if not is_below(name, "galago"):
            continue
        own_folder = layer != "galago" and is_below(name, ".".join(layer.split(".")[:2]))
        if layer == "galago.boards.profile":
            own_folder = False
        if not own_folder and not any(is_below(name, allowed) for allowed in MAY_IMPORT[layer]):
            found.append(f"{path.relative_to(ROOT)}:{line}: {layer} may not import {name}")
    return found


@pytest.mark.parametrize("module", sorted(python_modules()))
def test_imports_stay_inside_the_table(module: str) -> None:
    assert violations(module, python_modules()[module]) == []


def test_the_check_sees_a_forbidden_import(tmp_path: Path) -> None:
    """A guard that cannot bark is no guard: each way of importing is tried on a module that must not."""
    for text in (
        "import galago.models",
        "from galago import models",
        "from galago.models import conformer",
        "def late():\n    from ..models.conformer import Conformer",
        "import importlib\nimportlib.import_module('galago.models.conformer')",
    ):
        path = ROOT / "galago" / "streaming" / "made_up.py"
        names = list(imports_of_text(text, path, tmp_path))
        assert any(is_below(name, "galago.models") for name in names), text


def imports_of_text(text: str, path: Path, folder: Path) -> Iterator[str]:
    copy = folder / path.name
    copy.write_text(text, encoding="utf-8")
    yield from (name for _, name in imports_of(copy, "galago.streaming.made_up"))


def test_nothing_imports_tests_benchmarks_or_examples() -> None:
    outside = {"tests", "benchmarks", "examples"}
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for module, path in python_modules().items()
        for line, name in imports_of(path, module)
        if name.split(".")[0] in outside
    ]
    assert found == []


def test_the_board_side_never_loads_torch() -> None:
    """Every module of the board's half, imported together in a fresh process."""
    modules = [name for name in python_modules() if name in BOARD_SIDE or name.startswith(BOARD_SIDE[1:])]
    program = f"""
import importlib, json, sys
for name in {modules!r}:
    importlib.import_module(name)
print(json.dumps(sorted(set(sys.modules) & {set(WORKSTATION_ONLY)!r})))
"""
    assert len(modules) > len(BOARD_SIDE)
    assert json.loads(run_python(program).splitlines()[-1]) == []


@pytest.mark.parametrize("door", BOARD_SIDE)
def test_a_door_loads_no_optional_library(door: str) -> None:
    program = f"import json, sys, {door}; print(json.dumps(sorted(set(sys.modules) & {set(ON_DEMAND)!r})))"
    assert json.loads(run_python(program)) == []
