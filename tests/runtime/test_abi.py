"""The ctypes mirror against the header, compiled: no offset, number or name is taken on trust."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from galago.runtime import abi
from galago.runtime.errors import AbiError, GalagoError, LibraryNotFoundError

HEADER = Path(abi.__file__).parent / "native" / "include" / "galago" / "galago.h"

needs_header = pytest.mark.skipif(not HEADER.is_file(), reason="an installed wheel carries no sources")
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")


@pytest.fixture(scope="module")
def compiled_layout(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """ "galago_event.text" -> offset and "galago_event" -> size, as the C compiler sees them."""
    folder = tmp_path_factory.mktemp("layout")
    lines = []
    for name, struct in abi.STRUCTS.items():
        lines.append(f'  printf("{name} %zu\\n", sizeof({name}));')
        for field in struct._fields_:
            lines.append(f'  printf("{name}.{field[0]} %zu\\n", offsetof({name}, {field[0]}));')
    source = folder / "layout.c"
    source.write_text(
        "#include <stdio.h>\n#include <galago/galago.h>\nint main(void) {\n"
        + "\n".join(lines)
        + "\n  return 0;\n}\n"
    )
    program = folder / "layout"
    include = HEADER.parents[1]
    subprocess.run(
        ["cc", "-std=c99", "-Werror", f"-I{include}", str(source), "-o", str(program)],
        check=True,
        timeout=280,
    )
    printed = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout
    return {name: int(value) for name, value in (line.split() for line in printed.splitlines())}


@needs_header
@needs_compiler
@pytest.mark.parametrize("name", abi.STRUCTS)
def test_every_offset_is_that_of_the_header(name: str, compiled_layout: dict[str, int]) -> None:
    struct = abi.STRUCTS[name]
    assert ctypes.sizeof(struct) == compiled_layout[name]
    for field, *_ in struct._fields_:
        assert getattr(struct, field).offset == compiled_layout[f"{name}.{field}"], f"{name}.{field}"


@needs_header
def test_no_field_of_the_header_is_left_out() -> None:
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)
    structs = dict(re.findall(r"typedef struct (\w+) \{(.*?)\} \1;", text, flags=re.DOTALL))
    structs = {name: body for _, (name, body) in enumerate(structs.items())}
    assert set(structs) == set(abi.STRUCTS)
    for name, body in structs.items():
        declared = [
            re.sub(r"\[.*\]", "", line.split()[-1]).lstrip("*") for line in body.split(";") if line.strip()
        ]
        assert declared == [field[0] for field in abi.STRUCTS[name]._fields_], name


@needs_header
def test_every_number_is_that_of_the_header() -> None:
    numbers = re.findall(
        r"#define GALAGO_((?:E|EVENT|SESSION|LOG)_[A-Z_]+|OK|EMPTY|TIMEOUT) +\(?(-?\d+u?(?: << \d+)?)\)?",
        HEADER.read_text(),
    )
    assert len(numbers) > 30
    for name, text in numbers:
        value, _, shift = text.replace("u", "").partition(" << ")
        assert getattr(abi, name) == int(value) << int(shift or 0), name


@needs_header
def test_every_function_is_declared() -> None:
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)
    declared = set(re.findall(r"GALAGO_API [^;(]*?(galago_\w+)\(", text))
    assert declared == set(abi.PROTOTYPES)


@needs_header
def test_argument_counts_are_those_of_the_header() -> None:
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)
    for name, arguments in re.findall(r"GALAGO_API [^;(]*?(galago_\w+)\(([^;]*)\);", text):
        count = 0 if arguments.strip() == "void" else arguments.count(",") + 1
        assert len(abi.PROTOTYPES[name][1]) == count, name


def test_the_library_speaks_this_abi(native_library: Path) -> None:
    assert abi.library().galago_abi() == abi.ABI
    assert abi.version()


def test_every_status_has_its_name(native_library: Path) -> None:
    for name in ("OK", "EMPTY", "TIMEOUT", *(n for n in dir(abi) if n.startswith("E_"))):
        assert abi.library().galago_status_name(getattr(abi, name)) == f"GALAGO_{name}".encode()
    assert abi.library().galago_status_name(-12345)  # unknown, and still a name


def test_a_missing_library_lists_where_it_was_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GALAGO_LIBRARY", str(tmp_path / "nowhere.so"))
    with pytest.raises(LibraryNotFoundError, match="nowhere.so"):
        abi.find_library()


def test_the_environment_overrules_every_other_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GALAGO_LIBRARY", str(tmp_path / "mine.so"))
    assert list(abi.library_candidates()) == [tmp_path / "mine.so"]
    monkeypatch.delenv("GALAGO_LIBRARY")
    candidates = list(abi.library_candidates())
    assert candidates[0] == Path(abi.__file__).parent / "lib" / candidates[0].name
    assert len(candidates) == len(set(candidates)) >= 2


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no library", "cannot be loaded"), (None, "has no galago_abi")],
    ids=["garbage", "another library"],
)
def test_a_library_that_is_none_of_ours_is_refused(
    content: bytes | None, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if content is None:
        import _ctypes  # some shared object that certainly loads and certainly is not galago

        path = Path(_ctypes.__file__)
    else:
        path = tmp_path / "garbage.so"
        path.write_bytes(content)
    monkeypatch.setenv("GALAGO_LIBRARY", str(path))
    with pytest.raises(AbiError, match=message):
        abi.library.__wrapped__()


def test_a_header_of_another_abi_is_refused(native_library: Path, tiny_bundle: Path) -> None:
    handle = ctypes.c_void_p(1)
    status = abi.library().galago_bundle_open(
        abi.ABI + 1, os.fsencode(tiny_bundle), None, ctypes.byref(handle)
    )
    assert status == abi.E_ABI
    assert handle.value is None
    with pytest.raises(AbiError):
        abi.check(status)


def test_the_log_reaches_python_and_falls_silent_again(native_library: Path, tiny_bundle: Path) -> None:
    from galago.runtime.bundle import Bundle

    heard: list[tuple[int, str]] = []
    abi.set_log(lambda level, text: heard.append((level, text)), abi.LOG_DEBUG)
    try:
        Bundle(tiny_bundle).close()
    finally:
        abi.set_log(None)
    count = len(heard)
    assert count > 0
    assert all(abi.LOG_DEBUG <= level <= abi.LOG_ERROR and text for level, text in heard)
    Bundle(tiny_bundle).close()
    assert len(heard) == count


class NewerOptions(ctypes.Structure):
    """What a header of next year might pass: the struct has grown at its end."""

    _fields_ = [*abi.SessionOptions._fields_, ("unheard_of", ctypes.c_uint64)]


class OlderMetrics(ctypes.Structure):
    """What a program of the first version passes: the struct may since have grown."""

    _fields_ = [*abi.Metrics._fields_, ("canary", ctypes.c_uint64)]


def test_a_newer_struct_is_taken_while_its_new_fields_are_zero(tiny_bundle: Path) -> None:
    from galago.runtime.bundle import Bundle

    library = abi.library()
    with Bundle(tiny_bundle) as bundle:
        session = ctypes.c_void_p()
        options = NewerOptions(struct_size=ctypes.sizeof(NewerOptions))
        status = library.galago_session_open(
            bundle.handle,
            ctypes.cast(ctypes.byref(options), ctypes.POINTER(abi.SessionOptions)),
            ctypes.byref(session),
        )
        assert status == abi.OK
        library.galago_session_close(session)


def test_an_older_struct_is_filled_to_its_end_and_no_further(tiny_bundle: Path) -> None:
    from galago.runtime.bundle import Bundle

    library = abi.library()
    with Bundle(tiny_bundle) as bundle, bundle.session() as session:
        size = OlderMetrics.canary.offset
        metrics = OlderMetrics(struct_size=size, canary=0xDEADBEEF)
        pointer = ctypes.cast(ctypes.byref(metrics), ctypes.POINTER(abi.Metrics))
        assert library.galago_session_get_metrics(session._open_handle(), pointer) == abi.OK
        assert metrics.canary == 0xDEADBEEF
        assert metrics.struct_size == size


@pytest.mark.parametrize("size", [0, 3, 4])
def test_a_struct_size_that_cannot_be_is_refused(size: int, tiny_bundle: Path) -> None:
    from galago.runtime.bundle import Bundle

    with Bundle(tiny_bundle) as bundle:
        session = ctypes.c_void_p()
        options = abi.SessionOptions(struct_size=size)
        status = abi.library().galago_session_open(
            bundle.handle, ctypes.byref(options), ctypes.byref(session)
        )
        assert status in (abi.E_ABI, abi.E_INVALID_ARGUMENT)
        assert session.value is None


def test_wrong_types_do_not_pass_through_the_prototypes(native_library: Path) -> None:
    library = abi.library()
    with pytest.raises(ctypes.ArgumentError):
        library.galago_session_step(1.5)
    with pytest.raises(ctypes.ArgumentError):
        library.galago_bundle_open(abi.ABI, 3.5, None, None)
    with pytest.raises(ctypes.ArgumentError):
        library.galago_session_open(None, ctypes.byref(abi.Metrics()), None)


def test_null_handles_are_an_answer_and_no_crash(native_library: Path) -> None:
    library = abi.library()
    for name in ("reset", "step", "end_input", "stop_speech"):
        assert getattr(library, f"galago_session_{name}")(None) == abi.E_INVALID_ARGUMENT
    assert library.galago_session_push_audio(None, None, 0, 0) == abi.E_INVALID_ARGUMENT
    library.galago_session_close(None)
    library.galago_bundle_close(None)


def test_the_engine_is_found_without_importing_it(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom galago.runtime import abi\nprint(abi.default_engine_path())\n"
        "assert 'openvino' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(Path(abi.__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.strip()
    assert printed == "None" or list(Path(printed).glob("*openvino_c*"))


def test_errors_of_the_abi_are_galago_errors() -> None:
    assert issubclass(AbiError, GalagoError)
