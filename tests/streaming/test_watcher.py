"""From images to labels: every image that was asked for is looked at, the others are counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import galago
from galago.runtime.errors import InvalidArgumentError, InvalidStateError, SourceError
from galago.runtime.events import Labels
from galago.streaming.images.image_source import ImageFrame, ImageSource
from galago.streaming.watcher import ImageRate, Watcher
from tests.tiny_eye import COLOURS

STEP_NS = 100_000_000


class Painted(ImageSource):
    """Images of one colour each, 10 a second; then a failure, if one is given."""

    name = "painted"

    def __init__(self, *colours: str, failure: str | None = None, begin_ns: int = 0) -> None:
        self._colours, self._failure, self._begin_ns = colours, failure, begin_ns
        self.closed = False

    def __iter__(self) -> Iterator[ImageFrame]:
        for index, colour in enumerate(self._colours):
            if self.closed:
                return
            data = np.full((48, 64, 3), COLOURS[colour], np.uint8)
            yield ImageFrame(data, self._begin_ns + index * STEP_NS)
        if self._failure:
            raise SourceError(self._failure)

    def close(self) -> None:
        self.closed = True


def names(events: list[galago.Event]) -> list[str | None]:
    return [event.labels[0].name if event.labels else None for event in events if isinstance(event, Labels)]


def test_each_image_is_answered(tiny_eye_bundle: Path) -> None:
    with galago.open(tiny_eye_bundle) as bundle, bundle.session() as session:
        watcher = Watcher(Painted(*["red"] * 3, *["blue"] * 30, begin_ns=7 * STEP_NS), session)
        events = list(watcher)
        report = watcher.report
    seen = names(events)
    assert (seen[0], seen[-1], len(seen)) == ("red", "blue", 33)
    assert [event.begin_ns for event in events] == [(7 + index) * STEP_NS for index in range(33)]
    assert watcher.origin_ns == 7 * STEP_NS
    assert (report.name, report.images, report.skipped_images, report.reconnects) == ("painted", 33, 0, 0)


def test_so_many_images_as_are_asked_for(tiny_eye_bundle: Path) -> None:
    with galago.open(tiny_eye_bundle) as bundle, bundle.session() as session:
        watcher = Watcher(Painted(*["green"] * 20), session, rate_hz=5.0)
        assert len(list(watcher)) == 11  # the first, and five in each of two seconds
        assert (watcher.report.images, watcher.report.skipped_images) == (11, 9)


def test_a_source_that_breaks_is_seen_until_then(tiny_eye_bundle: Path) -> None:
    with galago.open(tiny_eye_bundle) as bundle, bundle.session() as session:
        events = []
        with pytest.raises(SourceError, match="truncated"):
            for event in Watcher(Painted("red", "red", failure="truncated"), session):
                events.append(event)
    assert names(events) == ["red", "red"]


def test_stopping_ends_it(tiny_eye_bundle: Path) -> None:
    with galago.open(tiny_eye_bundle) as bundle, bundle.session() as session:
        watcher = Watcher(Painted(*["red"] * 100), session)
        events = iter(watcher)
        next(events)
        watcher.stop()
        assert list(events) == []


def test_a_session_with_a_worker_is_refused(tiny_eye_bundle: Path) -> None:
    with galago.open(tiny_eye_bundle) as bundle, bundle.session(worker=True) as session:
        with pytest.raises(InvalidStateError, match="worker"):
            Watcher(Painted("red"), session)


# -- ImageRate -------------------------------------------------------------------------------------------


def taken(rate_hz: float, times_s: list[float]) -> list[float]:
    rate = ImageRate(rate_hz)
    return [time_s for time_s in times_s if rate.takes(round(time_s * 1e9))]


def test_thirty_a_second_become_four() -> None:
    assert len(taken(4.0, [index / 30 for index in range(300)])) == 41


def test_jitter_costs_no_image() -> None:
    """Thinned out before, to about what is asked for: none of these may be dropped for coming early."""
    times_s = [index * 0.2 + (0.033 if index % 3 == 0 else 0.0) for index in range(50)]
    assert taken(5.0, times_s) == times_s


def test_after_a_pause_it_begins_anew() -> None:
    """Four images of one moment are no debt to be paid for a pause before them."""
    assert taken(1.0, [0.0, 1.0, 50.0, 50.1, 50.2, 51.0]) == [0.0, 1.0, 50.0, 51.0]


def test_a_slow_source_is_taken_whole() -> None:
    times_s = [float(index) for index in range(10)]
    assert taken(5.0, times_s) == times_s


def test_a_rate_of_nothing_is_refused() -> None:
    for rate_hz in (0.0, -1.0, float("nan")):
        with pytest.raises(InvalidArgumentError, match="rate_hz"):
            ImageRate(rate_hz)
