"""The place between a camera and who looks: the newest wins, the end comes last, nobody waits for ever."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from galago.runtime.errors import InvalidArgumentError, SourceError
from galago.streaming.images.image_source import ImageFrame
from galago.streaming.images.latest_image import LatestImage


def image(capture_ns: int) -> ImageFrame:
    return ImageFrame(np.zeros((2, 2, 3), np.uint8), capture_ns)


def test_the_newest_wins_and_the_others_are_counted() -> None:
    latest = LatestImage()
    for capture_ns in range(5):
        assert latest.put(image(capture_ns))
    taken = latest.take(0)
    assert taken is not None and taken.capture_ns == 4
    assert latest.replaced_images == 4


def test_a_file_waits_and_loses_nothing() -> None:
    latest = LatestImage(keep_all=True)

    def read() -> None:
        for capture_ns in range(50):
            latest.put(image(capture_ns))
        latest.end()

    reader = threading.Thread(target=read)
    reader.start()
    taken = []
    while (found := latest.take()) is not None:
        taken.append(found.capture_ns)
    reader.join()
    assert taken == list(range(50))
    assert latest.replaced_images == 0


def test_the_failure_comes_after_the_last_image() -> None:
    latest = LatestImage()
    latest.put(image(1))
    latest.end(SourceError("unplugged"))
    latest.end(SourceError("a second failure hides nothing"))
    assert latest.take() is not None
    with pytest.raises(SourceError, match="unplugged"):
        latest.take()


def test_nothing_in_time_is_told() -> None:
    with pytest.raises(TimeoutError):
        LatestImage().take(0.01)


def test_closing_wakes_both_sides() -> None:
    latest = LatestImage(keep_all=True)
    latest.put(image(1))
    answers: list[object] = []
    writer = threading.Thread(target=lambda: answers.append(latest.put(image(2))))
    writer.start()
    empty = LatestImage()
    reader = threading.Thread(target=lambda: answers.append(empty.take()))
    reader.start()
    latest.close()
    empty.end(SourceError("told after closing, to nobody"))
    empty.close()
    writer.join(timeout=60)
    reader.join(timeout=60)
    assert not writer.is_alive() and not reader.is_alive()
    assert latest.put(image(3)) is False
    assert latest.take() is None


# -- ImageFrame ------------------------------------------------------------------------------------------


def test_an_image_knows_its_size() -> None:
    assert (image(0).width, image(0).height) == (2, 2)
    nv12 = ImageFrame(np.zeros((6, 8), np.uint8), 0, "nv12")
    assert (nv12.width, nv12.height) == (8, 4)


@pytest.mark.parametrize(
    ("shape", "format"),
    [((0, 4, 3), "rgb8"), ((4, 4), "rgb8"), ((4, 4, 4), "rgb8"), ((4, 4), "nv12"), ((6, 5), "nv12")],
)
def test_a_shape_that_holds_no_picture_is_refused(shape: tuple[int, ...], format: str) -> None:
    with pytest.raises(InvalidArgumentError, match="does not hold a picture"):
        ImageFrame(np.zeros(shape, np.uint8), 0, format)  # type: ignore[arg-type]  # parametrised over literals


def test_other_numbers_and_formats_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="expected uint8, found float64"):
        ImageFrame(np.zeros((2, 2, 3)), 0)  # type: ignore[arg-type]  # a wrong dtype is the point
    with pytest.raises(InvalidArgumentError, match="found 'yuyv'"):
        ImageFrame(np.zeros((2, 2, 3), np.uint8), 0, "yuyv")  # type: ignore[arg-type]  # an unknown format
