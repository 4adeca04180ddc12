"""The ctypes mirror of `galago.h`: structs, constants, prototypes, and the way to the library.

Nothing here has a mind of its own: read the header for what a call means.  The sizes of the structs
are asserted when this module is imported, the ABI number when the library is loaded, and
`tests/runtime/test_abi.py` compiles the header and compares every offset.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import site
import sys
import sysconfig
from collections.abc import Callable, Iterator
from ctypes import POINTER, c_char_p, c_float, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

from galago.runtime.errors import AbiError, LibraryNotFoundError, of_status

ABI_MAJOR = 0
ABI_MINOR = 1
ABI = (ABI_MAJOR << 16) | ABI_MINOR

OK = 0
EMPTY = 1
TIMEOUT = 2
E_INTERNAL = -1
E_INVALID_ARGUMENT = -2
E_INVALID_STATE = -3
E_ABI = -4
E_NOT_FOUND = -5
E_CORRUPT = -6
E_UNSUPPORTED = -7
E_NO_MEMORY = -8
E_FULL = -9
E_BACKEND = -10

LOG_DEBUG = 0
LOG_INFO = 1
LOG_WARNING = 2
LOG_ERROR = 3

SESSION_WORKER = 1 << 0
SESSION_NO_PARTIALS = 1 << 1
SESSION_POSTERIORS = 1 << 2
SESSION_BEAM = 1 << 3
SESSION_GREEDY = 1 << 4
SESSION_ONE_PASS = 1 << 5

EVENT_VOICE_START = 1
EVENT_VOICE_STOP = 2
EVENT_PARTIAL = 3
EVENT_FINAL = 4
EVENT_LABELS = 5
EVENT_EMBEDDING = 6
EVENT_SPEAK_START = 7
EVENT_SPEAK_STOP = 8
EVENT_GAP = 9
EVENT_FAILED = 10
EVENT_INTENT = 11
EVENT_POSTERIORS = 12
EVENT_REJECTED = 13
EVENT_PHRASE = 14
EVENT_LOGITS = 15

RGB8 = 1
BGR8 = 2
GRAY8 = 3
NV12 = 4

# -- structs, field by field as in the header ----------------------------------------------------------


class BundleOptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("num_threads", c_int32),
        ("backend", c_char_p),
        ("cache_dir", c_char_p),
        ("chunk_ms", c_int32),
        ("engine_path", c_char_p),
        ("roles", c_char_p),
    ]


class SessionOptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("input_capacity_ms", c_uint32),
        ("event_capacity", c_uint32),
        ("endpoint_silence_ms", c_uint32),
        ("max_utterance_ms", c_uint32),
    ]


class SessionInfo(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("input_sample_rate_hz", c_int32),
        ("speech_sample_rate_hz", c_int32),
        ("chunk_samples", c_int32),
        ("left_context_samples", c_int32),
        ("lookahead_samples", c_int32),
        ("image_width", c_int32),
        ("image_height", c_int32),
    ]


class Image(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("format", c_uint32),
        ("width", c_int32),
        ("height", c_int32),
        ("planes", c_void_p * 2),
        ("row_stride_bytes", c_int32 * 2),
        ("capture_ns", c_int64),
    ]


class Label(ctypes.Structure):
    _fields_ = [
        ("name", c_char_p),
        ("value", c_char_p),
        ("score", c_float),
        ("reserved", c_uint32),
    ]


class Word(ctypes.Structure):
    _fields_ = [
        ("text", c_char_p),
        ("begin_ns", c_int64),
        ("end_ns", c_int64),
        ("confidence", c_float),
        ("reserved", c_uint32),
    ]


class Event(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("type", c_uint32),
        ("sequence", c_uint64),
        ("utterance", c_uint64),
        ("begin_ns", c_int64),
        ("end_ns", c_int64),
        ("emitted_ns", c_int64),
        ("status", c_int32),
        ("stable_bytes", c_uint32),
        ("text", c_char_p),
        ("words", POINTER(Word)),
        ("num_words", c_size_t),
        ("labels", POINTER(Label)),
        ("num_labels", c_size_t),
        ("values", POINTER(c_float)),
        ("num_values", c_size_t),
    ]


class Metrics(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("gaps", c_uint32),
        ("input_samples", c_uint64),
        ("refused_samples", c_uint64),
        ("replaced_images", c_uint64),
        ("steps", c_uint64),
        ("late_steps", c_uint64),
        ("busy_ns", c_int64),
        ("step_p50_ns", c_int64),
        ("step_p99_ns", c_int64),
        ("partial_latency_ns", c_int64),
        ("final_latency_ns", c_int64),
        ("ttfa_ns", c_int64),
        ("peak_bytes", c_int64),
        ("engine_ns", c_int64),
        ("image_steps", c_uint64),
        ("image_busy_ns", c_int64),
        ("image_engine_ns", c_int64),
        ("image_step_p50_ns", c_int64),
        ("image_step_p99_ns", c_int64),
        ("speech_samples", c_uint64),
        ("speech_busy_ns", c_int64),
        ("speech_engine_ns", c_int64),
        ("speech_underruns", c_uint64),
        ("reserved", c_uint64 * 2),
    ]


STRUCTS: dict[str, type[ctypes.Structure]] = {
    "galago_bundle_options": BundleOptions,
    "galago_session_options": SessionOptions,
    "galago_session_info": SessionInfo,
    "galago_image": Image,
    "galago_label": Label,
    "galago_word": Word,
    "galago_event": Event,
    "galago_metrics": Metrics,
}

# The same numbers stand in static assertions of the core.  Only 64-bit boards are supported.
_SIZES_BYTES = {
    BundleOptions: 48,
    SessionOptions: 24,
    SessionInfo: 32,
    Image: 48,
    Label: 24,
    Word: 32,
    Event: 112,
    Metrics: 200,
}
for _struct, _size_bytes in _SIZES_BYTES.items():
    if ctypes.sizeof(_struct) != _size_bytes:
        raise AbiError(f"{_struct.__name__}: {ctypes.sizeof(_struct)} bytes here, {_size_bytes} in galago.h")

LogFunction = ctypes.CFUNCTYPE(None, c_void_p, c_int32, c_char_p)
WakeFunction = ctypes.CFUNCTYPE(None, c_void_p)

_HANDLE_OUT = POINTER(c_void_p)
PROTOTYPES: dict[str, tuple[Any, list[Any]]] = {
    "galago_abi": (c_uint32, []),
    "galago_version": (c_char_p, []),
    "galago_status_name": (c_char_p, [c_int32]),
    "galago_last_error": (c_char_p, []),
    "galago_set_log": (None, [LogFunction, c_void_p, c_int32]),
    "galago_bundle_open": (c_int32, [c_uint32, c_char_p, POINTER(BundleOptions), _HANDLE_OUT]),
    "galago_bundle_metadata": (c_int32, [c_void_p, c_char_p, POINTER(c_char_p)]),
    "galago_bundle_close": (None, [c_void_p]),
    "galago_session_open": (c_int32, [c_void_p, POINTER(SessionOptions), _HANDLE_OUT]),
    "galago_session_get_info": (c_int32, [c_void_p, POINTER(SessionInfo)]),
    "galago_session_reset": (c_int32, [c_void_p]),
    "galago_session_close": (None, [c_void_p]),
    "galago_session_set_grammar": (c_int32, [c_void_p, c_char_p, c_size_t]),
    "galago_session_set_phrases": (c_int32, [c_void_p, c_char_p, c_size_t]),
    "galago_session_set_hotwords": (c_int32, [c_void_p, POINTER(c_char_p), POINTER(c_float), c_size_t]),
    # Samples travel as an address: a typed pointer would cost a cast for every push.
    "galago_session_push_audio": (c_int32, [c_void_p, c_void_p, c_size_t, c_int64]),
    "galago_session_push_image": (c_int32, [c_void_p, POINTER(Image)]),
    "galago_session_end_input": (c_int32, [c_void_p]),
    "galago_session_step": (c_int32, [c_void_p]),
    "galago_session_next_event": (c_int32, [c_void_p, POINTER(Event)]),
    "galago_session_wait": (c_int32, [c_void_p, c_int32]),
    "galago_session_set_wake": (c_int32, [c_void_p, WakeFunction, c_void_p]),
    "galago_session_speak": (c_int32, [c_void_p, c_char_p, POINTER(c_uint64)]),
    "galago_session_read_speech": (c_int32, [c_void_p, c_void_p, c_size_t, POINTER(c_size_t)]),
    "galago_session_stop_speech": (c_int32, [c_void_p]),
    "galago_session_get_metrics": (c_int32, [c_void_p, POINTER(Metrics)]),
}


# -- the library --------------------------------------------------------------------------------------

_LIBRARY_NAME = {"win32": "galago.dll", "darwin": "libgalago.dylib"}.get(sys.platform, "libgalago.so")


def library_candidates() -> Iterator[Path]:
    """Where the library may stand, the first that exists wins; GALAGO_LIBRARY overrules them all."""
    override = os.environ.get("GALAGO_LIBRARY")
    if override:
        yield Path(override)
        return
    package = Path(__file__).resolve().parent
    yield package / "lib" / _LIBRARY_NAME
    # An editable install redirects the imports to the source tree but puts what CMake built here.
    installed = [*site.getsitepackages(), site.getusersitepackages(), sysconfig.get_path("platlib")]
    for folder in dict.fromkeys(installed):
        yield Path(folder) / "galago" / "runtime" / "lib" / _LIBRARY_NAME
    root = package.parent.parent
    if (root / "CMakeLists.txt").is_file():
        yield root / "build" / "release" / _LIBRARY_NAME


def find_library() -> Path:
    """The path of libgalago.

    Raises:
        LibraryNotFoundError: it is in none of `library_candidates()`; the message lists them.
    """
    candidates = list(library_candidates())
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    places = "\n  ".join(str(candidate) for candidate in candidates)
    raise LibraryNotFoundError(
        f"{_LIBRARY_NAME} is nowhere to be found; looked for\n  {places}\n"
        "Install a wheel (pip install galago), or build it: "
        "cmake --preset release && cmake --build build/release"
    )


@functools.lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """Load libgalago once, declare its functions and check that it fits this package.

    Raises:
        LibraryNotFoundError: there is none.
        AbiError: it cannot be loaded, lacks a function, or speaks another ABI.
    """
    path = find_library()
    try:
        loaded = ctypes.CDLL(str(path))
    except OSError as error:
        raise AbiError(f"{path}: cannot be loaded: {error}") from error
    for name, (result, arguments) in PROTOTYPES.items():
        try:
            function = getattr(loaded, name)
        except AttributeError:
            raise AbiError(f"{path}: has no {name}; it does not belong to this version of galago") from None
        function.restype = result
        function.argtypes = arguments
    abi: int = loaded.galago_abi()
    if abi != ABI:
        raise AbiError(f"{path}: ABI {abi >> 16}.{abi & 0xFFFF}, this package needs {ABI_MAJOR}.{ABI_MINOR}")
    return loaded


def version() -> str:
    """The version of the loaded library and the engines it was built for."""
    text: bytes = library().galago_version()
    return text.decode()


def check(status: int) -> int:
    """Pass a status that is no failure through; raise the exception of one that is.

    Call it on the thread that made the call, before any other: the message belongs to the thread.
    """
    if status < 0:
        message: bytes = library().galago_last_error()
        raise of_status(status, message.decode(errors="replace"))
    return status


def default_engine_path() -> Path | None:
    """The folder of OpenVINO's libraries inside its Python wheel; None where that is not installed.

    Found without importing it: the import costs 100 ms and memory that the native core never uses.
    """
    spec = importlib.util.find_spec("openvino")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))) / "libs"
    return folder if folder.is_dir() else None


_installed_log: object = None  # keeps the callback alive for as long as the library may call it


def set_log(log: Callable[[int, str], None] | None, min_level: int = LOG_INFO) -> None:
    """Hear what the core has to say: `log(level, text)`, from any thread; None makes it silent again.

    An exception of `log` cannot travel through C: ctypes reports it through `sys.unraisablehook`.
    """
    global _installed_log

    if log is None:
        library().galago_set_log(LogFunction(), None, min_level)
        _installed_log = None
        return

    heard = log

    def receive(_user_data: int | None, level: int, text: bytes) -> None:
        heard(level, text.decode(errors="replace"))

    callback = LogFunction(receive)
    library().galago_set_log(callback, None, min_level)
    _installed_log = callback
