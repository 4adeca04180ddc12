"""What every sound card needs between its callback and a reader: a bounded queue and an honest clock."""

from __future__ import annotations

import queue
import threading
import time
from abc import abstractmethod
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from galago.runtime.errors import SourceError
from galago.streaming.source import NS_PER_S, AudioBlock, AudioSource

BLOCK_MS = 20
QUEUE_MS = 10_000  # what may wait while the reader is busy, before blocks are dropped and counted
FIRST_BLOCK_S = 8.0  # a sound server may take two seconds to start a stream, a Bluetooth headset more
SILENT_DEVICE_S = 2.0  # without any block: the device is gone
RELEASE_S = 2.0  # what stopping a stream may take

_NAP_S = 0.1  # `close` and the end of the stream are noticed between naps

_RESYNC_LOST_NS = 40_000_000  # off by this after a reported loss: take the measured time
_RESYNC_NS = NS_PER_S  # off by this in any case: the machine slept
_MAX_SLEW = 1e-3  # of a block: faster than any crystal drifts, slower than any jitter shows


class CaptureClock:
    """Monotonic capture times of blocks that arrive late, in bursts, on a clock of their own.

    Counting frames is smooth but drifts away from the monotonic clock by up to 0.01 %; arrival times do
    not drift but jitter by tens of milliseconds.  So frames are counted and the count follows arrival
    slowly; a reported loss of frames lets it jump, which the session sees as a gap.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._sample_rate_hz = sample_rate_hz
        self._next_ns: int | None = None

    def stamp(self, num_frames: int, arrival_ns: int, *, lost: bool = False) -> int:
        """Capture time of the first of `num_frames` that arrived together at `arrival_ns`."""
        duration_ns = num_frames * NS_PER_S // self._sample_rate_hz
        measured_ns = arrival_ns - duration_ns
        if self._next_ns is None:
            begin_ns = measured_ns
        else:
            error_ns = measured_ns - self._next_ns
            if abs(error_ns) > (_RESYNC_LOST_NS if lost else _RESYNC_NS):
                begin_ns = measured_ns
            else:
                limit_ns = round(duration_ns * _MAX_SLEW)
                begin_ns = self._next_ns + max(-limit_ns, min(limit_ns, error_ns))
        self._next_ns = begin_ns + duration_ns
        return begin_ns


class CaptureSource(AudioSource):
    """A microphone whose library calls back on its own thread.

    Subclasses open the device in `_start`, call `_received` for each block and `_stopped` when the
    library says that the stream ended.
    """

    live = True

    def __init__(self, name: str, sample_rate_hz: int, num_channels: int) -> None:
        self.name = name
        self.sample_rate_hz = sample_rate_hz
        self.num_channels = num_channels
        self._blocks: queue.Queue[AudioBlock] = queue.Queue(maxsize=QUEUE_MS // BLOCK_MS)
        self._clock = CaptureClock(sample_rate_hz)
        self._num_dropped = 0
        self._num_overflows = 0
        self._gone = threading.Event()
        self._closed = threading.Event()
        self._release_lock = threading.Lock()
        self._releasing: threading.Thread | None = None

    @property
    def block_frames(self) -> int:
        return self.sample_rate_hz * BLOCK_MS // 1000

    @property
    def dropped_frames(self) -> int:
        """Frames that found the queue full."""
        return self._num_dropped

    @property
    def overflows(self) -> int:
        """How often the device itself reported that it lost frames (it does not tell how many)."""
        return self._num_overflows

    @abstractmethod
    def _start(self) -> None:
        """Start the stream; raise SourceError where the device refuses."""

    @abstractmethod
    def _stop(self) -> None:
        """Stop and release the device."""

    def _received(self, samples: npt.NDArray[np.float32], *, lost: bool) -> None:
        """On the library's thread: (num_frames, num_channels), which the queue now owns."""
        arrival_ns = time.monotonic_ns()
        self._num_overflows += lost
        block = AudioBlock(samples, self._clock.stamp(len(samples), arrival_ns, lost=lost))
        try:
            self._blocks.put_nowait(block)
        except queue.Full:
            self._num_dropped += len(samples)

    def _stopped(self) -> None:
        """On the library's thread: no block will come any more."""
        self._gone.set()

    def __iter__(self) -> Iterator[AudioBlock]:
        self._start()
        patience_s = FIRST_BLOCK_S
        silent_s = 0.0
        while not self._closed.is_set():
            # Looked at first: whatever was received before the end is in the queue by then.
            is_gone = self._gone.is_set()
            try:
                block = self._blocks.get(timeout=0.0 if is_gone else _NAP_S)
            except queue.Empty:
                if self._closed.is_set():
                    return
                if is_gone:
                    raise SourceError(
                        f"{self.name}: the sound card ended the stream: is it unplugged?"
                    ) from None
                # Naps are counted, not the clock asked: a process that was stopped for a minute naps once,
                # and then the card has its chance to deliver.
                silent_s += _NAP_S
                if silent_s > patience_s:
                    raise SourceError(
                        f"{self.name}: no sound for {silent_s:.1f} s, not even silence: "
                        "the sound card or the sound server went away"
                    ) from None
                continue
            patience_s = SILENT_DEVICE_S
            silent_s = 0.0
            yield block

    def close(self) -> None:
        with self._release_lock:
            if self._releasing is None:
                self._closed.set()
                self._releasing = threading.Thread(
                    target=self._stop, name="galago-release-microphone", daemon=True
                )
                self._releasing.start()
            releasing = self._releasing
        # Everybody who closes waits: PortAudio must not be torn down at exit while a stream still stops.
        # But a library that waits for a dead sound server does not hold up the process for ever.
        releasing.join(timeout=RELEASE_S)
