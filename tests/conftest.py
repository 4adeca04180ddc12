"""What tests of several folders share: the tiny bundle, and whether the native library is there."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.make_tiny_bundle import make_tiny_bundle

#: What terminals and runners of continuous integration set and rich, typer and click heed: tests that look
#: at what is printed must not depend on who runs them.
_TERMINAL_SETTINGS = (
    "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "FORCE_COLOR", "GITHUB_ACTIONS", "LINES", "NO_COLOR",
    "PY_COLORS", "PYTHONIOENCODING", "TERMINAL_WIDTH", "TTY_COMPATIBLE", "TTY_INTERACTIVE",
)  # fmt: skip


def pytest_sessionstart() -> None:
    """Before any test module is imported: some of these are read at import."""
    for name in _TERMINAL_SETTINGS:
        os.environ.pop(name, None)


class _SignalStack(ctypes.Structure):
    """stack_t of <signal.h>."""

    _fields_ = [("pointer", ctypes.c_void_p), ("flags", ctypes.c_int), ("size_bytes", ctypes.c_size_t)]


_DISABLED = 2  # SS_DISABLE


@pytest.fixture(autouse=True)
def signals_find_a_stack() -> Iterator[None]:
    """After each test, signals are handled on the ordinary stack again.

    OpenVINO's CPU plugin gives the thread that creates an `ov.Core` a signal stack of its own, and puts the
    one before it back when the core goes.  Of two cores that go in the order in which they came, the second
    puts back the first's, which is freed: the next Ctrl-C kills the process (OpenVINO 2026.4.1).  The native
    core keeps one core for ever and is safe; tests of the workstation's half make many.
    """
    yield
    if sys.platform == "linux":
        disabled = _SignalStack(None, _DISABLED, 0)
        assert ctypes.CDLL(None).sigaltstack(ctypes.byref(disabled), None) == 0


@pytest.fixture(autouse=True)
def numbers_may_be_tiny() -> Iterator[None]:
    """After each test, this thread has subnormal numbers again.

    Training does without them (`torch.set_flush_denormal`), as is right for a process that trains and ends;
    a test that calls its main function would leave it to all that follow.
    """
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Processes that the test starts end on SIGINT.

    A shell script that runs the tests in its background ignores SIGINT, and every process inherits that.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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
def tiny_eye_bundle(tmp_path_factory: pytest.TempPathFactory, native_library: Path) -> Path:
    """A bundle that tells colours and hears nothing."""
    return make_tiny_bundle(tmp_path_factory.mktemp("tiny_eye"), ear=False, eye=True)


@pytest.fixture(scope="session")
def tiny_both_bundle(tmp_path_factory: pytest.TempPathFactory, native_library: Path) -> Path:
    """A bundle that hears chords and tells colours."""
    return make_tiny_bundle(tmp_path_factory.mktemp("tiny_both"), eye=True)


@pytest.fixture(scope="session")
def tiny_whole_bundle(tmp_path_factory: pytest.TempPathFactory, native_library: Path) -> Path:
    """A bundle that hears chords, tells colours and speaks sines."""
    return make_tiny_bundle(tmp_path_factory.mktemp("tiny_whole"), eye=True, voice=True)


@pytest.fixture(scope="session")
def tiny_voice_bundle(tmp_path_factory: pytest.TempPathFactory, native_library: Path) -> Path:
    """A bundle that speaks sines and neither hears nor sees."""
    return make_tiny_bundle(tmp_path_factory.mktemp("tiny_voice"), ear=False, voice=True)


@pytest.fixture(scope="session")
def tiny_bundle(tiny_folder: Path, native_library: Path) -> Path:
    """The same where the native library is there to open it."""
    return tiny_folder
