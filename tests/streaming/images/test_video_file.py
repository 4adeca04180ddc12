"""Containers say where they end: whole files pass, cut ones are told, whatever made them."""

from __future__ import annotations

from pathlib import Path

import pytest

from galago.streaming.images.video_file import missing_bytes
from tests.streaming.images.gstreamer import CONTAINERS, cut


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_whole_file_lacks_nothing(container: str, videos: Path) -> None:
    assert missing_bytes(videos / f"film.{container}") is None


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("part", [0.3, 0.6, 0.99])
def test_a_cut_file_is_noticed(container: str, part: float, videos: Path) -> None:
    assert missing_bytes(cut(videos / f"film.{container}", part)) is not None


def riff(*sizes: int) -> bytes:
    return b"".join(
        b"RIFF" + size.to_bytes(4, "little") + b"AVI " + bytes(max(0, size - 4)) for size in sizes
    )


def box(name: bytes, size: int, length: int) -> bytes:
    return size.to_bytes(4, "big") + name + bytes(length)


MATROSKA_HEAD = b"\x1a\x45\xdf\xa3\x82\x00\x00"  # an EBML header of two bytes
SEGMENT = b"\x18\x53\x80\x67"


@pytest.mark.parametrize(
    ("content", "missing"),
    [
        (riff(100), None),
        (riff(100)[:-7], "7 bytes short"),
        (riff(100, 60), None),
        (riff(100, 60)[:-1], "1 bytes short"),
        (b"RIFF" + b"\xff" * 4 + b"AVI " + bytes(50), None),
        (MATROSKA_HEAD + SEGMENT + b"\x85" + bytes(5), None),
        (MATROSKA_HEAD + SEGMENT + b"\x40\x09" + bytes(5), "4 bytes short"),
        (MATROSKA_HEAD + SEGMENT + b"\xff" + bytes(5), None),  # streamed: size unknown
        (MATROSKA_HEAD + SEGMENT + b"\x01" + b"\xff" * 7 + bytes(5), None),
        (MATROSKA_HEAD, None),
        (MATROSKA_HEAD + SEGMENT + b"\x00", None),
        (box(b"ftyp", 16, 8) + box(b"mdat", 24, 16), None),
        (box(b"ftyp", 16, 8) + box(b"mdat", 24, 10), "6 bytes short"),
        (box(b"ftyp", 16, 8) + box(b"mdat", 0, 10), None),  # until the end of the file
        (box(b"ftyp", 16, 8) + box(b"mdat", 1, 0) + (26).to_bytes(8, "big") + bytes(5), "5 bytes short"),
        (box(b"ftyp", 16, 8) + box(b"mdat", 3, 10), None),
        (b"OggS" + bytes(10), "its last page is cut"),
        (b"", None),
        (b"plain words, no video at all", None),
    ],
)
def test_promises_byte_by_byte(content: bytes, missing: str | None, tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(content)
    found = missing_bytes(tmp_path / "film")
    assert found is None if missing is None else found is not None and missing in found
