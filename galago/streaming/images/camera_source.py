"""What both ways into GStreamer share: a thread that captures, one that looks, and a watch on stalls."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Iterator

from galago.runtime.errors import SourceError
from galago.streaming.images.gstreamer_pipeline import Pipeline, without_password
from galago.streaming.images.image_source import ImageFrame, ImageSource
from galago.streaming.images.latest_image import LatestImage
from galago.streaming.images.video_file import missing_bytes

START_TIMEOUT_S = 20.0  # until the first image: network cameras send a whole picture every few seconds only
STALL_TIMEOUT_S = 5.0


class CameraSource(ImageSource):
    """Images of a GStreamer pipeline.

    Subclasses start the pipeline in `_start`, put what it delivers into `self._images` from a thread of
    their own, tell its end there, and stop it in `_stop`.

    Args:
        pipeline: what to run.
        start_timeout_s: until the first image.
        stall_timeout_s: from one image to the next; a source that is slower has stalled.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        start_timeout_s: float = START_TIMEOUT_S,
        stall_timeout_s: float = STALL_TIMEOUT_S,
    ) -> None:
        self.name = pipeline.name
        self.live = pipeline.live
        self._pipeline = pipeline
        self._start_timeout_s = start_timeout_s
        self._stall_timeout_s = stall_timeout_s
        self._images = LatestImage(keep_all=not pipeline.live)
        self._closed = threading.Event()
        self._lock = threading.Lock()

    @property
    def replaced_images(self) -> int:
        return self._images.replaced_images

    @abstractmethod
    def _start(self) -> None:
        """Start capturing, in a moment; raise GalagoError where nothing can be started."""

    @abstractmethod
    def _stop(self) -> None:
        """Stop capturing and release the device; may be called twice, and before `_start`."""

    def __iter__(self) -> Iterator[ImageFrame]:
        with self._lock:  # `close` comes before or after the start, never between
            if self._closed.is_set():
                return
            self._start()
        num_images = 0
        try:
            while True:
                timeout_s = self._stall_timeout_s if num_images else self._start_timeout_s
                try:
                    image = self._images.take(timeout_s)
                except TimeoutError:
                    what = "it stalled" if num_images else "it never began"
                    raise SourceError(f"{self.name}: no image for {timeout_s:g} s: {what}") from None
                if image is None:
                    break
                num_images += 1
                yield image
        finally:
            self.close()

    def close(self) -> None:
        self._closed.set()
        self._images.close()
        with self._lock:
            self._stop()

    def _failure_at_end(self) -> SourceError | None:
        """What is wrong with a pipeline that ended without an error."""
        missing = self._missing()
        if missing is not None:
            return SourceError(f"{self.name}: truncated: {missing}")
        if not self._pipeline.ends:
            return SourceError(f"{self.name}: the stream ended: is it unplugged, or did its server stop?")
        return None

    def _failure_with(self, complaint: str) -> SourceError:
        """What is wrong with a pipeline that ended with this complaint."""
        missing = self._missing()
        truncated = "" if missing is None else f"truncated: {missing}: "
        return SourceError(f"{self.name}: {truncated}{without_password(complaint)}")

    def _missing(self) -> str | None:
        path = self._pipeline.path
        return missing_bytes(path) if path is not None and path.is_file() else None
