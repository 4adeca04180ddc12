"""`galago doctor`: what is installed, what is missing, and how to get it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json as json_format
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Literal

import typer

from galago.boards.profile import this_machine
from galago.runtime import abi
from galago.runtime.bundle import Bundle
from galago.runtime.bundle_folder import find_bundle
from galago.runtime.errors import GalagoError
from galago.streaming.cli.exits import FAILED, exit_codes
from galago.streaming.cli.options import human_path
from galago.streaming.cli.tables import print_table
from galago.streaming.images.gstreamer_appsink import load_gstreamer
from galago.streaming.images.gstreamer_errors import DEBIAN_PACKAGES
from galago.streaming.images.gstreamer_launch import gst_launch_version
from galago.streaming.images.v4l2_devices import default_camera, list_cameras
from galago.streaming.turns.speex import load_speexdsp

State = Literal["ok", "missing", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked for."""

    name: str
    needed_for: str
    state: State
    detail: str
    remedy: str | None = None
    essential: bool = False  # without it nothing is heard at all


def doctor(*, json: bool) -> None:
    """Print the findings; exit with 1 where something essential is missing."""
    with exit_codes():
        board = this_machine()
        findings = list(examine())
        if json:
            row = {"board": board.as_dict(), "findings": [asdict(finding) for finding in findings]}
            print(json_format.dumps(row, indent=1, ensure_ascii=False))
        else:
            memory = "" if board.memory_bytes is None else f", {board.memory_bytes / 2**30:.1f} GiB"
            print(f"{board.name}: {board.num_cores} cores{memory}; {board.operating_system}")
            print(f"instruction sets that matter: {', '.join(board.instruction_sets) or 'none known'}\n")
            print_table(
                ["", "state", "for", "detail"],
                [(found.name, found.state, found.needed_for, found.detail) for found in findings],
            )
            remedies = [found for found in findings if found.state != "ok" and found.remedy]
            if remedies:
                print()
            for found in remedies:
                print(f"{found.name}: {found.remedy}")
        if any(found.essential and found.state != "ok" for found in findings):
            raise typer.Exit(FAILED)


def examine() -> Iterator[Finding]:
    """Look for everything that galago can use, the essential first."""
    yield Finding("Python", "everything", "ok", f"{platform.python_version()} at {sys.executable}")
    yield _tried(
        "libgalago", "everything", _library, remedy="GALAGO_LIBRARY=... names another place", essential=True
    )
    yield _module("numpy", "everything", "pip install numpy", essential=True)
    yield _openvino()
    yield _tried(
        "default bundle",
        "hearing",
        _default_bundle,
        remedy="a bundle ships in the wheel; other directories: --bundle DIRECTORY",
        essential=True,
    )
    yield _loading("soundfile", "audio files", "pip install 'galago[audio]'", "libsndfile1")
    yield _loading("soxr", "other sample rates", "pip install 'galago[audio]'", None)
    yield _loading("sounddevice", "the microphone", "pip install 'galago[audio]'", "libportaudio2")
    yield _loading(
        "pyaudio", "the microphone (second way)", "pip install 'galago[pyaudio]'", "portaudio19-dev"
    )
    yield _tried(
        "speexdsp",
        "hearing while speaking",
        lambda: f"{load_speexdsp()._name} cancels the echo of what is said",
        remedy='apt-get install libspeexdsp1; without it: echo = "half-duplex"',
    )
    yield from examine_eyes()
    yield _module("hassil", "compiling grammars", "pip install 'galago[grammar]'")
    yield _module("typer", "the command line", "pip install 'galago[cli]'")
    yield _module("rich", "the live transcript", "pip install 'galago[cli]'")
    # Workstation only, and never loaded from here: its import takes seconds.
    yield _module("torch", "training (workstation)", "pip install torch==2.13.0, then 'galago[train]'")
    yield _module("onnx", "making bundles (workstation)", "pip install 'galago[quantize]'")


def examine_eyes() -> Iterator[Finding]:
    """Look for what images and cameras need."""
    yield _loading("PIL", "image files", "pip install 'galago[camera]'", None)
    yield _tried(
        "gst-launch-1.0",
        "cameras and videos",
        gst_launch_version,
        remedy=f"apt-get install {DEBIAN_PACKAGES}",
    )
    yield _tried(
        "PyGObject",
        "cameras and videos (second way)",
        lambda: str(load_gstreamer().version_string()),
        remedy="without it, gst-launch-1.0 serves as well",
    )
    yield _tried("camera", "seeing", _cameras, remedy="others: `galago watch rtsp://...`, videos, images")


def _tried(
    name: str, needed_for: str, look: Callable[[], str], *, remedy: str, essential: bool = False
) -> Finding:
    try:
        return Finding(name, needed_for, "ok", look(), essential=essential)
    except GalagoError as error:
        first_line, *rest = str(error).splitlines()
        return Finding(name, needed_for, "missing", first_line, "\n".join([*rest, remedy]), essential)


def _cameras() -> str:
    default_camera()
    return ", ".join(f"{camera.path} ({camera.name})" for camera in list_cameras())


def _library() -> str:
    return f"{abi.version()} at {human_path(abi.find_library())}"


def _default_bundle() -> str:
    folder = find_bundle("default")
    with Bundle(folder) as bundle:
        opened = bundle.metadata("open.target")
        return f"{bundle.manifest.name} {bundle.manifest.version}: {opened} runs here"


def _openvino() -> Finding:
    folder = abi.default_engine_path()
    remedy = "pip install 'galago[openvino]', or OpenVINO's own packages where the loader finds them"
    if folder is None:
        return Finding("openvino", "running models", "missing", "no wheel installed here", remedy)
    return Finding("openvino", "running models", "ok", f"{_version('openvino')} at {human_path(folder)}")


def _module(name: str, needed_for: str, remedy: str, *, essential: bool = False) -> Finding:
    """By its metadata alone: nothing is imported."""
    if importlib.util.find_spec(name) is None:
        return Finding(name, needed_for, "missing", "not installed", remedy, essential)
    return Finding(name, needed_for, "ok", _version(name), essential=essential)


def _loading(name: str, needed_for: str, remedy: str, debian: str | None) -> Finding:
    """By importing it: the Python package may be there and the system library that it loads may not."""
    system = f"; on Debian and Ubuntu: apt-get install {debian}" if debian else ""
    if importlib.util.find_spec(name) is None:
        return Finding(name, needed_for, "missing", "not installed", remedy + system)
    try:
        importlib.import_module(name)
    except (ImportError, OSError) as error:
        return Finding(
            name, needed_for, "broken", f"{_version(name)}: {error}", (system or remedy).lstrip("; ")
        )
    return Finding(name, needed_for, "ok", _version(name))


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "version unknown"
