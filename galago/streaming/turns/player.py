"""From a voice to a sink, on a thread of its own; silent at once when somebody speaks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galago.streaming.sound.sink import AudioSink, now_ns
from galago.streaming.source import NS_PER_S
from galago.streaming.turns.voice import Voice

BLOCK_MS = 10  # of one write: what is in the air when the voice is stopped
_NAP_S = 0.002  # between looks for the next samples of a voice that computes


@dataclass(frozen=True, slots=True)
class PlaybackStarted:
    """The first sample is heard at begin_ns."""

    begin_ns: int


@dataclass(frozen=True, slots=True)
class PlaybackEnded:
    """The last sample was heard at end_ns."""

    begin_ns: int
    end_ns: int
    was_interrupted: bool


class Player:
    """Plays what a voice says.  `run` is the body of a thread; the rest may be called from any.

    Args:
        voice: what speaks.
        sink: where to; at the rate of the voice.
        tell: is told PlaybackStarted and PlaybackEnded, on the thread of the player.
        heard: is given the samples and when they are heard, each time.
        silenced: is told from when on nothing was heard, when speech is stopped.
    """

    def __init__(
        self,
        voice: Voice,
        sink: AudioSink,
        *,
        tell: Callable[[PlaybackStarted | PlaybackEnded], None] = lambda _: None,
        heard: Callable[[npt.NDArray[np.float32], int], None] = lambda samples, when_ns: None,
        silenced: Callable[[int], None] = lambda when_ns: None,
    ) -> None:
        self._voice = voice
        self._sink = sink
        self._tell = tell
        self._heard = heard
        self._silenced = silenced
        self._wanted = threading.Event()
        self._closed = threading.Event()
        self._writing = threading.Lock()
        self._num_stops = 0
        self._num_stops_at_begin = 0
        self._begin_ns: int | None = None  # of what plays now
        self._end_ns = 0

    @property
    def is_speaking(self) -> bool:
        """Something is said, or was asked for."""
        return self._begin_ns is not None or self._voice.is_speaking

    @property
    def underruns(self) -> int:
        return self._sink.underruns

    def say(self, text: str) -> int:
        """Queue text; returns the number of its utterance.  Raises GalagoError where it cannot be said."""
        utterance = self._voice.speak(text)
        self._wanted.set()
        return utterance

    def stop(self) -> bool:
        """Fall silent now.  Returns whether there was anything to silence."""
        was_speaking = self.is_speaking
        self._num_stops += 1
        self._voice.stop()
        self._sink.discard()  # also wakes a write that waits for room
        with self._writing:  # a block that was read before the stop is written by now, or never will be
            self._sink.discard()
            self._silenced(now_ns())
        return was_speaking

    def close(self) -> None:
        """Silence, and the end of `run`."""
        self._closed.set()
        self._wanted.set()
        self.stop()

    def run(self) -> None:
        """Play until `close`.

        Raises:
            SinkError: the sink went away.
        """
        buffer = np.empty(max(1, self._voice.sample_rate_hz * BLOCK_MS // 1000), np.float32)
        try:
            while not self._closed.is_set():
                num_stops = self._num_stops
                num_read = self._voice.read(buffer)
                if num_read:
                    self._play(buffer[:num_read].copy(), num_stops)
                elif self._voice.is_speaking:
                    self._closed.wait(_NAP_S)
                elif self._begin_ns is not None:
                    self._sink.drain()
                    self._ended()
                else:
                    self._wanted.wait()
                    self._wanted.clear()
        finally:
            self._ended()

    def _play(self, samples: npt.NDArray[np.float32], num_stops: int) -> None:
        with self._writing:
            if self._num_stops != self._num_stops_at_begin:
                self._ended()  # stopped, and what follows is another playback
            if self._num_stops != num_stops:
                return
            heard_ns = self._sink.write(samples)
            self._heard(samples, heard_ns)
            self._end_ns = heard_ns + len(samples) * NS_PER_S // self._voice.sample_rate_hz
            if self._begin_ns is None:
                self._begin_ns = heard_ns
                self._num_stops_at_begin = num_stops
                self._tell(PlaybackStarted(heard_ns))

    def _ended(self) -> None:
        begin_ns, self._begin_ns = self._begin_ns, None
        if begin_ns is not None:
            was_stopped = self._num_stops != self._num_stops_at_begin
            end_ns = min(self._end_ns, now_ns()) if was_stopped else self._end_ns
            self._tell(PlaybackEnded(begin_ns, end_ns, was_stopped))
