"""What tests of several folders share: the tiny bundle, and whether the native library is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.make_tiny_bundle import make_tiny_bundle


@pytest.fixture(scope="session")
def native_library() -> Path:
    """The path of libgalago.

    Where GALAGO_LIBRARY names one, as `make test` does, its absence is a failure and no skip.
    """
    from galago.runtime.abi import find_library
    from galago.runtime.errors import LibraryNotFoundError

    try:
        return find_library()
    except LibraryNotFoundError as error:
        if "GALAGO_LIBRARY" in os.environ:
            raise
        pytest.skip(f"the native library is not built: make native ({str(error).splitlines()[0]})")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that hears chords of tones, with 320, 160 and 640 ms chunks; 320 is the default."""
    return make_tiny_bundle(tmp_path_factory.mktemp("tiny"), chunk_tokens=(8, 4, 16))


@pytest.fixture(scope="session")
def tiny_bundle(tiny_folder: Path, native_library: Path) -> Path:
    """The same where the native library is there to open it."""
    return tiny_folder
