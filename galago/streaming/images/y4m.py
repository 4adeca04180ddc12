"""YUV4MPEG2, the raw video with a header that `y4menc` writes, to NV12 images.

    YUV4MPEG2 C420 W640 H480 Ip F30:1 A1:1\n        again whenever the size changes
    FRAME\n<luma><Cb><Cr>                           planes without padding, chroma at half size

It says how large a picture is and where each begins, which raw bytes in a pipe do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
import numpy.typing as npt

from galago.runtime.errors import SourceError

MAX_SIDE_PIXELS = 16384
# At other sizes y4menc of GStreamer 1.22 writes its padding as well, which the format has no word for.
WIDTH_STEP, HEIGHT_STEP = 8, 2
_MAX_LINE_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Y4mHeader:
    """The size of the pictures that follow, and their rate where it is constant."""

    width: int
    height: int
    rate_hz: Fraction | None

    @classmethod
    def parse(cls, line: bytes) -> Y4mHeader:
        """Read a header line.

        Raises:
            SourceError: not Y4M, not 4:2:0 with 8 bits, or a size out of all reason.
        """
        magic, *fields = line.decode("ascii", "replace").split()
        values = {field[0]: field[1:] for field in fields}
        try:
            width, height = int(values["W"]), int(values["H"])
            numerator, denominator = (int(part) for part in values.get("F", "0:1").split(":"))
        except (KeyError, ValueError):
            raise SourceError(f"Y4M: a header without size or rate: {line!r}") from None
        if (
            magic != "YUV4MPEG2"
            or not values.get("C", "420").startswith("420")
            or "p1" in values.get("C", "")
        ):
            raise SourceError(f"Y4M: expected 8-bit 4:2:0 pictures, found {line!r}")
        if not (0 < width <= MAX_SIDE_PIXELS and 0 < height <= MAX_SIDE_PIXELS):
            raise SourceError(
                f"Y4M: pictures of {width} x {height} pixels; a side has 1 to {MAX_SIDE_PIXELS}"
            )
        if width % WIDTH_STEP or height % HEIGHT_STEP:
            raise SourceError(
                f"Y4M: pictures of {width} x {height} pixels; "
                f"expected multiples of {WIDTH_STEP} x {HEIGHT_STEP}, whose rows have no padding"
            )
        return cls(width, height, Fraction(numerator, denominator) if numerator and denominator else None)


class BinaryReader(Protocol):
    """What a buffered binary file can do."""

    def readline(self, size: int, /) -> bytes: ...

    def readinto(self, buffer: memoryview, /) -> int: ...


def read_y4m(stream: BinaryReader) -> Iterator[Y4mHeader | npt.NDArray[np.uint8] | None]:
    """Yield each header, None where a picture begins to arrive, and the picture.

    A picture is NV12, uint8 (height * 3 // 2, width).  Half a picture at the end is no picture.

    Raises:
        SourceError: the bytes are no Y4M.
    """
    header: Y4mHeader | None = None
    while line := stream.readline(_MAX_LINE_BYTES):
        if line.startswith(b"YUV4MPEG2"):
            header = Y4mHeader.parse(line)
            yield header
        elif line.startswith(b"FRAME") and header is not None:
            yield None
            picture = _read_nv12(stream, header)
            if picture is None:
                return
            yield picture
        elif len(line) < 6 and b"FRAME\n".startswith(line):  # it ended within the word
            return
        else:
            raise SourceError(f"Y4M: expected a picture, found {line[:40]!r}")


def _read_nv12(stream: BinaryReader, header: Y4mHeader) -> npt.NDArray[np.uint8] | None:
    width, height = header.width, header.height
    nv12 = np.empty((height * 3 // 2, width), np.uint8)
    chroma = np.empty((2, height // 2, width // 2), np.uint8)
    for part in (nv12[:height], chroma):
        if stream.readinto(part.data.cast("B")) != part.size:
            return None
    nv12[height:, 0::2], nv12[height:, 1::2] = chroma
    return nv12
