"""Is a video file whole?  Its container promises where it ends; demuxers do not tell when that is a lie.

container      promise
AVI            sizes of the RIFF chunks at the top level
Matroska, WebM size of the segment (unknown for what was streamed: no promise)
MP4, MOV       sizes of the boxes at the top level
Ogg            the last page is complete and carries the end-of-stream flag
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

_MATROSKA = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_MP4_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp"}
_OGG_TAIL_BYTES = 2 * 65307  # the largest page, twice
_OGG_END_OF_STREAM = 0x04


def missing_bytes(path: str | os.PathLike[str]) -> str | None:
    """What a truncated video lacks, as a phrase; None where it is whole or promises nothing.

    Raises:
        OSError: the file cannot be read.
    """
    size_bytes = Path(path).stat().st_size
    with open(path, "rb") as file:
        head = file.read(12)
        file.seek(0)
        if head[:4] == b"OggS":
            return _missing_of_ogg(file, size_bytes)
        if head[:4] == b"RIFF":
            end_bytes = _end_of_riff(file)
        elif head[:4] == _MATROSKA:
            end_bytes = _end_of_matroska(file)
        elif head[4:8] in _MP4_BOXES:
            end_bytes = _end_of_mp4(file, size_bytes)
        else:
            return None
    if end_bytes is None or end_bytes <= size_bytes:
        return None
    return f"it is {end_bytes - size_bytes} bytes short of what its header says"


def _end_of_riff(file: BinaryIO) -> int | None:
    end_bytes = 0
    while len(header := file.read(8)) == 8 and header[:4] == b"RIFF":  # more than one in files over 1 GB
        size = int.from_bytes(header[4:], "little")
        if size in (0, 0xFFFF_FFFF):  # its writer could not seek back
            return None
        end_bytes += 8 + size + size % 2
        file.seek(end_bytes)
    return end_bytes


def _end_of_matroska(file: BinaryIO) -> int | None:
    while len(name := file.read(4)) == 4:  # the only two elements at the top level have names of four bytes
        size = _variable_size(file)
        if size is None:
            return None
        if name == _SEGMENT:
            return file.tell() + size
        file.seek(size, os.SEEK_CUR)
    return None


def _variable_size(file: BinaryIO) -> int | None:
    """A size of EBML (RFC 8794, section 6); None: unknown, or the file ends."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    num_bytes = 9 - first[0].bit_length()
    rest = file.read(num_bytes - 1)
    value = int.from_bytes(bytes([first[0] & (0xFF >> num_bytes)]) + rest, "big")
    all_ones = (1 << (7 * num_bytes)) - 1
    return None if value == all_ones or len(rest) < num_bytes - 1 else value


def _end_of_mp4(file: BinaryIO, size_bytes: int) -> int | None:
    end_bytes = 0
    while end_bytes < size_bytes:
        file.seek(end_bytes)
        header = file.read(16)
        size = int.from_bytes(header[:4], "big")
        if size == 1 and len(header) == 16:  # a box of more than 4 GB
            size = int.from_bytes(header[8:], "big")
        if len(header) < 8 or size < 8:  # 0: until the end of the file
            return None
        end_bytes += size
    return end_bytes


def _missing_of_ogg(file: BinaryIO, size_bytes: int) -> str | None:
    begin_bytes = max(0, size_bytes - _OGG_TAIL_BYTES)
    file.seek(begin_bytes)
    tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return "its last page is cut"
    body_bytes = sum(page[27 : 27 + page[26]])
    missing = 27 + page[26] + body_bytes - len(page)
    if missing > 0:
        return f"its last page is {missing} bytes short"
    return None if page[5] & _OGG_END_OF_STREAM else "its last page does not end the stream"
