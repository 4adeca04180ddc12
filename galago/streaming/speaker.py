"""Speakers through sounddevice and through PyAudio, as sound_card.py has the microphones."""

from __future__ import annotations

from typing import Any

import numpy as np

from galago.runtime.errors import InvalidArgumentError, SinkError, SourceError
from galago.streaming.playback import PlaybackSink
from galago.streaming.sound_card import (
    BACKENDS,
    Backend,
    Device,
    find_device,
    load_pyaudio,
    load_sounddevice,
    pyaudio_devices,
    sounddevice_devices,
)


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
    if backend == "sounddevice":
        return SoundDeviceSink(sample_rate_hz, device)
    if backend == "pyaudio":
        return PyAudioSink(sample_rate_hz, device)
    raise InvalidArgumentError(f"backend: expected one of {', '.join(BACKENDS)}, found {backend!r}")


def find_output(devices: list[Device], wanted: str | int | None, backend: str) -> Device:
    """The output that is meant: the default, an index, or a unique part of a name.

    Raises:
        SinkError: there is none; the message lists what there is.
    """
    try:
        return find_device(devices, wanted, backend, kind="output")
    except SourceError as error:
        raise SinkError(str(error)) from None


class SoundDeviceSink(PlaybackSink):
    """A speaker through python-sounddevice."""

    def __init__(self, sample_rate_hz: int, device: str | int | None = None) -> None:
        self._sounddevice: Any = load_sounddevice(purpose="the speaker")
        try:
            self.device = find_output(sounddevice_devices(self._sounddevice), device, "sounddevice")
            rate_hz, self._num_channels = self._settings(self.device, sample_rate_hz)
        except self._sounddevice.PortAudioError as error:
            raise SinkError(f"sounddevice: {error}") from error
        super().__init__("speaker", sample_rate_hz, rate_hz)
        self._stream: Any = None

    def _settings(self, device: Device, wanted_rate_hz: int) -> tuple[int, int]:
        for rate_hz in (wanted_rate_hz, device.default_sample_rate_hz):
            for channels in (1, min(2, device.max_output_channels)):
                try:
                    self._sounddevice.check_output_settings(
                        device=device.index, samplerate=rate_hz, channels=channels, dtype="float32"
                    )
                except self._sounddevice.PortAudioError as error:
                    refusal = error
                else:
                    return rate_hz, channels
        raise SinkError(f"sounddevice: {device.name}: {refusal}") from refusal

    def _start(self) -> float:
        def fill(samples: Any, num_frames: int, times: Any, status: Any) -> None:
            samples[:] = self._next(num_frames, underflow=bool(status.output_underflow))[:, None]

        try:
            self._stream = self._sounddevice.OutputStream(
                device=self.device.index,
                channels=self._num_channels,
                samplerate=self.device_rate_hz,
                blocksize=self.block_frames,
                dtype="float32",
                latency="low",
                callback=fill,
                finished_callback=self._stopped,
            )
            self._stream.start()
        except self._sounddevice.PortAudioError as error:
            raise SinkError(f"sounddevice: {self.device.name}: {error}") from error
        return float(self._stream.latency)

    def _stop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.abort(ignore_errors=True)
            stream.close(ignore_errors=True)


class PyAudioSink(PlaybackSink):
    """A speaker through PyAudio."""

    def __init__(self, sample_rate_hz: int, device: str | int | None = None) -> None:
        self._pyaudio: Any = load_pyaudio(purpose="the speaker")
        self._portaudio: Any = self._pyaudio.PyAudio()
        try:
            self.device = find_output(pyaudio_devices(self._portaudio), device, "pyaudio")
            rate_hz, self._num_channels = self._settings(self.device, sample_rate_hz)
        except BaseException:
            self._portaudio.terminate()
            raise
        super().__init__("speaker", sample_rate_hz, rate_hz)
        self._stream: Any = None

    def _settings(self, device: Device, wanted_rate_hz: int) -> tuple[int, int]:
        for rate_hz in (wanted_rate_hz, device.default_sample_rate_hz):
            for channels in (1, min(2, device.max_output_channels)):
                try:
                    self._portaudio.is_format_supported(
                        rate_hz,
                        output_device=device.index,
                        output_channels=channels,
                        output_format=self._pyaudio.paFloat32,
                    )
                except ValueError as error:  # PyAudio's way to say no
                    refusal = error
                else:
                    return rate_hz, channels
        raise SinkError(f"pyaudio: {device.name}: {refusal}") from refusal

    def _start(self) -> float:
        def fill(unused: Any, num_frames: int, times: Any, status: int) -> tuple[bytes, int]:
            block = self._next(num_frames, underflow=bool(status & self._pyaudio.paOutputUnderflow))
            return np.repeat(block, self._num_channels).tobytes(), self._pyaudio.paContinue

        try:
            self._stream = self._portaudio.open(
                rate=self.device_rate_hz,
                channels=self._num_channels,
                format=self._pyaudio.paFloat32,
                output=True,
                output_device_index=self.device.index,
                frames_per_buffer=self.block_frames,
                stream_callback=fill,
            )
        except OSError as error:
            raise SinkError(f"pyaudio: {self.device.name}: {error}") from error
        return float(self._stream.get_output_latency())

    def _stop(self) -> None:
        stream, self._stream = self._stream, None
        try:
            if stream is not None:
                stream.close()
        finally:
            self._portaudio.terminate()
