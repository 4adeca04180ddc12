"""Run by `make wheel` with the interpreter of a clean environment: the wheel, its extras and nothing else.

The wheel is tried from an empty folder, so that nothing of the source tree can stand in for what it forgot.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    binary = Path(sys.prefix) / "bin" / "galago"
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        import galago

        package = Path(galago.__file__ or "").resolve().parent
        if not package.is_relative_to(Path(sys.prefix).resolve()):
            raise SystemExit(f"galago came from {package}, not from the wheel")
        if importlib.metadata.version("galago") != galago.__version__:
            raise SystemExit(
                f"metadata: {importlib.metadata.version('galago')}, package: {galago.__version__}"
            )
        for name in ("torch", "onnx"):
            if importlib.util.find_spec(name) is not None:
                raise SystemExit(f"{name} came with a board's install")
        if not (package / "py.typed").is_file():
            raise SystemExit("py.typed is missing: type checkers would not see the types")
        sources = [path for suffix in ("*.cc", "*.c", "*.h") for path in package.rglob(suffix)]
        strangers = [path for path in sources if path.name != "galago.h"]
        if strangers:
            raise SystemExit(f"C++ sources in the wheel: {strangers[:3]}")
        for command in (["doctor"], ["info"], ["verify", "default"]):
            print("$ galago", *command, flush=True)
            subprocess.run([str(binary), *command], check=True)
    print(f"the wheel of galago {galago.__version__} works in a clean environment")


if __name__ == "__main__":
    main()
