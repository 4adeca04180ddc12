"""Header, library and ctypes mirror name the same functions: no more, no fewer."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from galago.runtime import abi
from tests.house.test_c99_header import HEADER


def declared_functions() -> set[str]:
    """Names that the header declares with GALAGO_API, comments taken out."""
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(encoding="utf-8"), flags=re.DOTALL)
    return set(re.findall(r"^GALAGO_API\b[^;(]*?\b(galago_\w+)\s*\(", text, flags=re.MULTILINE))


def exported_symbols() -> set[str]:
    if shutil.which("nm") is None:
        pytest.skip("no nm on this machine (Debian: binutils)")
    command = ["nm", "--dynamic", "--defined-only", "--format=posix", str(abi.find_library())]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # Exported names carry their version, galago_abi@@GALAGO_0; the version itself (A) is no function.
    return {line.split("@")[0].split()[0] for line in listing.splitlines() if line.split()[1] != "A"}


def test_the_library_exports_what_the_header_declares() -> None:
    assert exported_symbols() == declared_functions()


def test_python_mirrors_what_the_header_declares() -> None:
    assert len(declared_functions()) > 20
    assert set(abi.PROTOTYPES) == declared_functions()
