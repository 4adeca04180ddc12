"""From an image source through a session to events: the newest image is looked at, the others are counted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from galago.runtime.errors import InvalidArgumentError, InvalidStateError
from galago.runtime.events import Event
from galago.runtime.session import Metrics, Session
from galago.streaming.images.image_source import ImageSource
from galago.streaming.pipeline import healthy_events
from galago.streaming.source import NS_PER_S


class ImageRate:
    """Which images to look at, so that there are `rate_hz` a second over any stretch, and at most one more.

    An image may come up to half a period early: cameras jitter, and whoever waits for the next one then sees
    half as many as they asked for.
    """

    def __init__(self, rate_hz: float) -> None:
        if not rate_hz > 0:
            raise InvalidArgumentError(f"rate_hz: expected more than 0, found {rate_hz}")
        self._period_ns = round(NS_PER_S / rate_hz)
        self._due_ns: int | None = None

    def takes(self, capture_ns: int) -> bool:
        """Whether the image of this time is looked at."""
        if self._due_ns is None or capture_ns > self._due_ns + self._period_ns:
            self._due_ns = capture_ns  # the first, or the first after a pause
        if capture_ns < self._due_ns - self._period_ns // 2:
            return False
        self._due_ns += self._period_ns
        return True


@dataclass(frozen=True, slots=True)
class WatchReport:
    """What happened, apart from the labels."""

    name: str
    images: int  # looked at
    skipped_images: int  # more than were asked for
    replaced_images: int  # of a live source that was faster than the session
    reconnects: int
    wall_s: float
    metrics: Metrics


class Watcher:
    """One image source through one session.  Iterate it once; then look at `report`.

    A source that breaks is looked at until its last image: then its SourceError is raised.

    Args:
        source: where images come from.
        session: of a bundle with an eye, without a worker.
        rate_hz: look at so many images a second; None: at all that come in time.

    Attributes:
        origin_ns: capture time of the first image, from which times of a file are counted.

    Raises:
        InvalidStateError: the session has a worker.
    """

    def __init__(self, source: ImageSource, session: Session, *, rate_hz: float | None = None) -> None:
        if session.worker:
            raise InvalidStateError(
                "watching: this session has a worker; push images and take events instead"
            )
        self._source = source
        self._session = session
        self._rate = None if rate_hz is None else ImageRate(rate_hz)
        self._num_images = 0
        self._num_skipped = 0
        self._begin_s = time.monotonic()
        self.origin_ns: int | None = None

    def __iter__(self) -> Iterator[Event]:
        self._begin_s = time.monotonic()
        for image in self._source:
            if self.origin_ns is None:
                self.origin_ns = image.capture_ns
            if self._rate is not None and not self._rate.takes(image.capture_ns):
                self._num_skipped += 1
                continue
            self._session.push_image(image.data, image.capture_ns, format=image.format)
            self._num_images += 1
            while self._session.step():
                yield from healthy_events(self._session)
            yield from healthy_events(self._session)

    def stop(self) -> None:
        """Take no more images; the iteration ends.  From any thread."""
        self._source.close()

    @property
    def report(self) -> WatchReport:
        return WatchReport(
            name=self._source.name,
            images=self._num_images,
            skipped_images=self._num_skipped,
            replaced_images=self._source.replaced_images,
            reconnects=self._source.reconnects,
            wall_s=time.monotonic() - self._begin_s,
            metrics=self._session.metrics(),
        )
