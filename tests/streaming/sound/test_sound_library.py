"""What a microphone and a speaker ask of a sound library, with one that is made up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from galago.runtime.errors import SinkError, SourceError
from galago.streaming.sound.microphone import Microphone
from galago.streaming.sound.sound_card import Device, Kind, Provider, Receiver, SoundLibrary, StreamFormat
from galago.streaming.sound.speaker import Speaker

HEADSET = Device(0, "Headset", "ALSA", 2, 2, 48000, True, True)


class MadeUpLibrary(SoundLibrary):
    """One headset that takes the formats it is given; a block is there as soon as it is started."""

    name = "sounddevice"
    refusals = (OSError,)

    def __init__(self, kind: Kind, *formats: tuple[int, int], is_dead: bool = False) -> None:
        super().__init__(kind)
        self.formats, self.is_dead, self.num_released = formats, is_dead, 0
        self.asked: list[tuple[int, int]] = []

    def devices(self) -> list[Device]:
        if self.is_dead:
            raise OSError("no sound server")
        return [HEADSET]

    def _check(self, wanted: StreamFormat) -> None:
        self.asked.append((wanted.sample_rate_hz, wanted.num_channels))
        if self.asked[-1] not in self.formats:
            raise OSError("invalid sample rate")

    def record(
        self, wanted: StreamFormat, block_frames: int, received: Receiver, stopped: Callable[[], None]
    ) -> None:
        received(np.ones((block_frames, wanted.num_channels), np.float32), lost=False)
        stopped()

    def play(
        self, wanted: StreamFormat, block_frames: int, provide: Provider, stopped: Callable[[], None]
    ) -> float:
        with self._named(wanted.device):
            raise OSError("it is busy")

    def release(self) -> None:
        self.num_released += 1


@pytest.mark.parametrize("taken", [(16000, 1), (16000, 2), (48000, 1), (48000, 2)])
def test_a_format_as_near_as_the_card_allows(taken: tuple[int, int]) -> None:
    library = MadeUpLibrary("input", taken, (48000, 2))
    with Microphone(library) as microphone:
        assert (microphone.sample_rate_hz, microphone.num_channels) == taken
        assert library.asked == [(16000, 1), (16000, 2), (48000, 1), (48000, 2)][: len(library.asked)]
        assert next(iter(microphone)).samples.shape == (taken[0] // 50, taken[1])
        assert library.num_released == 0
    assert library.num_released == 1


def test_a_card_that_takes_no_format_is_named_and_released() -> None:
    library = MadeUpLibrary("input")
    with pytest.raises(SourceError, match="sounddevice: Headset: invalid sample rate"):
        Microphone(library)
    assert library.num_released == 1 and len(library.asked) == 4
    library = MadeUpLibrary("output")
    with pytest.raises(SinkError, match="sounddevice: Headset: invalid sample rate"):
        Speaker(22050, library)
    assert library.num_released == 1 and library.asked[0] == (22050, 1)


def test_a_library_that_cannot_list_its_devices_is_named_and_released() -> None:
    library = MadeUpLibrary("output", is_dead=True)
    with pytest.raises(SinkError, match="^sounddevice: no sound server$"):
        Speaker(16000, library)
    assert library.num_released == 1


def test_a_device_that_refuses_to_start_is_named() -> None:
    library = MadeUpLibrary("output", (16000, 1))
    with (
        Speaker(16000, library) as speaker,
        pytest.raises(SinkError, match="sounddevice: Headset: it is busy"),
    ):
        speaker.write(np.zeros(160, np.float32))
    assert library.num_released == 1
