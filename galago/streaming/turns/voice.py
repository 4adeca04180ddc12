"""What a turn needs of a voice, and the voice of a session as one."""

from __future__ import annotations

import threading
from typing import Protocol

import numpy as np
import numpy.typing as npt

from galago.runtime.errors import UnsupportedError
from galago.runtime.events import Event, Failed, SpeakStop
from galago.runtime.session import Session


class Voice(Protocol):
    """Text in, samples out, as they are made."""

    @property
    def sample_rate_hz(self) -> int:
        """Of what `read` gives, mono."""

    @property
    def is_speaking(self) -> bool:
        """Something was asked for that is not read to its end; True is safe where it is not known yet."""

    def speak(self, text: str) -> int:
        """Queue text; returns the number of its utterance.  Raises GalagoError where it cannot be said."""

    def read(self, buffer: npt.NDArray[np.float32]) -> int:
        """Fill the start of (capacity,) with samples that are ready; returns how many, 0: none yet."""

    def stop(self) -> None:
        """Fall silent and forget what is queued.  From any thread."""


class SessionVoice:
    """The voice of a session's bundle.  Show it every event of the session: they say when speech ends.

    Raises:
        UnsupportedError: the bundle has no voice.
    """

    def __init__(self, session: Session) -> None:
        check_voice(session)
        self._session = session
        self._lock = threading.Lock()
        self._unfinished: set[int] = set()

    @property
    def sample_rate_hz(self) -> int:
        return self._session.info.speech_sample_rate_hz

    @property
    def is_speaking(self) -> bool:
        return bool(self._unfinished)

    def speak(self, text: str) -> int:
        with self._lock:  # its end may be told before we know its number
            utterance = self._session.speak(text)
            self._unfinished.add(utterance)
        return utterance

    def read(self, buffer: npt.NDArray[np.float32]) -> int:
        return self._session.read_speech(buffer)

    def stop(self) -> None:
        self._session.stop_speech()
        with self._lock:
            self._unfinished.clear()

    def told(self, event: Event) -> None:
        """An event of the session came."""
        with self._lock:
            if isinstance(event, SpeakStop):
                self._unfinished.discard(event.utterance)
            elif isinstance(event, Failed) and event.role == "voice":
                self._unfinished.clear()


def check_voice(session: Session) -> None:
    """Ask before a speaker is opened.

    Raises:
        UnsupportedError: the bundle has no voice.
    """
    if not session.info.speech_sample_rate_hz:
        raise UnsupportedError(
            f"{session.bundle.manifest.name}: this bundle has no voice; `galago info` says what it has"
        )
