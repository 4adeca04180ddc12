"""Sound cards through sounddevice and through PyAudio, both over PortAudio.

Two libraries because neither is everywhere: sounddevice ships a wheel and loads Debian's libportaudio2;
PyAudio is what many projects have, and is built against portaudio19-dev.  :class:`SoundLibrary` is what a
microphone and a speaker need of either.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from galago.runtime.errors import GalagoError, InvalidArgumentError, SinkError, SourceError
from galago.streaming.extras import import_extra

Backend = Literal["sounddevice", "pyaudio"]
BACKENDS: tuple[Backend, ...] = ("sounddevice", "pyaudio")
Kind = Literal["input", "output"]
NOUNS: dict[Kind, str] = {"input": "microphone", "output": "speaker"}
ERRORS: dict[Kind, type[GalagoError]] = {"input": SourceError, "output": SinkError}


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


class StreamFormat(NamedTuple):
    """What a device was asked for, and takes."""

    device: Device
    sample_rate_hz: int
    num_channels: int


class Receiver(Protocol):
    """Takes a block of a microphone, (num_frames, num_channels); ``lost``: frames before it are missing."""

    def __call__(self, samples: npt.NDArray[np.float32], /, *, lost: bool) -> None: ...


class Provider(Protocol):
    """Gives the next (num_frames,) samples of a speaker; ``underflow``: the last ones came too late."""

    def __call__(self, num_frames: int, /, *, underflow: bool) -> npt.NDArray[np.float32]: ...


def find_device(devices: list[Device], wanted: str | int | None, backend: str, *, kind: Kind) -> Device:
    """The input or output that is meant: the default, an index, or a unique part of a name.

    Raises:
        SourceError, SinkError: there is no such input or output; the message lists what there is.
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
    noun = NOUNS[kind]
    what = f"no {noun}" if wanted is None else f"no {noun} {wanted!r}" if not chosen else f"{wanted!r} fits"
    listed = ", ".join(f"{device.index}: {device.name}" for device in chosen or usable) or "none at all"
    raise ERRORS[kind](f"{backend}: {what}; {'several' if chosen else f'{kind}s'}: {listed}")


class SoundLibrary(ABC):
    """One library, loaded for one input or one output.

    Args:
        kind: what is wanted of it; errors are SourceError or SinkError by it.

    Raises:
        UnsupportedError: the library, or the system library that it loads, is not installed.
    """

    name: Backend
    refusals: tuple[type[Exception], ...]  # the library's own ways to say no

    def __init__(self, kind: Kind) -> None:
        self.kind: Kind = kind
        self._stream: Any = None

    @abstractmethod
    def devices(self) -> list[Device]:
        """Every device that the library offers, in its own order."""

    @abstractmethod
    def _check(self, wanted: StreamFormat) -> None:
        """Raise one of :attr:`refusals` where the device does not take that."""

    @abstractmethod
    def record(
        self, wanted: StreamFormat, block_frames: int, received: Receiver, stopped: Callable[[], None]
    ) -> None:
        """Start a microphone; ``received`` and ``stopped`` are called on the library's thread.

        Raises:
            SourceError: the device refuses.
        """

    @abstractmethod
    def play(
        self, wanted: StreamFormat, block_frames: int, provide: Provider, stopped: Callable[[], None]
    ) -> float:
        """Start a speaker and return its latency in seconds; calls back on the library's thread.

        Raises:
            SinkError: the device refuses.
        """

    @abstractmethod
    def release(self) -> None:
        """End the stream, if any, and let go of the device."""

    @contextmanager
    def _named(self, device: Device | None = None) -> Iterator[None]:
        """The library's refusals as errors that name it and the device."""
        try:
            yield
        except self.refusals as error:
            where = self.name if device is None else f"{self.name}: {device.name}"
            raise ERRORS[self.kind](f"{where}: {error}") from error

    def choose(self, device: str | int | None, sample_rate_hz: int) -> StreamFormat:
        """A device and a format that it takes, as near to mono at ``sample_rate_hz`` as it can.

        Args:
            device: index, or a part of the name; None: the system's default.

        Raises:
            SourceError, SinkError: there is no such device, or it takes no format; it has been released.
        """
        try:
            with self._named():
                found = find_device(self.devices(), device, self.name, kind=self.kind)
            max_channels: int = getattr(found, f"max_{self.kind}_channels")
            formats = [
                StreamFormat(found, rate_hz, num_channels)
                for rate_hz in (sample_rate_hz, found.default_sample_rate_hz)
                for num_channels in (1, min(2, max_channels))
            ]
            for wanted in formats[:-1]:
                try:
                    self._check(wanted)
                except self.refusals:
                    continue  # the next may do
                return wanted
            with self._named(found):
                self._check(formats[-1])
            return formats[-1]
        except BaseException:
            self.release()
            raise


