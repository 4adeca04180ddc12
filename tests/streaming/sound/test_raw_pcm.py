"""Headerless PCM: any format that is named, any way that a pipe cuts it."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.runtime.errors import InvalidArgumentError, SourceError
from galago.streaming.sound.raw_pcm import RawFormat, RawPcmSource


class Dribble(io.RawIOBase):
    """A pipe that delivers a few bytes at a time, across sample borders."""

    def __init__(self, content: bytes, size: int) -> None:
        self._content, self._size = content, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = min(self._size, len(self._content), len(buffer))
        buffer[:count] = self._content[:count]
        self._content = self._content[count:]
        return count


def read_all(content: bytes, format: RawFormat, size: int = 4096) -> Any:
    source = RawPcmSource(io.BufferedReader(Dribble(content, size)), format)
    return np.concatenate([block.samples for block in source])


@pytest.mark.parametrize("size", [1, 3, 7, 640, 4096])
def test_however_a_pipe_cuts_it_the_samples_are_the_same(size: int) -> None:
    samples = np.arange(-2000, 2000, dtype=np.int16)
    heard = read_all(samples.astype("<i2").tobytes(), RawFormat(), size)
    np.testing.assert_array_equal(heard[:, 0], samples.astype(np.float32) / 32768)


def test_stereo_float() -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, (500, 2)).astype("<f4")
    heard = read_all(samples.tobytes(), RawFormat(48000, 2, "f32"), 100)
    np.testing.assert_array_equal(heard, samples)


def test_times_count_frames() -> None:
    source = RawPcmSource(io.BytesIO(bytes(2 * 8000)), RawFormat(sample_rate_hz=8000))
    blocks = list(source)
    assert blocks[0].capture_ns == 0
    assert blocks[1].capture_ns == blocks[0].end_ns(8000)
    assert blocks[-1].end_ns(8000) == 1_000_000_000


def test_a_block_does_not_wait_for_the_next() -> None:
    """What the writer wrote is given on at once, however little it is."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb", buffering=0) as pipe:
        blocks = iter(RawPcmSource(stream, RawFormat()))
        pipe.write(bytes(200))
        got: list[int] = []
        thread = threading.Thread(target=lambda: got.append(len(next(blocks).samples)))
        thread.start()
        thread.join(timeout=60)  # if it waited, it would wait for ever
        assert got == [100]


def test_half_a_frame_at_the_end_is_told_after_the_rest() -> None:
    source = RawPcmSource(io.BytesIO(bytes(401)), RawFormat())
    heard = 0
    with pytest.raises(SourceError, match=r"-: .*middle of a frame: 1 of 2 bytes.*--channels"):
        for block in source:
            heard += len(block.samples)
    assert heard == 200


def test_nothing_at_all_is_an_error() -> None:
    with pytest.raises(SourceError, match="-: it ended before the first sample"):
        list(RawPcmSource(io.BytesIO(b""), RawFormat()))


@pytest.mark.parametrize(("magic", "kind"), [(b"RIFF", "WAV"), (b"fLaC", "FLAC"), (b"OggS", "OGG")])
def test_a_file_with_a_header_is_not_heard_as_noise(magic: bytes, kind: str) -> None:
    with pytest.raises(SourceError, match=f"this is a {kind} file"):
        list(RawPcmSource(io.BytesIO(magic + bytes(1000)), RawFormat()))


def test_floats_that_are_no_numbers_are_refused() -> None:
    samples = np.zeros(400, "<f4")
    samples[350] = np.nan
    with pytest.raises(SourceError, match="NaN or infinite"):
        list(RawPcmSource(io.BytesIO(samples.tobytes()), RawFormat(sample_type="f32")))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((0, 1, "s16"), "rate"),
        ((16000, 0, "s16"), "channels"),
        ((16000, 1, "s8"), "dtype"),
        ((10**9, 1, "s16"), "rate"),
    ],
)
def test_a_format_that_cannot_be_is_named(arguments: tuple[int, int, Any], named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        RawFormat(*arguments)


def test_a_file_can_be_raw_too(tmp_path: Path) -> None:
    path = tmp_path / "sound.pcm"
    path.write_bytes(np.arange(100, dtype="<i2").tobytes())
    with RawPcmSource.open(path, RawFormat()) as source:
        assert source.name == str(path)
        assert sum(len(block.samples) for block in source) == 100
    with pytest.raises(SourceError, match="No such file"):
        RawPcmSource.open(tmp_path / "none.pcm", RawFormat())
