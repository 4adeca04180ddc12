"""Y4M as y4menc writes it, to NV12; and everything that is no Y4M."""

from __future__ import annotations

import io
from fractions import Fraction

import numpy as np
import pytest

from galago.runtime.errors import SourceError
from galago.streaming.images.y4m import Y4mHeader, read_y4m

HEADER = b"YUV4MPEG2 C420 W8 H4 Ip F30000:1001 A1:1\n"
LUMA = np.arange(32, dtype=np.uint8).reshape(4, 8)
CB, CR = np.full((2, 4), 100, np.uint8), np.full((2, 4), 200, np.uint8)
PICTURE = b"FRAME\n" + LUMA.tobytes() + CB.tobytes() + CR.tobytes()


def test_planes_become_nv12() -> None:
    header, begins, picture = read_y4m(io.BytesIO(HEADER + PICTURE))
    assert header == Y4mHeader(8, 4, Fraction(30000, 1001))
    assert begins is None
    assert isinstance(picture, np.ndarray)
    np.testing.assert_array_equal(picture[:4], LUMA)
    np.testing.assert_array_equal(picture[4:], np.tile([100, 200], (2, 4)))


def test_the_size_may_change_on_the_way() -> None:
    smaller = b"YUV4MPEG2 C420jpeg W8 H2 F0:1\nFRAME\n" + bytes(24)
    items = list(read_y4m(io.BytesIO(HEADER + PICTURE + smaller)))
    assert items[3] == Y4mHeader(8, 2, None)
    assert [item.shape for item in items if isinstance(item, np.ndarray)] == [(6, 8), (3, 8)]


@pytest.mark.parametrize("num_bytes", [1, 20, 40, len(PICTURE) - 1])
def test_half_a_picture_is_none(num_bytes: int) -> None:
    items = list(read_y4m(io.BytesIO(HEADER + PICTURE + PICTURE[:num_bytes])))
    assert sum(isinstance(item, np.ndarray) for item in items) == 1


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (b"Setting pipeline to PLAYING ...\n", "expected a picture"),
        (PICTURE, "expected a picture"),
        (b"YUV4MPEG2 C420\n", "without size"),
        (b"YUV4MPEG2 C420 Wx H4\n", "without size"),
        (b"YUV4MPEG2 C444 W8 H4\n", "4:2:0"),
        (b"YUV4MPEG2 C420p10 W8 H4\n", "8-bit"),
        (b"YUV4MPEG2 C420 W0 H4\n", "0 x 4 pixels"),
        (b"YUV4MPEG2 C420 W999999 H4\n", "999999 x 4 pixels"),
        (b"YUV4MPEG2 C420 W9 H4\n", "no padding"),
    ],
)
def test_what_is_no_y4m_is_told(stream: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        list(read_y4m(io.BytesIO(stream)))
