"""Both sound libraries' speakers on a virtual sound card: written is heard, and a lost card is told."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from galago.runtime.errors import InvalidArgumentError, SinkError
from galago.streaming.sound.sound_card import Device, find_device
from galago.streaming.sound.speaker import open_speaker
from tests.streaming.sound.virtual_sound_card import HANGS_S, RATE_HZ, VirtualSoundCard

# Writes a tone; says when its first block was taken, and what went wrong.
SPEAKER = """
import sys, numpy as np
from galago.runtime.errors import SinkError
from galago.streaming.sound.speaker import open_speaker
tone = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(160 * int(sys.argv[2])) / 16000)).astype(np.float32)
with open_speaker(16000, backend=sys.argv[1]) as sink:
    try:
        for begin in range(0, len(tone), 160):
            sink.write(tone[begin : begin + 160])
            if begin == 0:
                print("speaking", flush=True)
        sink.drain()
        print("done", sink.underruns, flush=True)
    except SinkError as error:
        print("lost:", error, flush=True)
"""


def read_until(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:  # PortAudio may print lines of its own
        if word in line:
            return line
    process.wait(timeout=HANGS_S)
    assert process.stderr is not None
    raise AssertionError(f"{word!r} never came: {process.stderr.read()}")


@pytest.mark.sound_card
def test_what_is_written_is_heard(backend: str, card: VirtualSoundCard, tmp_path: Path) -> None:
    """By its pitch and, roughly, its length: a busy machine plays gaps, which are counted."""
    recording = tmp_path / "heard.raw"
    with recording.open("wb") as file:
        recorder = subprocess.Popen(
            ["pacat", "--record", "--device=virtual.monitor", f"--rate={RATE_HZ}", "--channels=1",
             "--format=float32le"], env=card.environment, stdout=file,
        )  # fmt: skip
        try:
            with card.python("-c", SPEAKER, backend, "100") as speaker:
                done = read_until(speaker, "done")
        finally:
            recorder.terminate()
            recorder.wait(timeout=HANGS_S)
    heard = np.fromfile(recording, "<f4")
    loud = np.abs(heard) > 0.05
    assert loud.sum() > 0.5 * RATE_HZ, done
    spectrum = np.abs(np.fft.rfft(heard))
    assert spectrum.argmax() * RATE_HZ / len(heard) == pytest.approx(1000, abs=20)


@pytest.mark.sound_card
def test_a_card_that_goes_away_in_mid_sentence_is_told(backend: str, card: VirtualSoundCard) -> None:
    with card.python("-c", SPEAKER, backend, "100000") as speaker:
        read_until(speaker, "speaking")
        card.unplug()
        assert "speaker: " in read_until(speaker, "lost:")
        assert speaker.wait(timeout=HANGS_S) == 0


def device(index: int, name: str, *, outputs: int, default: bool = False) -> Device:
    return Device(index, name, "ALSA", 2, outputs, 48000, False, default)


DEVICES = [
    device(0, "USB microphone", outputs=0),
    device(1, "HDMI", outputs=2),
    device(2, "USB speaker", outputs=2, default=True),
]


@pytest.mark.parametrize(("wanted", "index"), [(None, 2), ("hdmi", 1), (1, 1), ("2", 2), ("speaker", 2)])
def test_an_output_is_found_by_index_or_name(wanted: str | int | None, index: int) -> None:
    assert find_device(DEVICES, wanted, "sounddevice", kind="output").index == index


def test_an_output_that_is_not_there_lists_what_is() -> None:
    with pytest.raises(SinkError, match="no speaker 'usb m'; outputs: 1: HDMI, 2: USB speaker"):
        find_device(DEVICES, "usb m", "sounddevice", kind="output")
    with pytest.raises(SinkError, match="pyaudio: no speaker; outputs: none at all"):
        find_device(DEVICES[:1], None, "pyaudio", kind="output")
    with pytest.raises(InvalidArgumentError, match="expected one of sounddevice, pyaudio"):
        open_speaker(16000, backend="jack")  # type: ignore[arg-type]  # what a config could say
