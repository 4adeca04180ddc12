"""Headerless PCM from a pipe or a file: `arecord -f S16_LE -r 16000 | galago listen -`."""

from __future__ import annotations

import builtins
import os
import select
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from galago.runtime.errors import InvalidArgumentError, SourceError
from galago.streaming.sound.files import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ
from galago.streaming.source import NS_PER_S, AudioBlock, AudioSource

BLOCK_MS = 20
_NAP_MS = 100  # `close` is noticed between naps of a pipe that nobody writes to

SampleType = Literal["s16", "f32"]
_DTYPES: dict[str, np.dtype[Any]] = {"s16": np.dtype("<i2"), "f32": np.dtype("<f4")}
# Read as samples, a header is a click at the wrong rate: better refused.
_CONTAINERS = {b"RIFF": "WAV", b"fLaC": "FLAC", b"OggS": "OGG"}


@dataclass(frozen=True, slots=True)
class RawFormat:
    """How headerless bytes are to be read; little-endian, channels interleaved."""

    sample_rate_hz: int = 16000
    num_channels: int = 1
    sample_type: SampleType = "s16"

    def __post_init__(self) -> None:
        if self.sample_type not in _DTYPES:
            raise InvalidArgumentError(f"dtype: expected s16 or f32, found {self.sample_type!r}")
        if not MIN_RATE_HZ <= self.sample_rate_hz <= MAX_RATE_HZ:
            raise InvalidArgumentError(
                f"rate: expected {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz, found {self.sample_rate_hz}"
            )
        if not 1 <= self.num_channels <= MAX_CHANNELS:
            raise InvalidArgumentError(f"channels: expected 1 to {MAX_CHANNELS}, found {self.num_channels}")

    @property
    def frame_bytes(self) -> int:
        return _DTYPES[self.sample_type].itemsize * self.num_channels

    def decode(self, encoded: bytes) -> npt.NDArray[np.float32]:
        """Whole frames as (num_frames, num_channels) in [-1, 1]."""
        flat = np.frombuffer(encoded, _DTYPES[self.sample_type]).astype(np.float32)
        if self.sample_type == "s16":
            flat /= np.float32(32768.0)
        return flat.reshape(-1, self.num_channels)


class RawPcmSource(AudioSource):
    """Raw PCM until the end of a binary stream.

    Blocks are given on as the writer of the pipe delivers them: a slow writer is waited for, until `close`
    from another thread, and up to `BLOCK_MS` are read at once.

    Args:
        stream: a binary stream; None: standard input.
        format: of the samples.
        name: for messages; "-" is standard input.
    """

    def __init__(self, stream: BinaryIO | None, format: RawFormat, *, name: str = "-") -> None:
        self.name = name
        self.sample_rate_hz = format.sample_rate_hz
        self.num_channels = format.num_channels
        self._format = format
        self._stream = sys.stdin.buffer if stream is None else stream
        self._owns_stream = stream is not None
        self._poll = _poll_of(self._stream)
        self._reading = threading.Lock()
        self._is_closed = False
        self._block_bytes = max(1, format.sample_rate_hz * BLOCK_MS // 1000) * format.frame_bytes

    @classmethod
    def open(cls, path: str | os.PathLike[str], format: RawFormat) -> RawPcmSource:
        """Read a headerless file.

        Raises:
            SourceError: it cannot be opened.
        """
        try:
            stream = builtins.open(path, "rb")
        except OSError as error:
            raise SourceError(f"{os.fspath(path)}: {error.strerror}") from error
        return cls(stream, format, name=os.fspath(path))

    def __iter__(self) -> Iterator[AudioBlock]:
        frame_bytes = self._format.frame_bytes
        num_frames = 0
        pending = b""
        is_first = True
        while True:
            try:
                received = self._read()
            except (OSError, ValueError) as error:  # ValueError: its owner has closed it
                raise SourceError(f"{self.name}: reading failed: {error}") from error
            if received is None:
                return
            if not received:
                break
            pending += received
            if is_first and pending[:4] in _CONTAINERS:
                kind = _CONTAINERS[pending[:4]]
                raise SourceError(f"{self.name}: this is a {kind} file, not raw PCM: give its name instead")
            is_first = False
            whole = len(pending) - len(pending) % frame_bytes
            if not whole:
                continue
            samples = self._format.decode(pending[:whole])
            pending = pending[whole:]
            if not np.isfinite(samples).all():
                at_s = num_frames / self.sample_rate_hz
                raise SourceError(f"{self.name}: NaN or infinite samples at {at_s:.2f} s; is it really f32?")
            yield AudioBlock(samples, num_frames * NS_PER_S // self.sample_rate_hz)
            num_frames += len(samples)
        if num_frames == 0:
            raise SourceError(f"{self.name}: it ended before the first sample")
        if pending:
            raise SourceError(
                f"{self.name}: it ended in the middle of a frame: {len(pending)} of {frame_bytes} bytes; "
                "are --channels and --dtype right?"
            )

    def _read(self) -> bytes | None:
        """What is there, up to a block; b"" at the end; None: closed."""
        # read1 returns what is there: a block is not held back until a bigger buffer is full.
        read = getattr(self._stream, "read1", self._stream.read)
        while not self._is_closed:
            if self._poll is not None and not self._poll.poll(_NAP_MS):
                continue
            with self._reading:
                if not self._is_closed:
                    received: bytes = read(self._block_bytes)
                    return received
        return None

    def close(self) -> None:
        self._is_closed = True
        if self._owns_stream:
            with self._reading:
                self._stream.close()


def _poll_of(stream: BinaryIO) -> select.poll | None:
    """What waits for bytes of a stream; None of one that is no file."""
    try:
        number = stream.fileno()
    except (OSError, AttributeError):
        return None
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return poll
