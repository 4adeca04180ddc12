"""Images as the core takes them: planes of bytes with row strides, over the caller's own memory.

rgb8, bgr8   (height, width, 3)
gray8        (height, width)
nv12         (height * 3 // 2, width): rows of Y, then rows of interleaved U and V; or the two planes
             as a pair, (height, width) and (height // 2, width) or (height // 2, width // 2, 2).
             BT.601, limited range
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from galago.runtime import abi
from galago.runtime.errors import InvalidArgumentError

ImageFormat = Literal["rgb8", "bgr8", "gray8", "nv12"]
Plane = npt.NDArray[np.uint8]
Planes = Sequence[Plane]

_FORMATS = {"rgb8": abi.RGB8, "bgr8": abi.BGR8, "gray8": abi.GRAY8, "nv12": abi.NV12}
_MAX_STRIDE_BYTES = 2**31 - 1


def describe_image(
    image: Plane | Planes, format: ImageFormat | None, capture_ns: int
) -> tuple[abi.Image, list[Plane]]:
    """The struct of an image, and the arrays that it points into: they must outlive its use.

    Rows that are contiguous in themselves are not copied, whatever lies between them.

    Args:
        image: uint8, of the shape of its format; two planes for nv12.
        format: None: rgb8 or gray8 by the number of dimensions, nv12 where two planes are given.
        capture_ns: monotonic time, 0 or more.

    Raises:
        InvalidArgumentError: no such format, or an array that does not fit it.
    """
    if not 0 <= capture_ns < 2**63:
        raise InvalidArgumentError(f"capture_ns: expected 0 or more, found {capture_ns}")
    given: list[Any] = [image] if isinstance(image, np.ndarray) or not _is_sequence(image) else list(image)
    for plane in given:
        if not isinstance(plane, np.ndarray):
            raise InvalidArgumentError(f"image: expected a numpy array, found {type(plane).__name__}")
        if plane.dtype != np.uint8:
            raise InvalidArgumentError(f"image: expected uint8, found {plane.dtype}")
    if format is None:
        format = "nv12" if len(given) == 2 else "gray8" if len(given) == 1 and given[0].ndim == 2 else "rgb8"
    if format not in _FORMATS:
        raise InvalidArgumentError(f"format: expected one of {', '.join(_FORMATS)}, found {format!r}")
    planes, height, width = _nv12_planes(given) if format == "nv12" else _one_plane(given, format)
    if height == 0 or width == 0:
        raise InvalidArgumentError(f"image: shape {given[0].shape} holds no pixel")
    planes = [_with_whole_rows(plane) for plane in planes]
    raw = abi.Image(
        struct_size=ctypes.sizeof(abi.Image),
        format=_FORMATS[format],
        width=min(width, 2**31 - 1),
        height=min(height, 2**31 - 1),
        capture_ns=capture_ns,
    )
    for i, plane in enumerate(planes):
        # Not plane.ctypes.data: that makes a cycle, which keeps the image until the collector comes.
        raw.planes[i] = plane.__array_interface__["data"][0]
        raw.row_stride_bytes[i] = plane.strides[0]
    return raw, planes


def _is_sequence(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _one_plane(given: list[Plane], format: str) -> tuple[list[Plane], int, int]:
    expected = "(height, width)" if format == "gray8" else "(height, width, 3)"
    fits = len(given) == 1 and (
        given[0].ndim == 2 if format == "gray8" else given[0].ndim == 3 and given[0].shape[2] == 3
    )
    if not fits:
        raise InvalidArgumentError(f"image: {format} has the shape {expected}, found {_shapes(given)}")
    return given, given[0].shape[0], given[0].shape[1]


def _nv12_planes(given: list[Plane]) -> tuple[list[Plane], int, int]:
    if len(given) == 1 and given[0].ndim == 2 and given[0].shape[0] % 3 == 0:
        height = given[0].shape[0] // 3 * 2
        given = [given[0][:height], given[0][height:]]
    if len(given) != 2 or given[0].ndim != 2:
        raise InvalidArgumentError(
            "image: nv12 has the shape (height * 3 // 2, width) or two planes, (height, width) and "
            f"(height // 2, width); found {_shapes(given)}"
        )
    luma, chroma = given
    height, width = luma.shape
    if chroma.ndim == 3:
        chroma = chroma.reshape(chroma.shape[0], -1)
    if height % 2 or width % 2 or chroma.shape != (height // 2, width):
        raise InvalidArgumentError(
            f"image: nv12 has even sides and half as many rows of UV, found {_shapes(given)}"
        )
    return [luma, chroma], height, width


def _with_whole_rows(plane: Plane) -> Plane:
    """The same array where each row lies in one piece and the rows go down; else a copy."""
    is_packed = plane.strides[-1] == 1 and (plane.ndim == 2 or plane.strides[1] == plane.shape[2])
    row_bytes = plane.shape[1] * (plane.shape[2] if plane.ndim == 3 else 1)
    if is_packed and row_bytes <= plane.strides[0] <= _MAX_STRIDE_BYTES:
        return plane
    return np.ascontiguousarray(plane)


def _shapes(given: list[Plane]) -> str:
    return ", ".join(str(plane.shape) for plane in given) or "none"
