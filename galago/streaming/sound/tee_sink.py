"""Speech to two places at once: a speaker, and a file that keeps what it was given."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from galago.streaming.sound.sink import AudioSink


class TeeSink(AudioSink):
    """A sink that is heard, and a second that records it.

    Of interrupted speech the record has what the first sink had taken: up to the length of its queue more
    than was heard.

    Args:
        heard: gives the pace and the times.
        record: a file or a pipe, at the same rate.
    """

    def __init__(self, heard: AudioSink, record: AudioSink) -> None:
        self._heard = heard
        self._record = record
        self.name = heard.name
        self.sample_rate_hz = heard.sample_rate_hz

    @property
    def underruns(self) -> int:
        return self._heard.underruns

    def write(self, samples: npt.NDArray[np.float32]) -> int:
        heard_ns = self._heard.write(samples)
        self._record.write(samples)
        return heard_ns

    def drain(self) -> None:
        self._heard.drain()

    def discard(self) -> int:
        return self._heard.discard()

    def close(self) -> None:
        try:
            self._heard.close()
        finally:
            self._record.close()