class SoundDeviceLibrary(SoundLibrary):
    """python-sounddevice."""

    name = "sounddevice"

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind)
        self._sounddevice: Any = import_extra(
            "sounddevice", extra="audio", purpose=f"the {NOUNS[kind]}", debian="libportaudio2"
        )
        self.refusals = (self._sounddevice.PortAudioError,)

    def devices(self) -> list[Device]:
        apis = self._sounddevice.query_hostapis()
        default_input, default_output = (int(index) for index in self._sounddevice.default.device)
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
            for index, device in enumerate(self._sounddevice.query_devices())
        ]

    @staticmethod
    def _settings(wanted: StreamFormat) -> dict[str, Any]:
        return {
            "device": wanted.device.index,
            "samplerate": wanted.sample_rate_hz,
            "channels": wanted.num_channels,
            "dtype": "float32",
        }

    def _check(self, wanted: StreamFormat) -> None:
        getattr(self._sounddevice, f"check_{self.kind}_settings")(**self._settings(wanted))

    def _start(
        self, stream: Any, wanted: StreamFormat, block_frames: int, callback: Any, stopped: Any
    ) -> None:
        with self._named(wanted.device):
            self._stream = stream(
                **self._settings(wanted),
                blocksize=block_frames,
                latency="low",
                callback=callback,
                finished_callback=stopped,
            )
            self._stream.start()

    def record(
        self, wanted: StreamFormat, block_frames: int, received: Receiver, stopped: Callable[[], None]
    ) -> None:
        def receive(samples: Any, num_frames: int, times: Any, status: Any) -> None:
            received(np.array(samples, np.float32), lost=bool(status.input_overflow))

        self._start(self._sounddevice.InputStream, wanted, block_frames, receive, stopped)

    def play(
        self, wanted: StreamFormat, block_frames: int, provide: Provider, stopped: Callable[[], None]
    ) -> float:
        def fill(samples: Any, num_frames: int, times: Any, status: Any) -> None:
            samples[:] = provide(num_frames, underflow=bool(status.output_underflow))[:, None]

        self._start(self._sounddevice.OutputStream, wanted, block_frames, fill, stopped)
        return float(self._stream.latency)

    def release(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.abort(ignore_errors=True)
            stream.close(ignore_errors=True)


class PyAudioLibrary(SoundLibrary):
    """PyAudio, which does not say that a stream ended: it stays silent."""

    name = "pyaudio"
    refusals = (OSError, ValueError)  # of a device, of a format

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind)
        self._pyaudio: Any = import_extra(
            "pyaudio", extra="pyaudio", purpose=f"the {NOUNS[kind]}", debian="portaudio19-dev"
        )
        self._portaudio: Any = self._pyaudio.PyAudio()

    def devices(self) -> list[Device]:
        def default(kind: Kind) -> int:
            try:
                return int(getattr(self._portaudio, f"get_default_{kind}_device_info")()["index"])
            except OSError:  # PyAudio's way to say that there is none
                return -1

        default_input, default_output = default("input"), default("output")
        devices = []
        for index in range(self._portaudio.get_device_count()):
            info = self._portaudio.get_device_info_by_index(index)
            devices.append(
                Device(
                    index=index,
                    name=str(info["name"]),
                    host_api=str(self._portaudio.get_host_api_info_by_index(info["hostApi"])["name"]),
                    max_input_channels=int(info["maxInputChannels"]),
                    max_output_channels=int(info["maxOutputChannels"]),
                    default_sample_rate_hz=round(info["defaultSampleRate"]),
                    is_default_input=index == default_input,
                    is_default_output=index == default_output,
                )
            )
        return devices

    def _check(self, wanted: StreamFormat) -> None:
        asked = {
            f"{self.kind}_device": wanted.device.index,
            f"{self.kind}_channels": wanted.num_channels,
            f"{self.kind}_format": self._pyaudio.paFloat32,
        }
        self._portaudio.is_format_supported(wanted.sample_rate_hz, **asked)

    def _start(self, wanted: StreamFormat, block_frames: int, callback: Any) -> None:
        direction = {self.kind: True, f"{self.kind}_device_index": wanted.device.index}
        with self._named(wanted.device):
            self._stream = self._portaudio.open(
                rate=wanted.sample_rate_hz,
                channels=wanted.num_channels,
                format=self._pyaudio.paFloat32,
                frames_per_buffer=block_frames,
                stream_callback=callback,
                **direction,
            )

    def record(
        self, wanted: StreamFormat, block_frames: int, received: Receiver, stopped: Callable[[], None]
    ) -> None:
        def receive(encoded: bytes, num_frames: int, times: Any, status: int) -> tuple[None, int]:
            samples = np.frombuffer(encoded, np.float32).reshape(-1, wanted.num_channels)
            received(samples, lost=bool(status & self._pyaudio.paInputOverflow))
            return None, self._pyaudio.paContinue

        self._start(wanted, block_frames, receive)

    def play(
        self, wanted: StreamFormat, block_frames: int, provide: Provider, stopped: Callable[[], None]
    ) -> float:
        def fill(unused: Any, num_frames: int, times: Any, status: int) -> tuple[bytes, int]:
            block = provide(num_frames, underflow=bool(status & self._pyaudio.paOutputUnderflow))
            return np.repeat(block, wanted.num_channels).tobytes(), self._pyaudio.paContinue

        self._start(wanted, block_frames, fill)
        return float(self._stream.get_output_latency())

    def release(self) -> None:
        stream, self._stream = self._stream, None
        try:
            if stream is not None:
                stream.close()
        finally:
            self._portaudio.terminate()


_LIBRARIES: dict[str, type[SoundLibrary]] = {
    library.name: library for library in (SoundDeviceLibrary, PyAudioLibrary)
}


def open_library(backend: Backend, kind: Kind) -> SoundLibrary:
    """Load a library for an input or an output.

    Raises:
        InvalidArgumentError: no such backend.
        UnsupportedError: the library, or the system library that it loads, is not installed.
    """
    if backend not in _LIBRARIES:
        raise InvalidArgumentError(f"backend: expected one of {', '.join(BACKENDS)}, found {backend!r}")
    return _LIBRARIES[backend](kind)


def list_devices(backend: Backend = "sounddevice") -> list[Device]:
    """Every device that a backend offers, in its own order.

    Raises:
        UnsupportedError: the library, or the system library that it loads, is not installed.
    """
    library = open_library(backend, "input")
    try:
        return library.devices()
    finally:
        library.release()
