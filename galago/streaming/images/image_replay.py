"""A video or a folder as a camera would deliver it: in real time, the newest image wins."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from galago.runtime.errors import InvalidArgumentError
from galago.streaming.images.image_source import ImageFrame, ImageSource
from galago.streaming.images.latest_image import LatestImage
from galago.streaming.source import NS_PER_S


class RealTimeImageSource(ImageSource):
    """Another source at the pace of a clock: an image is there when its time has come.

    Whoever comes late gets the newest; what it replaced is counted.  Capture times are monotonic.

    Args:
        source: what to replay; its capture times say when.
        speed: 2.0 plays twice as fast.
    """

    def __init__(self, source: ImageSource, *, speed: float = 1.0) -> None:
        if not 0.01 <= speed <= 1000.0:
            raise InvalidArgumentError(f"speed: expected 0.01 to 1000, found {speed}")
        self._source = source
        self._speed = speed
        self._latest = LatestImage()
        self._closed = threading.Event()
        self.name = source.name
        self.live = True

    @property
    def replaced_images(self) -> int:
        return self._latest.replaced_images

    def __iter__(self) -> Iterator[ImageFrame]:
        threading.Thread(target=self._play, name="galago-replay", daemon=True).start()
        try:
            while (image := self._latest.take()) is not None:
                yield image
        finally:
            self.close()

    def _play(self) -> None:
        start_ns: int | None = None
        try:
            for image in self._source:
                if start_ns is None:  # the first image is there at once, however long opening took
                    start_ns = time.monotonic_ns() - round(image.capture_ns / self._speed)
                due_ns = start_ns + round(image.capture_ns / self._speed)
                if self._closed.wait(max(0, due_ns - time.monotonic_ns()) / NS_PER_S):
                    return
                if not self._latest.put(ImageFrame(image.data, due_ns, image.format)):
                    return
            self._latest.end()
        except BaseException as error:  # of any kind: it is raised where the images are taken
            self._latest.end(error)

    def close(self) -> None:
        self._closed.set()
        self._latest.close()
        self._source.close()
