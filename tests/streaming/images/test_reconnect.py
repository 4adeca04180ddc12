"""A source that breaks comes back: how long it waits, what it tells, and when it gives up.  No real clock."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from galago.runtime.errors import InvalidArgumentError, SourceError
from galago.streaming.images.image_source import ImageFrame, ImageSource
from galago.streaming.images.reconnect import Backoff, ReconnectingSource
from galago.streaming.source import NS_PER_S

IMAGE = ImageFrame(np.zeros((2, 2, 3), np.uint8), 0)


class Clock:
    """Time that passes when somebody waits, or says so."""

    def __init__(self) -> None:
        self.now_ns = 5 * NS_PER_S
        self.waits_s: list[float] = []

    def __call__(self) -> int:
        return self.now_ns

    def wait(self, seconds: float) -> None:
        self.waits_s.append(seconds)
        self.now_ns += round(seconds * NS_PER_S)


class Scripted(ImageSource):
    """So many images, each of which takes a second; then it breaks, or ends."""

    name = "camera"
    live = True

    def __init__(self, clock: Clock, num_images: int, failure: str | None) -> None:
        self._clock, self._num_images, self._failure = clock, num_images, failure
        self.closed = False

    @property
    def replaced_images(self) -> int:
        return 10

    def __iter__(self) -> Iterator[ImageFrame]:
        for _ in range(self._num_images):
            if self.closed:
                return
            self._clock.now_ns += NS_PER_S
            yield IMAGE
        if self._failure:
            raise SourceError(f"camera: {self._failure}")

    def close(self) -> None:
        self.closed = True


def scripted(
    clock: Clock, *lives: tuple[int, str | None], told: list[str], ceiling_s: float = 30.0
) -> ReconnectingSource:
    """A source whose n-th life shows so many images and ends so; no jitter."""
    sources: Iterator[Callable[[], ImageSource]] = iter(
        [lambda life=life: Scripted(clock, *life) for life in lives]  # type: ignore[misc]  # a default of a lambda
    )
    return ReconnectingSource(
        lambda: next(sources)(),
        report=told.append,
        backoff=Backoff(jitter=0.0, ceiling_s=ceiling_s),
        clock_ns=clock,
        wait=clock.wait,
    )


def test_it_comes_back_and_says_so() -> None:
    clock, told = Clock(), list[str]()
    source = scripted(clock, (3, "unplugged"), (2, None), told=told)
    assert len(list(source)) == 5
    assert clock.waits_s == [0.5]
    assert told == ["camera: unplugged; trying again in 0.5 s", "camera: images again, after 1.5 s"]
    assert (source.reconnects, source.replaced_images, source.name, source.live) == (1, 20, "camera", True)


def test_waits_double_up_to_the_ceiling() -> None:
    clock, told = Clock(), list[str]()
    lives = [(1, "unplugged"), *[(0, "no such device")] * 6, (1, None)]
    list(scripted(clock, *lives, told=told, ceiling_s=8.0))
    assert clock.waits_s == [0.5, 1, 2, 4, 8, 8, 8]
    assert told[-1] == "camera: images again, after 32.5 s"


def test_what_worked_for_long_begins_with_the_first_wait() -> None:
    clock, told = Clock(), list[str]()
    lives = [(1, "a"), (1, "b"), (9, "c"), (1, None)]
    list(scripted(clock, *lives, told=told, ceiling_s=8.0))
    assert clock.waits_s == [0.5, 1, 0.5], "one image is no camera that works; nine seconds are"


def test_what_never_worked_is_not_tried_again() -> None:
    clock, told = Clock(), list[str]()
    with pytest.raises(SourceError, match="no such device"):
        list(scripted(clock, (0, "no such device"), (5, None), told=told))
    assert told == [] and clock.waits_s == []


def test_a_source_that_cannot_even_be_opened_again_is_waited_for() -> None:
    clock, told = Clock(), list[str]()
    attempts = iter([Scripted(clock, 1, "unplugged"), None, Scripted(clock, 1, None)])

    def reopen() -> ImageSource:
        source = next(attempts)
        if source is None:
            raise SourceError("camera: not yet")
        return source

    source = ReconnectingSource(
        reopen, report=told.append, backoff=Backoff(jitter=0.0), clock_ns=clock, wait=clock.wait
    )
    assert len(list(source)) == 2
    assert told[1] == "camera: not yet; trying again in 1.0 s"


def test_closing_ends_the_waiting() -> None:
    clock, told = Clock(), list[str]()
    source = scripted(clock, (1, "unplugged"), (1, None), told=told)
    source._wait = lambda seconds: source.close()
    assert len(list(source)) == 1
    assert source._source.closed  # type: ignore[attr-defined]  # it is a Scripted


def test_closing_ends_the_images() -> None:
    clock, told = Clock(), list[str]()
    source = scripted(clock, (100, "unplugged"), told=told)
    images = iter(source)
    next(images)
    source.close()
    assert list(images) == [] and told == []


# -- Backoff ---------------------------------------------------------------------------------------------


def test_chance_only_shortens_a_wait() -> None:
    backoff = Backoff(first_s=1.0, ceiling_s=16.0, jitter=0.25, chance=random.Random(1))
    for full_s in (1, 2, 4, 8, 16, 16, 16):
        assert 0.75 * full_s <= backoff.next_s() <= full_s
    backoff.reset()
    assert backoff.next_s() <= 1.0


def test_two_devices_do_not_wait_alike() -> None:
    waits_s = {Backoff(chance=random.Random(seed)).next_s() for seed in range(20)}
    assert len(waits_s) == 20


@pytest.mark.parametrize("options", [{"first_s": 0.0}, {"ceiling_s": 0.1}, {"factor": 0.5}, {"jitter": 2.0}])
def test_a_backoff_out_of_reason_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(InvalidArgumentError, match="backoff"):
        Backoff(**options)  # type: ignore[arg-type]  # every option here is a number
