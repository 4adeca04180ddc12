"""`galago.h` is C, not C++ that happens to compile: it is compiled alone in every dialect promised."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.house.repository import ROOT

HEADER = ROOT / "galago" / "runtime" / "native" / "include" / "galago" / "galago.h"
WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Werror"]


@pytest.mark.parametrize(
    ("language", "standard", "compiler"),
    [("c", "c99", "cc"), ("c", "c11", "cc"), ("c++", "c++17", "c++")],
)
def test_the_header_compiles_alone(language: str, standard: str, compiler: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler} on this machine")
    program = tmp_path / f"alone.{'c' if language == 'c' else 'cc'}"
    # Twice: the include guard is part of the promise.  Each INIT macro is used once, as a caller would.
    structs = ["bundle_options", "session_options", "session_info", "image", "event", "metrics"]
    declared = "\n".join(f"  galago_{name} {name} = GALAGO_{name.upper()}_INIT;" for name in structs)
    summed = " + ".join(f"{name}.struct_size" for name in structs)
    program.write_text(
        '#include <galago/galago.h>\n#include "galago/galago.h"\n'
        f"int main(void) {{\n{declared}\n  return ({summed}) == 0;\n}}\n"
    )
    warnings = [flag for flag in WARNINGS if language == "c" or "prototypes" not in flag]
    command = [compiler, "-x", language, f"-std={standard}", *warnings, "-fsyntax-only"]
    command += [f"-I{HEADER.parent.parent}", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
