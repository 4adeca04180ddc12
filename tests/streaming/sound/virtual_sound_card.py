"""A sound card made of software: a PulseAudio daemon of the test's own, with a null sink as its only device.

What is played into the sink comes out of its monitor, in real time, sample for sample; ALSA's default
device is routed there, so PortAudio, and whatever stands on it, sees an ordinary microphone.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

ROOT = Path(__file__).resolve().parents[3]
RATE_HZ = 16000

HANGS_S = 120  # a guard: nothing here takes a tenth of it

_PROGRAMS = ("pulseaudio", "pactl", "pacat")
_ALSA_PLUGIN = "libasound_module_pcm_pulse.so"


def skip_unless_possible() -> None:
    """Skip with the Debian packages that are missing."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: apt-get install pulseaudio pulseaudio-utils")
    if not any(Path("/usr").glob(f"lib*/*/alsa-lib/{_ALSA_PLUGIN}")):
        pytest.skip("ALSA cannot reach PulseAudio: apt-get install libasound2-plugins")


def skip_where_there_is_a_real_one() -> None:
    """Skip on a machine with a sound card, which is found when the virtual one is gone."""
    cards = Path("/proc/asound/cards")
    if cards.is_file() and "no soundcards" not in cards.read_text():
        pytest.skip("this machine has a sound card of its own")


class Metronome:
    """A witness of how busy the machine is: a thread that naps, and how much it ever overslept.

    Sound in real time needs a thread to run every few milliseconds.  Where that does not hold for this one,
    it does not hold for the sound server either.  A context manager.
    """

    _NAP_S = 0.005

    def __init__(self) -> None:
        self.worst_s = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._nap, daemon=True)

    def _nap(self) -> None:
        due_s = time.monotonic() + self._NAP_S
        while not self._done.wait(self._NAP_S):
            now_s = time.monotonic()
            self.worst_s = max(self.worst_s, now_s - due_s)
            due_s = now_s + self._NAP_S

    def __enter__(self) -> Metronome:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()


class VirtualSoundCard:
    """One daemon.  `environment` is for processes that are to see it, and nothing else."""

    def __init__(self) -> None:
        # Not below pytest's folder: the path of a socket has at most 107 characters.
        folder = Path(tempfile.mkdtemp(prefix="galago-"))
        (folder / "run").mkdir(mode=0o700)
        (folder / "home").mkdir()
        socket = folder / "native"
        (folder / "default.pa").write_text(
            f".fail\n"
            f"load-module module-native-protocol-unix auth-anonymous=1 socket={socket}\n"
            f"load-module module-null-sink sink_name=virtual rate={RATE_HZ} channels=1\n"
            f"set-default-sink virtual\n"
            f"set-default-source virtual.monitor\n"
        )
        (folder / "asound.conf").write_text(
            "</usr/share/alsa/alsa.conf>\npcm.!default { type pulse }\nctl.!default { type pulse }\n"
        )
        servers = ("PULSE_", "ALSA_", "PA_ALSA_", "JACK_")  # what points at the sound of the machine itself
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(servers)},
            "HOME": str(folder / "home"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "PULSE_SERVER": f"unix:{socket}",
            "ALSA_CONFIG_PATH": str(folder / "asound.conf"),
            "PYTHONPATH": str(ROOT),
            "JACK_NO_START_SERVER": "1",
        }
        self._folder = folder
        self._daemon: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        arguments = ["-n", "-F", str(self._folder / "default.pa"), "--daemonize=no", "--use-pid-file=no"]
        with (self._folder / "log").open("wb") as log:
            self._daemon = subprocess.Popen(
                ["pulseaudio", *arguments, "--exit-idle-time=-1"],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + HANGS_S
        while time.monotonic() < deadline:
            asked = subprocess.run(["pactl", "info"], env=self.environment, capture_output=True, check=False)
            if asked.returncode == 0:
                return
            if self._daemon.poll() is not None:
                break
            time.sleep(0.05)
        said = (self._folder / "log").read_text(errors="replace").splitlines()
        pytest.skip(f"pulseaudio does not run on this machine: {said[-1] if said else 'it does not say why'}")

    def unplug(self) -> None:
        """Kill the daemon, as if somebody pulled the card out."""
        daemon, self._daemon = self._daemon, None
        if daemon is not None:
            daemon.send_signal(signal.SIGKILL)
            daemon.wait(timeout=HANGS_S)

    def discard(self) -> None:
        """Unplug it and remove its files."""
        self.unplug()
        shutil.rmtree(self._folder)

    def play(self, samples: npt.NDArray[np.float32]) -> None:
        """Play mono float samples at 16 kHz to their end."""
        subprocess.run(
            [
                "pacat",
                "--playback",
                "--device=virtual",
                f"--rate={RATE_HZ}",
                "--channels=1",
                "--format=float32le",
            ],
            env=self.environment,
            input=samples.astype("<f4").tobytes(),
            check=True,
            timeout=HANGS_S,
        )

    def python(self, *arguments: str) -> subprocess.Popen[str]:
        """A Python process that sees this card."""
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def galago(self, *arguments: str) -> subprocess.Popen[str]:
        """The command line as a process that sees this card."""
        return self.python("-m", "galago.streaming.entry", *arguments)
