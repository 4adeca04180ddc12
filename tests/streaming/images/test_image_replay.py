"""Replay: images come when their time has come, the newest wins, a failure comes last."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from galago.runtime.errors import InvalidArgumentError, SourceError
from galago.streaming.images.image_replay import RealTimeImageSource
from galago.streaming.images.image_source import ImageFrame, ImageSource
from tests.streaming.images.gstreamer import wait_until

STEP_NS = 10_000_000


class Film(ImageSource):
    """Images 10 ms apart, each as bright as its number; then a failure, if one is given."""

    name = "film"

    def __init__(self, num_images: int, failure: Exception | None = None) -> None:
        self._num_images = num_images
        self._failure = failure
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[ImageFrame]:
        for index in range(self._num_images):
            yield ImageFrame(np.full((2, 2, 3), index, np.uint8), index * STEP_NS)
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        self.closed.set()


def number(image: ImageFrame) -> int:
    return int(image.data[0, 0, 0])


def test_no_image_comes_before_its_time() -> None:
    with RealTimeImageSource(Film(20)) as source:
        images = []
        for image in source:
            assert time.monotonic_ns() >= image.capture_ns
            images.append(image)
    assert source.live
    assert number(images[-1]) == 19
    assert len(images) + source.replaced_images == 20
    for image in images:
        assert image.capture_ns - images[0].capture_ns == (number(image) - number(images[0])) * STEP_NS


def test_who_comes_late_gets_the_newest() -> None:
    with RealTimeImageSource(Film(20), speed=2.0) as source:
        images = iter(source)
        first = next(images)
        wait_until(lambda: source.replaced_images >= 10, "the film goes on")
        second = next(images)
        assert number(second) - number(first) > 10
        assert second.capture_ns - first.capture_ns == (number(second) - number(first)) * STEP_NS // 2


def test_the_failure_comes_after_the_images() -> None:
    seen = []
    with pytest.raises(SourceError, match="truncated"):
        for image in RealTimeImageSource(Film(3, SourceError("film: truncated"))):
            seen.append(number(image))
    assert seen[-1] == 2


def test_closing_wakes_whoever_waits() -> None:
    film = Film(1000)
    source = RealTimeImageSource(film, speed=0.01)  # the second image is due after a second
    images = iter(source)
    next(images)
    threading.Timer(0.05, source.close).start()
    assert list(images) == []
    assert film.closed.is_set()


def test_a_speed_out_of_reason_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="speed"):
        RealTimeImageSource(Film(1), speed=0.0)
