"""Both sound libraries on a virtual sound card: played is heard, and a lost card is told."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from galago.runtime.errors import InvalidArgumentError, SourceError, UnsupportedError
from galago.streaming.sound.microphone import open_microphone
from galago.streaming.sound.sound_card import Device, find_device
from tests.make_tiny_bundle import synthesise
from tests.streaming.cli.command_process import Lines
from tests.streaming.sound.virtual_sound_card import (
    HANGS_S,
    RATE_HZ,
    Metronome,
    VirtualSoundCard,
    skip_where_there_is_a_real_one,
)

SENTENCE = "turn on the light"
#: Of a sentence that began when the microphone was open already.
WHOLE_FINAL = f'"type": "final", "file": "mic", "text": "{SENTENCE}"'
NUM_TAKES = 5
#: As late as this, a thread is too late for sound: half of what PulseAudio keeps for a low latency.
TOO_LATE_S = 0.010

# Records until standard input closes, then writes samples and capture times.
RECORDER = """
import sys, threading, numpy as np
from galago.streaming.sound.microphone import open_microphone
with open_microphone(backend=sys.argv[1]) as source:
    threading.Thread(target=lambda: (sys.stdin.read(), source.close()), daemon=True).start()
    blocks = []
    for block in source:
        if not blocks:
            print("recording", source.sample_rate_hz, source.num_channels, flush=True)
        blocks.append(block)
    times = [(block.capture_ns, len(block.samples)) for block in blocks]
    np.savez(sys.argv[2], samples=np.concatenate([block.samples for block in blocks]), times=times,
             dropped=source.dropped_frames)
