"""Cameras that the Linux kernel offers, by asking each node what it is (VIDIOC_QUERYCAP)."""

from __future__ import annotations

import fcntl
import os
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from galago.runtime.errors import SourceError

# struct v4l2_capability of <linux/videodev2.h>: driver, card, bus_info, version, capabilities, device_caps
_CAPABILITY = struct.Struct("=16s32s32sIII12x")
_QUERYCAP = 2 << 30 | _CAPABILITY.size << 16 | ord("V") << 8  # _IOR('V', 0, struct v4l2_capability)
_VIDEO_CAPTURE, _VIDEO_CAPTURE_MPLANE = 0x0000_0001, 0x0000_1000
_DEVICE_CAPS = 0x8000_0000


@dataclass(frozen=True, slots=True)
class Camera:
    """One node that delivers pictures."""

    path: str
    name: str
    bus: str


def list_cameras(folder: Path = Path("/dev")) -> list[Camera]:
    """Every camera that may be opened, by number.

    A USB camera has several nodes, of which one delivers pictures; codecs and metadata have nodes too.
    """
    nodes = [path for path in folder.glob("video*") if re.fullmatch(r"video\d+", path.name)]
    found = (_ask(path) for path in sorted(nodes, key=lambda path: int(path.name[5:])))
    return [camera for camera in found if camera is not None]


def default_camera(cameras: Sequence[Camera] | None = None) -> Camera:
    """The first camera.

    Raises:
        SourceError: there is none.
    """
    cameras = list_cameras() if cameras is None else cameras
    if not cameras:
        raise SourceError(
            "no camera: no /dev/video* delivers pictures; is it plugged in, and may you open it "
            "(group video)?"
        )
    return cameras[0]


def parse_capability(answer: bytes, path: str) -> Camera | None:
    """The camera that an answer to VIDIOC_QUERYCAP describes; None: it is something else."""
    _, card, bus, _, capabilities, device_caps = _CAPABILITY.unpack(answer)
    can = device_caps if capabilities & _DEVICE_CAPS else capabilities
    if not can & (_VIDEO_CAPTURE | _VIDEO_CAPTURE_MPLANE):
        return None
    return Camera(path, _text(card), _text(bus))


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="replace")


def _ask(path: Path) -> Camera | None:
    try:
        node = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError:  # busy, gone, or not for this user
        return None
    try:
        return parse_capability(fcntl.ioctl(node, _QUERYCAP, bytes(_CAPABILITY.size)), str(path))
    except OSError:  # no video node at all
        return None
    finally:
        os.close(node)
