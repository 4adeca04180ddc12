"""A recording as a microphone would deliver it: in real time, with monotonic capture times."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from galago.runtime.errors import InvalidArgumentError
from galago.streaming.source import NS_PER_S, AudioBlock, AudioSource, WrappedSource

BLOCK_MS = 20  # as sound cards deliver


class RealTimeSource(WrappedSource):
    """Another source at the pace of a clock.

    A block is given out when its last sample would have been captured, as a sound card does, and carries
    the monotonic time of its first.  Whoever takes blocks late gets them late, and none is lost: the
    pace is that of the clock, not of the reader.

    Args:
        source: what to replay.
        speed: 2.0 plays twice as fast; capture times run as fast as the audio says, so that latency is
            meaningful at 1.0 only.
    """

    def __init__(self, source: AudioSource, *, speed: float = 1.0) -> None:
        if not 0.01 <= speed <= 1000.0:
            raise InvalidArgumentError(f"speed: expected 0.01 to 1000, found {speed}")
        super().__init__(source)
        self._speed = speed
        self._closed = threading.Event()
        self.live = True

    def __iter__(self) -> Iterator[AudioBlock]:
        start_ns: int | None = None
        for block in self._source:
            if start_ns is None:  # a pipe may begin to deliver seconds after it was opened
                start_ns = time.monotonic_ns()
            for piece in self._pieces(block):
                due_ns = start_ns + round(piece.end_ns(self.sample_rate_hz) / self._speed)
                if self._closed.wait(max(0, due_ns - time.monotonic_ns()) / NS_PER_S):
                    return
                yield AudioBlock(piece.samples, start_ns + piece.capture_ns)

    def _pieces(self, block: AudioBlock) -> Iterator[AudioBlock]:
        # A bigger block would come late by its own length, and that would look like latency.
        num_frames = max(1, self.sample_rate_hz * BLOCK_MS // 1000)
        for begin in range(0, len(block.samples), num_frames):
            at_ns = block.capture_ns + begin * NS_PER_S // self.sample_rate_hz
            yield AudioBlock(block.samples[begin : begin + num_frames], at_ns)

    def close(self) -> None:
        self._closed.set()
        super().close()
