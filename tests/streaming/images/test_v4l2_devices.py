"""Cameras of the kernel, from what a node answers: no real one is needed."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from galago.runtime.errors import SourceError
from galago.streaming.images.v4l2_devices import Camera, default_camera, list_cameras, parse_capability

CAPTURE, MPLANE, OUTPUT, METADATA, EACH_NODE = 0x1, 0x1000, 0x2, 0x800000, 0x80000000


def answer(capabilities: int, device_caps: int) -> bytes:
    """struct v4l2_capability, as the kernel fills it."""
    fields = (b"uvcvideo", b"USB Camera", b"usb-0000:00:14.0-1", 0x60000, capabilities, device_caps)
    return struct.pack("=16s32s32sIII12x", *fields)


@pytest.mark.parametrize("kind", [CAPTURE, MPLANE])
def test_a_node_that_captures_is_a_camera(kind: int) -> None:
    found = parse_capability(answer(EACH_NODE | kind | METADATA, kind), "/dev/video0")
    assert found == Camera("/dev/video0", "USB Camera", "usb-0000:00:14.0-1")


def test_the_second_node_of_a_camera_is_none() -> None:
    assert parse_capability(answer(EACH_NODE | CAPTURE | METADATA, METADATA), "/dev/video1") is None
    assert parse_capability(answer(OUTPUT, 0), "/dev/video2") is None


def test_an_old_driver_answers_for_the_whole_device() -> None:
    assert parse_capability(answer(CAPTURE, 0), "/dev/video0") is not None


def test_what_is_no_device_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "video0").write_bytes(b"a file")
    (tmp_path / "video-codec").touch()
    (tmp_path / "video7").symlink_to("nowhere")
    assert list_cameras(tmp_path) == []


def test_the_default_is_the_first() -> None:
    cameras = [Camera("/dev/video2", "a", ""), Camera("/dev/video4", "b", "")]
    assert default_camera(cameras).path == "/dev/video2"
    with pytest.raises(SourceError, match=r"no camera: .*group video"):
        default_camera([])
