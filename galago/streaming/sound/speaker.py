"""A speaker through either sound library."""

from __future__ import annotations

from galago.streaming.sound.playback import PlaybackSink
from galago.streaming.sound.sound_card import Backend, SoundLibrary, open_library


def open_speaker(
    sample_rate_hz: int, device: str | int | None = None, backend: Backend = "sounddevice"
) -> PlaybackSink:
    """Open a speaker; it starts with the first write.

    Args:
        sample_rate_hz: of what will be written; a card of another rate is resampled for.
        device: index, or a part of the name; None: the system's default.
        backend: which library.

    Raises:
        UnsupportedError: the library, or the system library that it loads, is not installed.
        SinkError: there is no such device, or it gives no output.
    """
    return Speaker(sample_rate_hz, open_library(backend, "output"), device)


class Speaker(PlaybackSink):
    """A speaker; ``library`` is its own, and is released with it."""

    def __init__(self, sample_rate_hz: int, library: SoundLibrary, device: str | int | None = None) -> None:
        self._library = library
        self._format = library.choose(device, sample_rate_hz)
        self.device = self._format.device
        super().__init__("speaker", sample_rate_hz, self._format.sample_rate_hz)

    def _start(self) -> float:
        return self._library.play(self._format, self.block_frames, self._next, self._stopped)

    def _stop(self) -> None:
        self._library.release()
