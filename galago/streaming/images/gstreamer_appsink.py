"""Cameras through GStreamer inside this process, by PyGObject: true capture times, no second process.

Needs the extra galago[gstreamer] (or Debian's python3-gi) and GStreamer's introspection data.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import threading
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from galago.runtime.errors import SourceError, UnsupportedError
from galago.streaming.extras import import_extra
from galago.streaming.images.camera_source import STALL_TIMEOUT_S, START_TIMEOUT_S, CameraSource
from galago.streaming.images.gstreamer_errors import DEBIAN_PACKAGES, describe
from galago.streaming.images.gstreamer_pipeline import Pipeline
from galago.streaming.images.image_source import ImageFrame

_NAP_NS = 50_000_000  # so long `close` may wait for the thread to notice
_RELEASE_S = 2.0  # a driver that hangs holds nobody up for longer


def load_gstreamer() -> Any:
    """The `Gst` module, initialised.

    Raises:
        UnsupportedError: PyGObject or GStreamer's introspection data is not installed.
    """
    _throw_with_gcc()
    gi = import_extra(
        "gi",
        extra="gstreamer",
        purpose="cameras inside this process",
        debian="libgirepository1.0-dev libcairo2-dev pkg-config gcc",
    )
    try:
        gi.require_version("Gst", "1.0")
        gst = importlib.import_module("gi.repository.Gst")
    except (ValueError, ImportError) as error:
        raise UnsupportedError(
            f"PyGObject is there, GStreamer's introspection data is not ({error}); on Debian and Ubuntu: "
            f"apt-get install gir1.2-gst-plugins-base-1.0 {DEBIAN_PACKAGES}"
        ) from error
    gst.init(None)
    return gst


def _throw_with_gcc() -> None:
    """Let every library that is loaded from here on find the C++ exceptions of libgcc first.

    GStreamer brings libunwind into the whole process, whose functions have the same names: a library that is
    loaded after it, such as an inference engine, would die of the first exception that it throws.
    """
    with contextlib.suppress(OSError):  # another compiler's runtime
        ctypes.CDLL("libgcc_s.so.1", mode=ctypes.RTLD_GLOBAL)


class AppsinkSource(CameraSource):
    """A pipeline that ends in an appsink; see `CameraSource`.

    Args:
        pipeline: what to run.
        rate_hz: images a second; None: as they come.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        rate_hz: float | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
        stall_timeout_s: float = STALL_TIMEOUT_S,
    ) -> None:
        super().__init__(pipeline, start_timeout_s=start_timeout_s, stall_timeout_s=stall_timeout_s)
        self._gst = load_gstreamer()
        self._glib: Any = importlib.import_module("gi.repository.GLib")
        # One image waits in the sink; a file waits for it to be taken, a camera replaces it.
        drop = "true" if pipeline.live else "false"
        self._text = (
            f"{pipeline.text('NV12', rate_hz)} "
            f"! appsink name=galago sync=false max-buffers=1 drop={drop} enable-last-sample=false"
        )
        self._thread: threading.Thread | None = None

    def _start(self) -> None:
        try:
            running = self._gst.parse_launch(self._text)
        except self._glib.Error as error:
            raise SourceError(f"{self.name}: {describe('', error.message, '')}") from error
        self._thread = threading.Thread(
            target=self._capture, args=(running,), name="galago-gst-images", daemon=True
        )
        self._thread.start()

    def _stop(self) -> None:
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=_RELEASE_S)

    def _capture(self, running: Any) -> None:
        gst = self._gst
        try:
            sink = running.get_by_name("galago")
            bus = running.get_bus()
            # May take seconds, or fail; what failed is on the bus.
            started = running.set_state(gst.State.PLAYING) != gst.StateChangeReturn.FAILURE
            while not self._closed.is_set():
                sample = sink.emit("try-pull-sample", _NAP_NS) if started else None
                if sample is not None:
                    if not self._images.put(self._image_of(sample, running)):
                        break
                    continue
                message = bus.pop_filtered(gst.MessageType.ERROR | gst.MessageType.EOS)
                if message is not None or not started:
                    self._images.end(self._failure_of(message))
                    break
        except BaseException as error:  # of any kind: it is raised where the images are taken
            self._images.end(error)
        finally:
            running.set_state(gst.State.NULL)

    def _failure_of(self, message: Any) -> SourceError | None:
        if message is None:
            return SourceError(f"{self.name}: the pipeline does not start")
        if message.type == self._gst.MessageType.EOS:
            return self._failure_at_end()
        error, debug = message.parse_error()
        return self._failure_with(describe(message.src.get_name(), error.message, debug or ""))

    def _image_of(self, sample: Any, running: Any) -> ImageFrame:
        structure = sample.get_caps().get_structure(0)
        width, height = structure.get_value("width"), structure.get_value("height")
        buffer = sample.get_buffer()
        found, view = buffer.map(self._gst.MapFlags.READ)
        if not found:
            raise SourceError(f"{self.name}: a picture whose memory cannot be read")
        try:
            data = _packed_nv12(np.frombuffer(view.data, np.uint8), width, height)
        finally:
            buffer.unmap(view)
        return ImageFrame(data, self._capture_ns(sample, buffer, running), "nv12")

    def _capture_ns(self, sample: Any, buffer: Any, running: Any) -> int:
        """Media time of a file; else the pipeline's time stamp on the monotonic clock."""
        now_ns = time.monotonic_ns()
        if buffer.pts == self._gst.CLOCK_TIME_NONE:
            return now_ns
        running_ns = sample.get_segment().to_running_time(self._gst.Format.TIME, buffer.pts)
        if not self.live:
            return int(running_ns)
        # By its age: the pipeline may run on another clock, such as that of a sound card.
        age_ns = running.get_clock().get_time() - running.get_base_time() - running_ns
        return now_ns - max(0, int(age_ns))


def _packed_nv12(flat: npt.NDArray[np.uint8], width: int, height: int) -> npt.NDArray[np.uint8]:
    """NV12 as GStreamer lays it out (rows in steps of 4 bytes) to rows without padding and even sides."""
    stride = (width + 3) // 4 * 4
    luma_rows, chroma_rows = (height + 1) // 2 * 2, (height + 1) // 2
    even_height, even_width = height // 2 * 2, width // 2 * 2
    padded = flat[: (luma_rows + chroma_rows) * stride].reshape(-1, stride)
    packed = np.empty((even_height * 3 // 2, even_width), np.uint8)
    packed[:even_height] = padded[:even_height, :even_width]
    packed[even_height:] = padded[luma_rows : luma_rows + even_height // 2, :even_width]
    return packed
