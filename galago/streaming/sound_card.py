"""Microphones through sounddevice and through PyAudio, both over PortAudio.

Two libraries because neither is everywhere: sounddevice ships a wheel and loads Debian's libportaudio2;
PyAudio is what many projects have, and is built against portaudio19-dev.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np

from galago.runtime.errors import InvalidArgumentError, SourceError
from galago.streaming.capture import CaptureSource
from galago.streaming.extras import import_extra

Backend = Literal["sounddevice", "pyaudio"]
BACKENDS: tuple[Backend, ...] = ("sounddevice", "pyaudio")
PREFERRED_RATE_HZ = 16000  # what the ear hears: the card, or the sound server, resamples for us


@dataclass(frozen=True, slots=True)
class Device:
    """One input or output that PortAudio offers."""

    index: int
    name: str
    host_api: str  # "ALSA", "Core Audio", ...
    max_input_channels: int
    max_output_channels: int
    default_sample_rate_hz: int
    is_default_input: bool
    is_default_output: bool


def open_microphone(device: str | int | None = None, backend: Backend = "sounddevice") -> CaptureSource:
    """Open a microphone; it starts when it is iterated.

    Args:
        device: index, or a part of the name; None: the system's default.
        backend: which library.

    Raises:
        UnsupportedError: the library, or the system library that it loads, is not installed.
        SourceError: there is no such device, or it takes no input.
    """
    if backend == "sounddevice":
        return SoundDeviceSource(device)
    if backend == "pyaudio":
        return PyAudioSource(device)
    raise InvalidArgumentError(f"backend: expected one of {', '.join(BACKENDS)}, found {backend!r}")


def list_devices(backend: Backend = "sounddevice") -> list[Device]:
    """Every device that a backend offers, in its own order."""
    if backend == "sounddevice":
        return sounddevice_devices(load_sounddevice())
    if backend != "pyaudio":
        raise InvalidArgumentError(f"backend: expected one of {', '.join(BACKENDS)}, found {backend!r}")
    portaudio = load_pyaudio().PyAudio()
    try:
        return pyaudio_devices(portaudio)
    finally:
        portaudio.terminate()


def find_input(devices: list[Device], wanted: str | int | None, backend: str) -> Device:
    """The input that is meant: the default, an index, or a unique part of a name.

    Raises:
        SourceError: there is none; the message lists what there is.
    """
    return find_device(devices, wanted, backend, kind="input")


def find_device(
    devices: list[Device], wanted: str | int | None, backend: str, *, kind: Literal["input", "output"]
) -> Device:
    """The input or output that is meant: the default, an index, or a unique part of a name.

    Raises:
        SourceError: there is none; the message lists what there is.
    """
    usable = [device for device in devices if getattr(device, f"max_{kind}_channels") > 0]
    if wanted is None:
        chosen = [device for device in usable if getattr(device, f"is_default_{kind}")] or usable[:1]
    elif isinstance(wanted, int) or wanted.isdecimal():
        chosen = [device for device in usable if device.index == int(wanted)]
    else:
        chosen = [device for device in usable if device.name.lower() == wanted.lower()]
        chosen = chosen or [device for device in usable if wanted.lower() in device.name.lower()]
    if len(chosen) == 1:
        return chosen[0]
    noun = "microphone" if kind == "input" else "speaker"
    what = f"no {noun}" if wanted is None else f"no {noun} {wanted!r}" if not chosen else f"{wanted!r} fits"
    listed = ", ".join(f"{device.index}: {device.name}" for device in chosen or usable) or "none at all"
    raise SourceError(f"{backend}: {what}; {'several' if chosen else f'{kind}s'}: {listed}")


# -- sounddevice ---------------------------------------------------------------------------------------


def load_sounddevice(*, purpose: str = "the microphone") -> ModuleType:
    """The library, or an UnsupportedError that says how to get it."""
    return import_extra("sounddevice", extra="audio", purpose=purpose, debian="libportaudio2")


def sounddevice_devices(sounddevice: Any) -> list[Device]:
    """Every device that sounddevice offers."""
    apis = sounddevice.query_hostapis()
    default_input, default_output = (int(index) for index in sounddevice.default.device)
    if default_input < 0 and apis:
        default_input = int(apis[0]["default_input_device"])
        default_output = int(apis[0]["default_output_device"])
    return [
        Device(
            index=index,
            name=str(device["name"]),
            host_api=str(apis[device["hostapi"]]["name"]),
            max_input_channels=int(device["max_input_channels"]),
            max_output_channels=int(device["max_output_channels"]),
            default_sample_rate_hz=round(device["default_samplerate"]),
            is_default_input=index == default_input,
            is_default_output=index == default_output,
        )
        for index, device in enumerate(sounddevice.query_devices())
    ]


class SoundDeviceSource(CaptureSource):
    """A microphone through python-sounddevice."""

    def __init__(self, device: str | int | None = None) -> None:
        self._sounddevice: Any = load_sounddevice()
        try:
            found = find_input(sounddevice_devices(self._sounddevice), device, "sounddevice")
            rate_hz, channels = self._settings(found)
        except self._sounddevice.PortAudioError as error:
            raise SourceError(f"sounddevice: {error}") from error
        super().__init__("mic", rate_hz, channels)
        self.device = found
        self._stream: Any = None

    def _settings(self, device: Device) -> tuple[int, int]:
        """(rate, channels) as near to 16 kHz mono as the device allows."""
        for rate_hz in (PREFERRED_RATE_HZ, device.default_sample_rate_hz):
            for channels in (1, min(2, device.max_input_channels)):
                try:
                    self._sounddevice.check_input_settings(
                        device=device.index, samplerate=rate_hz, channels=channels, dtype="float32"
                    )
                except self._sounddevice.PortAudioError as error:
                    refusal = error
                else:
                    return rate_hz, channels
        raise SourceError(f"sounddevice: {device.name}: {refusal}") from refusal

    def _start(self) -> None:
        def receive(samples: Any, num_frames: int, times: Any, status: Any) -> None:
            self._received(np.array(samples, np.float32), lost=bool(status.input_overflow))

        try:
            self._stream = self._sounddevice.InputStream(
                device=self.device.index,
                channels=self.num_channels,
                samplerate=self.sample_rate_hz,
                blocksize=self.block_frames,
                dtype="float32",
                latency="low",
                callback=receive,
                finished_callback=self._stopped,
            )
            self._stream.start()
        except self._sounddevice.PortAudioError as error:
            raise SourceError(f"sounddevice: {self.device.name}: {error}") from error

    def _stop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.abort(ignore_errors=True)
            stream.close(ignore_errors=True)


# -- PyAudio -------------------------------------------------------------------------------------------


def load_pyaudio(*, purpose: str = "the microphone") -> ModuleType:
    """The library, or an UnsupportedError that says how to get it."""
    return import_extra("pyaudio", extra="pyaudio", purpose=purpose, debian="portaudio19-dev")


def pyaudio_devices(portaudio: Any) -> list[Device]:
    """Every device that PyAudio offers."""

    def default(kind: str) -> int:
        try:
            return int(getattr(portaudio, f"get_default_{kind}_device_info")()["index"])
        except OSError:  # PyAudio's way to say that there is none
            return -1

    default_input, default_output = default("input"), default("output")
    devices = []
    for index in range(portaudio.get_device_count()):
        info = portaudio.get_device_info_by_index(index)
        devices.append(
            Device(
                index=index,
                name=str(info["name"]),
                host_api=str(portaudio.get_host_api_info_by_index(info["hostApi"])["name"]),
                max_input_channels=int(info["maxInputChannels"]),
                max_output_channels=int(info["maxOutputChannels"]),
                default_sample_rate_hz=round(info["defaultSampleRate"]),
                is_default_input=index == default_input,
                is_default_output=index == default_output,
            )
        )
    return devices


class PyAudioSource(CaptureSource):
    """A microphone through PyAudio."""

    def __init__(self, device: str | int | None = None) -> None:
        self._pyaudio: Any = load_pyaudio()
        self._portaudio: Any = self._pyaudio.PyAudio()
        try:
            found = find_input(pyaudio_devices(self._portaudio), device, "pyaudio")
            rate_hz, channels = self._settings(found)
        except BaseException:
            self._portaudio.terminate()
            raise
        super().__init__("mic", rate_hz, channels)
        self.device = found
        self._stream: Any = None

    def _settings(self, device: Device) -> tuple[int, int]:
        """(rate, channels) as near to 16 kHz mono as the device allows."""
        for rate_hz in (PREFERRED_RATE_HZ, device.default_sample_rate_hz):
            for channels in (1, min(2, device.max_input_channels)):
                try:
                    self._portaudio.is_format_supported(
                        rate_hz,
                        input_device=device.index,
                        input_channels=channels,
                        input_format=self._pyaudio.paFloat32,
                    )
                except ValueError as error:  # PyAudio's way to say no
                    refusal = error
                else:
                    return rate_hz, channels
        raise SourceError(f"pyaudio: {device.name}: {refusal}") from refusal

    def _start(self) -> None:
        def receive(encoded: bytes, num_frames: int, times: Any, status: int) -> tuple[None, int]:
            samples = np.frombuffer(encoded, np.float32).reshape(-1, self.num_channels)
            self._received(samples, lost=bool(status & self._pyaudio.paInputOverflow))
            return None, self._pyaudio.paContinue

        try:
            self._stream = self._portaudio.open(
                rate=self.sample_rate_hz,
                channels=self.num_channels,
                format=self._pyaudio.paFloat32,
                input=True,
                input_device_index=self.device.index,
                frames_per_buffer=self.block_frames,
                stream_callback=receive,
            )
        except OSError as error:
            raise SourceError(f"pyaudio: {self.device.name}: {error}") from error

    def _stop(self) -> None:
        stream, self._stream = self._stream, None
        try:
            if stream is not None:
                stream.close()
        finally:
            self._portaudio.terminate()
