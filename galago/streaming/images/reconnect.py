"""A live source that comes back: cameras are unplugged, networks fail, servers restart."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from galago.runtime.errors import InvalidArgumentError, SourceError
from galago.streaming.images.image_source import ImageFrame, ImageSource
from galago.streaming.source import NS_PER_S


@dataclass(slots=True)
class Backoff:
    """Waits that double, up to a ceiling, each shortened by chance.

    The jitter spreads devices that lost one server at the same moment.

    Args:
        first_s: the first wait.
        ceiling_s: no wait is longer.
        factor: from one wait to the next.
        jitter: [0, 1], the largest part that chance takes away.
    """

    first_s: float = 0.5
    ceiling_s: float = 30.0
    factor: float = 2.0
    jitter: float = 0.5
    chance: random.Random = field(default_factory=random.Random)
    _next_s: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        if not (0 < self.first_s <= self.ceiling_s and self.factor >= 1 and 0 <= self.jitter <= 1):
            raise InvalidArgumentError(
                f"backoff: expected 0 < first_s <= ceiling_s, factor >= 1 and jitter in [0, 1], found {self}"
            )

    def next_s(self) -> float:
        """How long to wait before the next attempt."""
        full_s = self._next_s or self.first_s
        self._next_s = min(self.ceiling_s, full_s * self.factor)
        return full_s * (1 - self.jitter * self.chance.random())

    def reset(self) -> None:
        """It works again: the next failure begins with the first wait."""
        self._next_s = 0.0


class ReconnectingSource(ImageSource):
    """A live source that is opened again whenever it breaks, for ever.

    Only what has worked is opened again: a source that fails before its first image raises at once, for a
    wrong address does not become right by waiting.

    Args:
        reopen: opens the source; called for each attempt.
        report: is told of each loss, each failed attempt, and of the return.
        backoff: between attempts; begins anew once images came for its ceiling.
        clock_ns: monotonic time.
        wait: sleeps so many seconds; None: until `close` at the latest.
    """

    live = True

    def __init__(
        self,
        reopen: Callable[[], ImageSource],
        *,
        report: Callable[[str], None],
        backoff: Backoff | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._reopen = reopen
        self._report = report
        self._backoff = backoff or Backoff()
        self._clock_ns = clock_ns
        self._closed = threading.Event()
        self._wait = wait or self._closed.wait
        self._lock = threading.Lock()
        self._num_reconnects = 0
        self._num_replaced = 0
        self._source = reopen()
        self.name = self._source.name

    @property
    def replaced_images(self) -> int:
        return self._num_replaced + self._source.replaced_images

    @property
    def reconnects(self) -> int:
        return self._num_reconnects

    def __iter__(self) -> Iterator[ImageFrame]:
        worked = False
        lost_ns: int | None = None
        while not self._closed.is_set():
            connected_ns: int | None = None
            try:
                for image in self._source:
                    if connected_ns is None:
                        connected_ns = self._clock_ns()
                        if lost_ns is not None:
                            self._num_reconnects += 1
                            away_s = (connected_ns - lost_ns) / NS_PER_S
                            self._report(f"{self.name}: images again, after {away_s:.1f} s")
                    worked, lost_ns = True, None
                    yield image
                return
            except SourceError as error:
                if not worked:
                    raise
                failure = error
            now_ns = self._clock_ns()
            lost_ns = now_ns if lost_ns is None else lost_ns
            # A camera that shows one image and breaks again is no camera that works.
            if connected_ns is not None and now_ns - connected_ns >= self._backoff.ceiling_s * NS_PER_S:
                self._backoff.reset()
            self._try_again(failure)

    def _try_again(self, failure: SourceError) -> None:
        """Wait, and open the source anew, until that works or somebody closes."""
        while True:
            self._source.close()
            delay_s = self._backoff.next_s()
            self._report(f"{failure}; trying again in {delay_s:.1f} s")
            self._wait(delay_s)
            with self._lock:
                if self._closed.is_set():
                    return
                try:
                    source = self._reopen()
                except SourceError as error:
                    failure = error
                    continue
                self._num_replaced += self._source.replaced_images
                self._source = source
                return

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            source = self._source
        source.close()
