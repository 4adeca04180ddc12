"""Cameras through a `gst-launch-1.0` process: no binding, and a plug-in that crashes takes nobody with it.

Pictures come through a pipe as Y4M.  It carries no time stamps: an image of a live source is stamped when
its first byte arrives, later than the truth by what the pipeline takes (a few milliseconds for USB, the
receiver's buffer for RTSP); images of a file are counted.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
import time
from collections import deque
from contextlib import suppress
from typing import IO

import numpy as np

from galago.runtime.errors import SourceError, UnsupportedError
from galago.streaming.images.camera_source import STALL_TIMEOUT_S, START_TIMEOUT_S, CameraSource
from galago.streaming.images.gstreamer_errors import DEBIAN_PACKAGES, describe_log
from galago.streaming.images.gstreamer_pipeline import Pipeline
from galago.streaming.images.image_source import ImageFrame
from galago.streaming.images.y4m import HEIGHT_STEP, MAX_SIDE_PIXELS, WIDTH_STEP, Y4mHeader, read_y4m
from galago.streaming.source import NS_PER_S

PROGRAM = "gst-launch-1.0"
_LOG_LINES = 60
_EXIT_S = 2.0  # what a process may take to end once it failed, or its output has ended


def gst_launch_version() -> str:
    """The version of GStreamer that `gst-launch-1.0` belongs to.

    Raises:
        UnsupportedError: it is not installed, or does not run.
    """
    try:
        asked = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise UnsupportedError(f"{PROGRAM} does not run: {error}") from error
    return " ".join(line for line in asked.stdout.splitlines() if line.startswith("GStreamer"))


class GstLaunchSource(CameraSource):
    """A pipeline in a process of its own; see `CameraSource`.

    Args:
        pipeline: what to run.
        rate_hz: images a second; None: as they come.
        program: a name on the path, or a path.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        rate_hz: float | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
        stall_timeout_s: float = STALL_TIMEOUT_S,
        program: str = PROGRAM,
    ) -> None:
        super().__init__(pipeline, start_timeout_s=start_timeout_s, stall_timeout_s=stall_timeout_s)
        self._program = program
        # Passes pictures on as they are where their size fits already.
        widths = f"[{WIDTH_STEP},{MAX_SIDE_PIXELS},{WIDTH_STEP}]"
        heights = f"[{HEIGHT_STEP},{MAX_SIDE_PIXELS},{HEIGHT_STEP}]"
        fitted = f"videoscale add-borders=false ! video/x-raw,width={widths},height={heights}"
        text = f"{pipeline.text('I420', rate_hz)} ! {fitted} ! y4menc"
        try:
            self._words = shlex.split(text)
        except ValueError as error:  # a quote that never ends
            raise SourceError(f"{self.name}: {error}") from None
        self._process: subprocess.Popen[bytes] | None = None
        self._log: deque[str] = deque(maxlen=_LOG_LINES)

    def _start(self) -> None:
        read_end, write_end = os.pipe()
        try:
            self._process = subprocess.Popen(
                [self._program, "-q", *self._words, "!", "fdsink", f"fd={write_end}", "sync=false"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(write_end,),
                start_new_session=True,  # Ctrl-C is ours to answer
                env={**os.environ, "LC_ALL": "C"},  # messages are read below
            )
        except OSError as error:
            os.close(read_end)
            raise UnsupportedError(
                f"{self.name}: {self._program} is needed for cameras and videos and does not start "
                f"({error.strerror}); on Debian and Ubuntu: apt-get install {DEBIAN_PACKAGES}"
            ) from error
        finally:
            os.close(write_end)
        assert self._process.stdout is not None
        log = threading.Thread(
            target=self._collect_log, args=(self._process.stdout,), name="galago-gst-log", daemon=True
        )
        log.start()
        threading.Thread(
            target=self._capture, args=(self._process, read_end, log), name="galago-gst-images", daemon=True
        ).start()

    def _stop(self) -> None:
        if self._process is not None:
            self._kill()
            self._process.wait()

    def _kill(self) -> None:
        # The whole group: a wrapper around gst-launch may have children, which hold the pipe open.
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _collect_log(self, stream: IO[bytes]) -> None:
        ending: threading.Timer | None = None
        with stream:
            for line in stream:
                self._log.append(line.decode(errors="replace").rstrip())
                if line.startswith(b"ERROR:") and ending is None:
                    # Fatal.  gst-launch 1.22 sometimes hangs while it shuts down after a failed start.
                    ending = threading.Timer(_EXIT_S, self._kill)
                    ending.daemon = True
                    ending.start()
        if ending is not None:
            ending.cancel()

    def _capture(self, process: subprocess.Popen[bytes], read_end: int, log: threading.Thread) -> None:
        try:
            self._read_images(read_end)
            try:
                status = process.wait(timeout=_EXIT_S)
            except subprocess.TimeoutExpired:
                self._stop()
                status = process.wait()
            log.join(timeout=_EXIT_S)
            self._images.end(self._failure_of(status))
        except BaseException as error:  # of any kind: it is raised where the images are taken
            self._images.end(error)

    def _read_images(self, read_end: int) -> None:
        rate_hz = None
        num_images = 0
        capture_ns = 0
        with open(read_end, "rb") as stream:
            for item in read_y4m(stream):
                if isinstance(item, Y4mHeader):
                    rate_hz = item.rate_hz
                elif isinstance(item, np.ndarray):
                    if not self._images.put(ImageFrame(item, capture_ns, "nv12")):
                        return
                    num_images += 1
                elif self.live or rate_hz is None:
                    capture_ns = time.monotonic_ns()
                else:
                    capture_ns = round(num_images * NS_PER_S / rate_hz)

    def _failure_of(self, status: int) -> SourceError | None:
        if status == 0:
            return self._failure_at_end()
        complaint = describe_log(self._log)
        if complaint is None:
            how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"exited with {status}"
            complaint = ": ".join([f"{self._program} {how}", *list(self._log)[-1:]])
        return self._failure_with(complaint)
