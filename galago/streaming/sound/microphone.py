"""A microphone through either sound library."""

from __future__ import annotations

from galago.streaming.sound.capture import CaptureSource
from galago.streaming.sound.sound_card import Backend, SoundLibrary, open_library

PREFERRED_RATE_HZ = 16000  # what the ear hears: the card, or the sound server, resamples for us


def open_microphone(device: str | int | None = None, backend: Backend = "sounddevice") -> CaptureSource:
    """Open a microphone; it starts when it is iterated.

    Args:
        device: index, or a part of the name; None: the system's default.
        backend: which library.

    Raises:
        UnsupportedError: the library, or the system library that it loads, is not installed.
        SourceError: there is no such device, or it takes no input.
    """
    return Microphone(open_library(backend, "input"), device)


class Microphone(CaptureSource):
    """A microphone; ``library`` is its own, and is released with it."""

    def __init__(self, library: SoundLibrary, device: str | int | None = None) -> None:
        self._library = library
        self._format = library.choose(device, PREFERRED_RATE_HZ)
        self.device = self._format.device
        super().__init__("mic", self._format.sample_rate_hz, self._format.num_channels)

    def _start(self) -> None:
        self._library.record(self._format, self.block_frames, self._received, self._stopped)

    def _stop(self) -> None:
        self._library.release()
