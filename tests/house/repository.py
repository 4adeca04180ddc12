"""What the checks of the house share: the root, the tracked files, and how a fresh interpreter is asked."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: Suffixes of files that people write and read as programs.
SOURCE_SUFFIXES = frozenset({".py", ".cc", ".h", ".c", ".cmake"})


@functools.cache
def tracked_files() -> tuple[Path, ...]:
    """Every file that the repository carries: tracked, or new and not ignored.

    Outside a git checkout (a source archive) it is every file that no hidden or build folder holds.
    """
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listing = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        generated = {"build", "dist", "runs", "__pycache__"}
        paths = [path for path in ROOT.rglob("*") if path.is_file()]
        return tuple(
            path
            for path in sorted(paths)
            if not any(part in generated or part.startswith(".venv") for part in path.relative_to(ROOT).parts)
        )
    paths = [ROOT / name for name in listing.split("\0") if name]
    return tuple(sorted(path for path in paths if path.is_file()))


def source_files() -> tuple[Path, ...]:
    """The tracked files that are programs, wherever they stand."""
    return tuple(path for path in tracked_files() if path.suffix in SOURCE_SUFFIXES)


def python_modules(package: str = "galago") -> dict[str, Path]:
    """Importable name -> file of every module below `package`, the packages themselves included."""
    modules = {}
    for path in tracked_files():
        relative = path.relative_to(ROOT)
        if relative.parts[0] == package and path.suffix == ".py":
            parts = relative.with_suffix("").parts
            modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def text_of(path: Path) -> str | None:
    """The file as text; None where it is binary."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def run_python(
    program: str, *, cwd: Path = ROOT, environment: dict[str, str] | None = None, timeout_s: float = 280
) -> str:
    """Run a program in a fresh interpreter that imports this tree; return what it printed.

    Fails the test with the program's own error output where it does not end well.
    """
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=cwd,
        env=variables,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
