"""Where sound goes to: a sink takes mono samples, says when they will be heard, and can be silenced at once.

AudioSink
├── WavSink               wav_sink.py     a WAV file
├── RawPcmSink            wav_sink.py     headerless PCM into a pipe: `galago say ... -o - | aplay ...`
├── Speaker               speaker.py      speaker through sounddevice or PyAudio
├── TeeSink               tee_sink.py     one that is heard and one that records it
└── RealTimeSink          wav_sink.py     any of the files as slow as a speaker would be
"""

from __future__ import annotations

import time
from abc import abstractmethod

import numpy as np
import numpy.typing as npt

from galago.runtime.closing import Closing


class AudioSink(Closing):
    """A stream of samples to somewhere.  One thread writes; `discard` and `close` may come from any.

    Attributes:
        name: for messages: a path, "-", "speaker".
        sample_rate_hz: of what is written, mono.
    """

    name: str
    sample_rate_hz: int

    @abstractmethod
    def write(self, samples: npt.NDArray[np.float32]) -> int:
        """Take samples, waiting for room.

        Args:
            samples: (num_samples,) in [-1, 1]; beyond that they are clipped.

        Returns:
            Monotonic time at which the first of them is heard, as far as the sink knows.

        Raises:
            SinkError: it went away; all that it had taken before was given out as far as that could be.
        """

    def drain(self) -> None:  # noqa: B027 - a file hears at once
        """Wait until everything that was taken has been heard, or discarded."""

    def discard(self) -> int:
        """Forget what was taken and not heard yet.  Returns how many samples that was."""
        return 0

    @property
    def underruns(self) -> int:
        """How often samples came too late for a sink that plays in real time: a gap was heard."""
        return 0


def as_int16(samples: npt.NDArray[np.float32]) -> bytes:
    """Little-endian 16-bit samples, clipped."""
    return np.round(np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()


def now_ns() -> int:
    """The clock of capture times and of playback."""
    return time.monotonic_ns()