"""


@dataclass
class Listening:
    process: subprocess.Popen[str]
    lines: Lines


@contextmanager
def running(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """End the process and close its pipes, whatever the test does."""
    try:
        yield process
    finally:
        process.kill()
        process.wait(timeout=HANGS_S)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def record_noise(backend: str, card: VirtualSoundCard, folder: Path) -> str:
    """Play noise and record it meanwhile; what is wrong with the recording, or nothing."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, RATE_HZ).astype(np.float32)
    recorder = card.python("-c", RECORDER, backend, str(folder / "heard.npz"))
    with running(recorder):
        lines = Lines(recorder.stdout)
        lines.wait_for("recording 16000 1")
        silence = np.zeros(RATE_HZ // 2, np.float32)  # an idle sink swallows its start
        card.play(np.concatenate([silence, noise]))
        assert recorder.stdin is not None
        recorder.stdin.close()
        assert recorder.wait(timeout=HANGS_S) == 0
    heard = np.load(folder / "heard.npz")
    samples = heard["samples"][:, 0]
    # Where the noise begins in the recording: the peak of their correlation.
    size = len(samples) + len(noise)
    spectrum = np.fft.rfft(samples, size) * np.conj(np.fft.rfft(noise, size))
    begin = int(np.fft.irfft(spectrum, size)[: len(samples)].argmax())
    there = samples[begin : begin + len(noise)]
    begins, lengths = heard["times"].T
    gaps_ns = begins[1:] - (begins[:-1] + lengths[:-1] * 1_000_000_000 // RATE_HZ)
    complaints = {
        f"{len(there)} of {len(noise)} samples were recorded": len(there) <= 0.9 * len(noise),
        # The sink is 16 bits wide.
        "what was recorded is not what was played": not np.allclose(there, noise[: len(there)], atol=2e-4),
        f"{heard['dropped']} frames were dropped": heard["dropped"] != 0,
        f"gaps up to {np.abs(gaps_ns).max()} ns": np.abs(gaps_ns).max() >= 40_000_000,
    }
    return "; ".join(complaint for complaint, holds in complaints.items() if holds)


@pytest.mark.sound_card
def test_what_is_played_is_recorded(backend: str, card: VirtualSoundCard, tmp_path: Path) -> None:
    """To the sample and without a gap: on a machine that has time for sound, so there are several takes."""
    calm_takes = []
    for _ in range(NUM_TAKES):
        with Metronome() as metronome:
            complaint = record_noise(backend, card, tmp_path)
        if not complaint:
            return
        if metronome.worst_s < TOO_LATE_S:
            calm_takes.append(complaint)
    if not calm_takes:
        pytest.skip(f"this machine is too busy for sound in real time; {complaint}")
    pytest.fail(f"in {NUM_TAKES} takes none was whole; while the machine was calm: {calm_takes}")


@pytest.mark.sound_card
def test_the_microphone_is_listed(backend: str, card: VirtualSoundCard) -> None:
    with running(card.galago("devices", "--backend", backend, "--json")) as process:
        printed, complaints = process.communicate(timeout=HANGS_S)
        assert process.returncode == 0, complaints
    (default,) = [device for device in json.loads(printed) if device["is_default_input"]]
    assert default["max_input_channels"] >= 1


@pytest.fixture
def listening(
    backend: str, card: VirtualSoundCard, tiny_bundle: Path, interruptible: None
) -> Iterator[Listening]:
    """`galago listen mic` that has just heard its first sentence."""
    process = card.galago("listen", "mic", "--json", "--backend", backend, "--bundle", str(tiny_bundle))
    with running(process):
        lines = Lines(process.stdout)
        # It may still be starting when the first sentences are said, or too busy to hear one whole.
        while not lines.have(WHOLE_FINAL):
            assert process.poll() is None, f"it ended early: {lines.all()}"
            card.play(synthesise(SENTENCE.split()))
        yield Listening(process, lines)


@pytest.mark.sound_card
def test_an_interrupt_ends_listening(listening: Listening) -> None:
    listening.process.send_signal(signal.SIGINT)
    assert listening.process.wait(timeout=HANGS_S) == 130
    heard = [json.loads(line) for line in listening.lines.all()]
    finals = [line for line in heard if line["type"] == "final"]
    assert SENTENCE in " ".join(line["text"] for line in finals)
    assert all(line["file"] == "mic" and line["latency_ms"] > 0 for line in finals)


@pytest.mark.sound_card
def test_a_microphone_that_is_pulled_out_is_told(card: VirtualSoundCard, listening: Listening) -> None:
    card.unplug()
    assert listening.process.wait(timeout=HANGS_S) == 1
    assert listening.process.stderr is not None
    complaints = listening.process.stderr.read()
    assert "galago: mic: " in complaints and "Traceback" not in complaints
    assert any(SENTENCE in line for line in listening.lines.all())


@pytest.mark.sound_card
def test_no_sound_card_at_all_is_a_clear_answer(
    backend: str, card: VirtualSoundCard, tiny_bundle: Path
) -> None:
    skip_where_there_is_a_real_one()
    card.unplug()
    with running(card.galago("listen", "mic", "--backend", backend, "--bundle", str(tiny_bundle))) as process:
        _, complaints = process.communicate(timeout=HANGS_S)
        assert process.returncode == 1
    assert f"galago: {backend}: " in complaints
    assert "Traceback" not in complaints


# -- without any card ----------------------------------------------------------------------------------


def device(index: int, name: str, inputs: int = 1, default: bool = False) -> Device:
    return Device(index, name, "ALSA", inputs, 0, 48000, default, False)


DEVICES = [
    device(0, "Speaker", inputs=0),
    device(1, "USB Headset"),
    device(2, "USB Camera"),
    device(3, "x", default=True),
]


@pytest.mark.parametrize(
    ("wanted", "index"), [(None, 3), (1, 1), ("2", 2), ("headset", 1), ("USB CAMERA", 2), ("x", 3)]
)
def test_a_microphone_is_found_by_index_or_name(wanted: str | int | None, index: int) -> None:
    assert find_device(DEVICES, wanted, "sounddevice", kind="input").index == index


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("usb", "'usb' fits; several: 1: USB Headset, 2: USB Camera"),
        ("Speaker", "no microphone 'Speaker'; inputs: 1: USB Headset, 2: USB Camera, 3: x"),
        (17, "no microphone 17"),
        (0, "no microphone 0"),
    ],
)
def test_a_microphone_that_is_not_there_lists_those_that_are(wanted: str | int, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        find_device(DEVICES, wanted, "sounddevice", kind="input")


def test_no_input_at_all_is_said() -> None:
    with pytest.raises(SourceError, match="pyaudio: no microphone; inputs: none at all"):
        find_device(DEVICES[:1], None, "pyaudio", kind="input")


def test_a_backend_that_does_not_exist_is_named() -> None:
    with pytest.raises(InvalidArgumentError, match="'jack'"):
        open_microphone(backend="jack")  # type: ignore[arg-type]  # a wrong name is the point


@pytest.mark.parametrize(
    ("name", "package"), [("sounddevice", "libportaudio2"), ("pyaudio", "portaudio19-dev")]
)
def test_a_missing_library_names_the_debian_package(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(module: str) -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr("importlib.import_module", absent)
    with pytest.raises(
        UnsupportedError, match=rf"{name} is needed for the microphone.*pip install.*{package}"
    ):
        open_microphone(backend=name)  # type: ignore[arg-type]  # parametrised over the literals


def test_a_missing_system_library_names_the_debian_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_portaudio(module: str) -> None:
        raise OSError("PortAudio library not found")

    monkeypatch.setattr("importlib.import_module", without_portaudio)
    with pytest.raises(
        UnsupportedError, match="PortAudio library not found; .* apt-get install libportaudio2"
    ):
        open_microphone()
