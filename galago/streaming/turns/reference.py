"""What the device itself plays, on the clock of the microphone: it must not hear itself."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
import numpy.typing as npt

from galago.streaming.sound.resample import StreamResampler
from galago.streaming.source import NS_PER_S

_CAPACITY_S = 8
# A card's own estimate of when it plays jitters; played samples follow each other all the same.
_SEAM_NS = 40_000_000


class PlaybackReference:
    """Played samples by the time at which they were heard.

    The player adds, the thread of the microphone reads; both at any time.

    Args:
        voice_rate_hz: of what is added.
        sample_rate_hz: of what is read.
    """

    def __init__(self, voice_rate_hz: int, sample_rate_hz: int) -> None:
        self.sample_rate_hz = sample_rate_hz
        self._voice_rate_hz = voice_rate_hz
        self._resampler = StreamResampler(voice_rate_hz, sample_rate_hz)
        self._lock = threading.Lock()
        self._ring = np.zeros(sample_rate_hz * _CAPACITY_S, np.float32)
        self._end = 0  # index, since time 0, of the sample behind the last one
        self._due_ns = 0  # when what is added next is heard, if it follows without a seam
        self._spans: deque[list[int]] = deque(maxlen=64)  # [begin_ns, end_ns] of what was heard

    def add(self, samples: npt.NDArray[np.float32], heard_ns: int) -> None:
        """(num_samples,) that are heard from `heard_ns` on."""
        with self._lock:
            if not self._spans or abs(heard_ns - self._due_ns) > _SEAM_NS:
                self._resampler.finish()
                self._due_ns = heard_ns
                self._skip_to(heard_ns * self.sample_rate_hz // NS_PER_S)
                self._spans.append([heard_ns, heard_ns])
            self._due_ns += len(samples) * NS_PER_S // self._voice_rate_hz
            self._spans[-1][1] = self._due_ns
            self._write(self._resampler.push(np.ascontiguousarray(samples, np.float32)))

    def cut(self, moment_ns: int) -> None:
        """Nothing was heard from here on: the voice was stopped."""
        with self._lock:
            index = moment_ns * self.sample_rate_hz // NS_PER_S
            if index < self._end:
                first = max(index, self._end - len(self._ring))
                self._ring[np.arange(first, self._end) % len(self._ring)] = 0.0
            while self._spans and self._spans[-1][0] >= moment_ns:
                self._spans.pop()
            if self._spans:
                self._spans[-1][1] = min(self._spans[-1][1], moment_ns)
            self._due_ns = 0

    def read(self, begin_ns: int, num_samples: int) -> npt.NDArray[np.float32]:
        """(num_samples,) that were heard from `begin_ns` on; zeros where nothing was."""
        with self._lock:
            indices = np.arange(num_samples) + begin_ns * self.sample_rate_hz // NS_PER_S
            is_there = (indices >= self._end - len(self._ring)) & (indices < self._end)
            return np.where(is_there, self._ring[indices % len(self._ring)], np.float32(0.0))

    def was_audible(self, begin_ns: int, end_ns: int) -> bool:
        """Whether anything was heard in between."""
        with self._lock:
            return any(begin < end_ns and begin_ns < end for begin, end in self._spans)

    def _skip_to(self, index: int) -> None:
        """Silence up to `index`, or back to it: a seam may overlap what was there."""
        first = max(self._end, index - len(self._ring))
        if first < index:
            self._ring[np.arange(first, index) % len(self._ring)] = 0.0
        self._end = index

    def _write(self, samples: npt.NDArray[np.float32]) -> None:
        kept = samples[-len(self._ring) :]
        begin = self._end + len(samples) - len(kept)
        self._ring[np.arange(begin, begin + len(kept)) % len(self._ring)] = kept
        self._end += len(samples)
