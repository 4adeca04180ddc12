"""A place for one image between the thread that captures and the one that looks."""

from __future__ import annotations

import threading

from galago.streaming.images.image_source import ImageFrame


class LatestImage:
    """One place: a newer image replaces the one that waits, and is counted.

    What has ended is still taken to its end: the image that waits comes first, then the failure.

    Args:
        keep_all: nothing is replaced; `put` waits until the image before was taken (a file can wait).
    """

    def __init__(self, *, keep_all: bool = False) -> None:
        self._keep_all = keep_all
        self._changed = threading.Condition()
        self._image: ImageFrame | None = None
        self._failure: BaseException | None = None
        self._ended = False
        self._closed = False
        self._num_replaced = 0

    @property
    def replaced_images(self) -> int:
        return self._num_replaced

    def put(self, image: ImageFrame) -> bool:
        """Leave an image.  False: the place is closed, and nobody wants any more."""
        with self._changed:
            if self._keep_all:
                self._changed.wait_for(lambda: self._image is None or self._closed)
            if self._closed:
                return False
            self._num_replaced += self._image is not None
            self._image = image
            self._changed.notify_all()
            return True

    def end(self, failure: BaseException | None = None) -> None:
        """No image will come any more; `failure` is raised once the last one was taken."""
        with self._changed:
            if not self._ended:
                self._ended, self._failure = True, failure
                self._changed.notify_all()

    def close(self) -> None:
        """Nobody looks any more: wakes whoever waits on either side."""
        with self._changed:
            self._closed, self._image = True, None
            self._changed.notify_all()

    def take(self, timeout_s: float | None = None) -> ImageFrame | None:
        """The newest image, once there is one.  None: no more will come.

        Raises:
            TimeoutError: none came in time.
            BaseException: the failure that `end` was told, where the place was not closed.
        """
        with self._changed:
            if not self._changed.wait_for(self._is_decided, timeout_s):
                raise TimeoutError
            image, self._image = self._image, None
            self._changed.notify_all()
            if image is None and self._failure is not None and not self._closed:
                raise self._failure
            return image

    def _is_decided(self) -> bool:
        return self._image is not None or self._ended or self._closed
