"""Speech into files and pipes."""

from __future__ import annotations

import os
import struct
import sys
import threading
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from galago.runtime.errors import SinkError
from galago.streaming.sound.sink import AudioSink, as_int16, now_ns
from galago.streaming.source import NS_PER_S

_HEADER_BYTES = 44
_SLACK_NS = 200_000_000
_MAX_BYTES = 0xFFFF_FFFF  # longer than the format can say: readers go on to the end of the file


class WavSink(AudioSink):
    """A WAV file, 16 bits, mono.  Its header is right after every write: what was written can be played.

    Raises:
        SinkError: it cannot be made.
    """

    def __init__(self, path: str | os.PathLike[str], sample_rate_hz: int) -> None:
        self.name = os.fspath(path)
        self.sample_rate_hz = sample_rate_hz
        self._lock = threading.Lock()
        self._num_bytes = 0
        try:
            self._file = open(path, "wb", buffering=0)
        except OSError as error:
            raise SinkError(f"{self.name}: {error.strerror}") from error
        try:
            self.write(np.empty(0, np.float32))  # a reply that never came is an empty WAV, not an empty file
        except SinkError:
            self._file.close()
            raise

    def write(self, samples: npt.NDArray[np.float32]) -> int:
        encoded = as_int16(samples)
        with self._lock:
            if self._file.closed:
                raise SinkError(f"{self.name}: is closed")
            try:
                self._file.seek(_HEADER_BYTES + self._num_bytes)
                self._file.write(encoded)
                self._num_bytes += len(encoded)
                self._file.seek(0)
                self._file.write(_header(self.sample_rate_hz, self._num_bytes))
            except OSError as error:
                raise SinkError(f"{self.name}: {error.strerror}") from error
        return now_ns()

    def close(self) -> None:
        with self._lock:
            self._file.close()


def _header(sample_rate_hz: int, num_bytes: int) -> bytes:
    """RIFF/WAVE of 16-bit mono PCM, up to the first sample."""
    pcm, mono, sample_bytes = 1, 1, 2
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", min(_HEADER_BYTES - 8 + num_bytes, _MAX_BYTES), b"WAVE"),
        *(b"fmt ", 16, pcm, mono, sample_rate_hz, sample_rate_hz * sample_bytes, sample_bytes, 16),
        *(b"data", min(num_bytes, _MAX_BYTES)),
    )


class RawPcmSink(AudioSink):
    """Headerless little-endian 16-bit PCM into a binary stream.

    Args:
        stream: where to; None: standard output.
        sample_rate_hz: of what is written; whoever reads has to know it.
    """

    def __init__(self, stream: BinaryIO | None, sample_rate_hz: int, *, name: str = "-") -> None:
        self.name = name
        self.sample_rate_hz = sample_rate_hz
        self._stream = sys.stdout.buffer if stream is None else stream

    def write(self, samples: npt.NDArray[np.float32]) -> int:
        try:
            self._stream.write(as_int16(samples))
            self._stream.flush()
        except BrokenPipeError as error:
            raise SinkError(f"{self.name}: nobody reads it any more") from error
        except (OSError, ValueError) as error:  # ValueError: closed by another thread
            raise SinkError(f"{self.name}: writing failed: {error}") from error
        return now_ns()

    def close(self) -> None:
        """The stream is the caller's."""


class RealTimeSink(AudioSink):
    """Another sink at the pace of a speaker, so that a turn into a file runs as a turn aloud would.

    A write waits until the one before it has been heard: interrupted speech ends in the file where it ended
    for the ear, to the length of one write.
    """

    def __init__(self, sink: AudioSink) -> None:
        self._sink = sink
        self.name = sink.name
        self.sample_rate_hz = sink.sample_rate_hz
        self._changed = threading.Condition()
        self._due_ns = 0  # when the sample behind the last one would be heard
        self._num_discards = 0
        self._closed = False

    def write(self, samples: npt.NDArray[np.float32]) -> int:
        with self._changed:
            num_discards = self._num_discards
            self._wait()
            # A busy machine that is late catches up, as it does with the queue of a sound card.
            begin_ns = self._due_ns if now_ns() - self._due_ns < _SLACK_NS else now_ns()
            if self._num_discards == num_discards:  # else what was to be said is said no more
                self._sink.write(samples)
                self._due_ns = begin_ns + len(samples) * NS_PER_S // self.sample_rate_hz
            return begin_ns

    def drain(self) -> None:
        with self._changed:
            self._wait()
            self._due_ns = 0  # what comes next is another utterance
        self._sink.drain()

    def discard(self) -> int:
        with self._changed:
            left = max(0, self._due_ns - now_ns()) * self.sample_rate_hz // NS_PER_S
            self._due_ns = 0
            self._num_discards += 1
            self._changed.notify_all()
            return left

    def _wait(self) -> None:
        num_discards = self._num_discards
        while not self._closed and self._num_discards == num_discards:
            left_ns = self._due_ns - now_ns()
            if left_ns <= 0:
                return
            self._changed.wait(left_ns / NS_PER_S)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._sink.close()
