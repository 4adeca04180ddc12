"""What tests of cameras share: whether GStreamer is there, videos made on the spot, a fake program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from galago.runtime.errors import UnsupportedError
from galago.streaming.images.gstreamer_appsink import load_gstreamer

WIDTH, HEIGHT = 64, 48
PICTURE = f"video/x-raw,width={WIDTH},height={HEIGHT},framerate=30/1"
LIVE = f"pipeline: videotestsrc is-live=true ! {PICTURE}"

#: Container -> encoder and muxer, of gstreamer1.0-plugins-base and -good alone.
CONTAINERS = {
    "ogv": "theoraenc ! oggmux",
    "webm": "vp8enc deadline=1 ! webmmux",
    "avi": "jpegenc ! avimux",
    "mov": "jpegenc ! qtmux faststart=true",
}


def skip_without_gst_launch() -> None:
    """Skip with the Debian packages that are missing."""
    if shutil.which("gst-launch-1.0") is None:
        pytest.skip("no gst-launch-1.0: apt-get install gstreamer1.0-tools gstreamer1.0-plugins-good")
    for element in ("videoconvert", "y4menc", "rtspsrc", "jpegenc"):
        found = subprocess.run(["gst-inspect-1.0", "--exists", element], check=False)
        if found.returncode:
            pytest.skip(f"GStreamer has no {element}: apt-get install gstreamer1.0-plugins-base -good")


def skip_without(binding: str) -> None:
    """Skip where a way into GStreamer is not installed."""
    skip_without_gst_launch()  # test videos and streams are made with it
    if binding == "appsink":
        try:
            load_gstreamer()
        except UnsupportedError as error:
            pytest.skip(str(error))


def make_video(path: Path, num_images: int = 60) -> Path:
    """A film of the test pattern at 30 images/s; the container is told by the suffix."""
    encoder = CONTAINERS[path.suffix[1:]]
    text = f"videotestsrc num-buffers={num_images} ! {PICTURE} ! {encoder} ! filesink location={path}"
    subprocess.run(["gst-launch-1.0", "-q", *text.split()], check=True, timeout=60)
    return path


def cut(path: Path, part: float) -> Path:
    """A copy that holds the first part of a file only."""
    content = path.read_bytes()
    shorter = path.with_stem(f"cut-{path.stem}")
    shorter.write_bytes(content[: int(len(content) * part)])
    return shorter


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 60.0) -> None:
    """Wait for what must happen, however long this machine takes."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.005)


@contextmanager
def running(words: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process for as long as the block lasts."""
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait(timeout=30)
        assert process.stdout is not None
        process.stdout.close()


# Writes images as galago asks gst-launch to, and then does what the test wants.
_FAKE = """#!{python}
import os, subprocess, sys, time
descriptor = int([word for word in sys.argv if word.startswith("fd=")][0][3:])
width, height, num_images = {width}, {height}, {num_images}
os.write(descriptor, b"YUV4MPEG2 C420 W%d H%d Ip F30:1 A1:1\\n" % (width, height))
for index in range(num_images):
    os.write(descriptor, b"FRAME\\n" + bytes([index]) * (width * height * 3 // 2))
{then}
"""
#: A child inherits the pipe, as one of a wrapper around gst-launch would.
STALLS = """\
os.set_inheritable(descriptor, True)
subprocess.call([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False)"""
CRASHES = "os.abort()"
FAILS = "print('ERROR: from element /GstPipeline:p/GstV4l2Src:v4l2src0: Lost the device.')\nsys.exit(1)"


def fake_gst_launch(folder: Path, then: str = "", *, num_images: int = 3) -> str:
    """A program in the place of gst-launch-1.0: some images, and then something that a test wants."""
    program = folder / "fake-gst-launch"
    script = _FAKE.format(python=sys.executable, width=WIDTH, height=HEIGHT, num_images=num_images, then=then)
    program.write_text(script)
    program.chmod(0o755)
    return os.fspath(program)
