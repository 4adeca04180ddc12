"""A voice without a network: every word is a tenth of a second of a tone, ready at once."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

RATE_HZ = 22050
WORD_SAMPLES = RATE_HZ // 10
HANGS_S = 60  # a guard: nothing here takes a tenth of it


class FakeVoice:
    """Says words as tones; what was asked for and how often it was stopped stands in its attributes."""

    def __init__(self, *, word_samples: int = WORD_SAMPLES) -> None:
        self.sample_rate_hz = RATE_HZ
        self.texts: list[str] = []
        self.num_stops = 0
        self._word_samples = word_samples
        self._lock = threading.Lock()
        self._waiting = np.empty(0, np.float32)
        self.changed = threading.Condition()

    @property
    def is_speaking(self) -> bool:
        with self._lock:
            return len(self._waiting) > 0

    def speak(self, text: str) -> int:
        with self._lock:
            self._waiting = np.concatenate([self._waiting, speech(text, self._word_samples)])
        with self.changed:
            self.texts.append(text)
            self.changed.notify_all()
        return len(self.texts)

    def read(self, buffer: npt.NDArray[np.float32]) -> int:
        with self._lock:
            ready = self._waiting[: len(buffer)]
            self._waiting = self._waiting[len(ready) :]
        buffer[: len(ready)] = ready
        return len(ready)

    def stop(self) -> None:
        with self._lock:
            self._waiting = self._waiting[:0]
            self.num_stops += 1

    def wait_for_texts(self, num_texts: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.texts) >= num_texts, HANGS_S), self.texts


def speech(text: str, word_samples: int = WORD_SAMPLES) -> npt.NDArray[np.float32]:
    """What the fake voice says: (num_words * word_samples,)."""
    time_s = np.arange(len(text.split()) * word_samples) / RATE_HZ
    return (0.3 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32)
