"""Image files one after the other: a folder, a pattern, or a list."""

from __future__ import annotations

import glob
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from galago.runtime.errors import InvalidArgumentError, SourceError
from galago.streaming.images.image_file import SUFFIXES, read_image
from galago.streaming.images.image_source import ImageFrame, ImageSource
from galago.streaming.source import NS_PER_S

RATE_HZ = 5.0  # of images that say nothing about when they were taken


class ImageFolderSource(ImageSource):
    """Image files in the order given, `rate_hz` images a second.

    A file that cannot be read is told and left out; when all others were shown, SourceError says how many
    there were.

    Args:
        paths: of the files.
        name: for messages.
        rate_hz: from which capture times are counted.
        hold: the last image goes on until the source is closed, as a still scene before a camera does.
        report: is told of each file that cannot be read.

    Raises:
        SourceError: there is no file.
    """

    def __init__(
        self,
        paths: Sequence[str],
        *,
        name: str,
        rate_hz: float | None = None,
        hold: bool = False,
        report: Callable[[str], None],
    ) -> None:
        if not paths:
            raise SourceError(f"{name}: no image files ({', '.join(sorted(SUFFIXES))})")
        if rate_hz is not None and not 0.001 <= rate_hz <= 1000:
            raise InvalidArgumentError(f"rate_hz: expected 0.001 to 1000, found {rate_hz}")
        self.name = name
        self._paths = list(paths)
        self._rate_hz = rate_hz or RATE_HZ
        self._hold = hold
        self._report = report
        self._closed = threading.Event()

    @classmethod
    def find(
        cls, where: str, *, rate_hz: float | None = None, hold: bool = False, report: Callable[[str], None]
    ) -> ImageFolderSource:
        """The images of a folder, those that fit a pattern (`shots/*.png`), or one file.

        `shot10` comes after `shot9`.

        Raises:
            SourceError: there are none.
        """
        if os.path.isdir(where):
            paths = [str(path) for path in Path(where).iterdir() if path.suffix.lower() in SUFFIXES]
        elif os.path.exists(where):
            paths = [where]
        else:
            paths = [path for path in glob.glob(where, recursive=True) if os.path.isfile(path)]
        return cls(sorted(paths, key=_in_order), name=where, rate_hz=rate_hz, hold=hold, report=report)

    def __iter__(self) -> Iterator[ImageFrame]:
        failures: list[SourceError] = []
        image: ImageFrame | None = None
        for index, path in enumerate(self._paths):
            if self._closed.is_set():
                return
            try:
                image = read_image(path, capture_ns=self._capture_ns(index))
            except SourceError as error:
                self._report(str(error))
                failures.append(error)
                continue
            yield image
        index = len(self._paths)
        while self._hold and image is not None and not self._closed.is_set():
            yield ImageFrame(image.data, self._capture_ns(index), image.format)
            index += 1
        if failures:
            raise SourceError(
                f"{self.name}: {len(failures)} of {len(self._paths)} images could not be read"
            ) from failures[0]

    def _capture_ns(self, index: int) -> int:
        return round(index * NS_PER_S / self._rate_hz)

    def close(self) -> None:
        self._closed.set()


def _in_order(path: str) -> list[tuple[bool, int, str]]:
    """Digits count as numbers: "shot9" before "shot10"."""
    parts = re.split(r"(\d+)", path)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]
