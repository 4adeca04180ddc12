"""The tools of tests/native, built beside the native library: raw float32 in, features or JSON out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike


def find_tool(native_library: Path, name: str) -> Path:
    """The path of a tool in the build tree of the library; skips where that has no tests."""
    tool = native_library.parent / "tests" / "native" / name
    if not tool.is_file():
        pytest.skip(f"{name} is not built beside {native_library}: make native")
    return tool


def run_tool(tool: Path, rows: ArrayLike, options: Mapping[str, object] | None = None) -> bytes:
    """What the tool prints for float32 input. Raises RuntimeError with the tool's own words."""
    arguments = [str(tool)]
    for name, value in (options or {}).items():
        for one in value if isinstance(value, list) else [value]:
            arguments += [f"--{name}", str(one)]
    data = np.ascontiguousarray(rows, np.float32).tobytes()
    done = subprocess.run(arguments, input=data, capture_output=True, timeout=280)
    if done.returncode != 0:
        raise RuntimeError(f"{tool.name} answered {done.returncode}: {done.stderr.decode()}")
    return done.stdout


def decode(tool: Path, rows: ArrayLike, options: Mapping[str, object] | None = None) -> dict[str, Any]:
    """The JSON object that a decoder tool prints."""
    printed: dict[str, Any] = json.loads(run_tool(tool, rows, options))
    return printed
