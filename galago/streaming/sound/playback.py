"""What every speaker needs between a writer and its callback: a short queue, and an eye on cards that die."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from galago.runtime.errors import SinkError
from galago.streaming.sound.capture import FIRST_BLOCK_S, RELEASE_S, SILENT_DEVICE_S
from galago.streaming.sound.resample import StreamResampler
from galago.streaming.sound.sink import AudioSink, now_ns
from galago.streaming.source import NS_PER_S

BLOCK_MS = 10  # what the card asks for at once: short, for `discard` cannot call back what it took
QUEUE_MS = 120  # what may wait here: enough for a busy machine
_NAP_S = 0.1


class PlaybackSink(AudioSink):
    """A speaker whose library calls back on its own thread.

    Subclasses open the device in `_start`, ask `_next` for every block and call `_stopped` when the library
    says that the stream ended.  The device starts with the first write and then runs, silent between
    utterances, until it is closed.

    Args:
        name: for messages.
        sample_rate_hz: of what is written.
        device_rate_hz: of the device; samples are resampled where it is another.
    """

    def __init__(self, name: str, sample_rate_hz: int, device_rate_hz: int) -> None:
        self.name = name
        self.sample_rate_hz = sample_rate_hz
        self.device_rate_hz = device_rate_hz
        self._resampler = StreamResampler(sample_rate_hz, device_rate_hz)
        self._changed = threading.Condition()
        self._queue: deque[npt.NDArray[np.float32]] = deque()
        self._num_queued = 0
        self._num_discards = 0
        self._resampler_is_stale = False
        self._in_utterance = False  # between the first write and `drain`: a dry queue is an underrun
        self._num_underruns = 0
        self._num_blocks = 0
        self._device_latency_ns = 0
        self._started = False
        self._gone = False
        self._closed = False
        self._releasing: threading.Thread | None = None

    @property
    def underruns(self) -> int:
        return self._num_underruns

    @property
    def block_frames(self) -> int:
        return self.device_rate_hz * BLOCK_MS // 1000

    @abstractmethod
    def _start(self) -> float:
        """Start the stream and return its latency in seconds; raise SinkError where the device refuses."""

    @abstractmethod
    def _stop(self) -> None:
        """Stop and release the device."""

    # -- the library's thread --------------------------------------------------------------------------

    def _next(self, num_frames: int, *, underflow: bool) -> npt.NDArray[np.float32]:
        """The next (num_frames,) samples, filled up with silence."""
        block = np.zeros(num_frames, np.float32)
        with self._changed:
            num_filled = 0
            while self._queue and num_filled < num_frames:
                first = self._queue.popleft()
                taken = first[: num_frames - num_filled]
                block[num_filled : num_filled + len(taken)] = taken
                num_filled += len(taken)
                if len(taken) < len(first):
                    self._queue.appendleft(first[len(taken) :])
            self._num_queued -= num_filled
            # A card that was silent anyway reports underflows when it starts: they are nobody's loss.
            self._num_underruns += self._in_utterance and (underflow or num_filled < num_frames)
            self._num_blocks += 1
            self._changed.notify_all()
        return block

    def _stopped(self) -> None:
        """No block will be asked for any more."""
        with self._changed:
            self._gone = True
            self._changed.notify_all()

    # -- the writer's thread ---------------------------------------------------------------------------

    def write(self, samples: npt.NDArray[np.float32]) -> int:
        if self._resampler_is_stale:
            self._resampler_is_stale = False
            self._resampler.finish()  # of speech that was stopped
        # A copy: the caller goes on with its own.
        resampled = self._resampler.push(np.array(samples, np.float32))
        self._start_once()
        with self._changed:
            num_discards = self._num_discards
            capacity = self.device_rate_hz * QUEUE_MS // 1000
            self._wait_until(
                lambda: self._num_queued < capacity or self._num_discards != num_discards or self._closed
            )
            if self._closed:
                raise SinkError(f"{self.name}: is closed")
            heard_ns = now_ns() + self._num_queued * NS_PER_S // self.device_rate_hz + self._device_latency_ns
            if self._num_discards == num_discards:  # else what was to be said is said no more
                self._put(np.clip(resampled, -1.0, 1.0))
                self._in_utterance = True
            return heard_ns

    def drain(self) -> None:
        with self._changed:
            if not self._started or self._closed:
                return
            if self._in_utterance:
                self._put(self._resampler.finish())
            self._in_utterance = False
            self._wait_until(lambda: self._num_queued == 0 or self._closed)
        # What the card has taken is not heard yet.
        time.sleep(self._device_latency_ns / NS_PER_S)

    def discard(self) -> int:
        with self._changed:
            num_lost = self._num_queued
            self._queue.clear()
            self._num_queued = 0
            self._num_discards += 1
            self._resampler_is_stale = True
            self._in_utterance = False
            self._changed.notify_all()
        return num_lost * self.sample_rate_hz // self.device_rate_hz

    def _put(self, samples: npt.NDArray[np.float32]) -> None:
        if len(samples):
            self._queue.append(samples)
            self._num_queued += len(samples)

    def _start_once(self) -> None:
        if not self._started:
            latency_s = self._start()  # it may take seconds, and calls back before it returns
            with self._changed:
                self._started = True
                self._device_latency_ns = round(latency_s * NS_PER_S)

    def _wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait for a condition while the card still asks for blocks."""
        silent_s, num_blocks = 0.0, self._num_blocks
        while not holds():
            if self._gone and not self._closed:
                raise SinkError(f"{self.name}: the sound card ended the stream: is it unplugged?")
            # Naps are counted, not the clock asked: a process that was stopped for a minute naps once.
            if self._changed.wait(_NAP_S) or self._num_blocks != num_blocks:
                silent_s, num_blocks = 0.0, self._num_blocks
                continue
            silent_s += _NAP_S
            if silent_s > (SILENT_DEVICE_S if num_blocks else FIRST_BLOCK_S):
                raise SinkError(
                    f"{self.name}: it took no sound for {silent_s:.1f} s: "
                    "the sound card or the sound server went away"
                )

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            if self._releasing is None:
                # A library that waits for a dead sound server does not hold up the process for ever.
                self._releasing = threading.Thread(
                    target=self._stop, name="galago-release-speaker", daemon=True
                )
                self._releasing.start()
            releasing = self._releasing
        releasing.join(timeout=RELEASE_S)
