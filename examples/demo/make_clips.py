"""Make the clips of `galago demo`: synthetic speech, some of it in synthetic noise, listed in demo.json,
and the question of its turn.

    python examples/demo/make_clips.py

Needs espeak-ng and flite (Debian packages of these names) and the `audio` extra.  No person speaks here:
whoever wants to know how galago hears people looks at the benchmarks, not at these clips.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

FOLDER = Path(__file__).resolve().parent
SAMPLE_RATE_HZ = 16000
LEAD_S, TAIL_S = 0.5, 1.2  # the tail is longer than the endpoint's silence, so that each clip ends by itself
QUESTION = {
    "file": "turn/what-do-you-see.flac",
    "text": "what do you see",
    "voice": "flite slt",
    "snr_db": None,
    "tail_s": 3.5,  # ear and eye go on while the answer is said
}


def speak(text: str, voice: str) -> npt.NDArray[np.float64]:
    """Speech of one synthesiser at 16 kHz, peak 0.5.  A voice is "flite NAME" or "espeak-ng NAME"."""
    program, name = voice.split(" ", 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        if program == "flite":
            command = ["flite", "-voice", name, "-t", text, "-o", str(path)]
        else:
            command = ["espeak-ng", "-v", name, "-s", "150", "-w", str(path), text]
        subprocess.run(command, check=True)
        samples, rate_hz = soundfile.read(path)
    resampled = soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ)
    return np.asarray(0.5 * resampled / np.abs(resampled).max(), np.float64)


def pink_noise(num_samples: int, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Noise whose power falls by 3 dB an octave, as that of a room does; RMS 1."""
    spectrum = np.fft.rfft(generator.standard_normal(num_samples))
    spectrum /= np.sqrt(np.maximum(np.arange(spectrum.size), 20))
    noise = np.fft.irfft(spectrum, num_samples)
    return np.asarray(noise / np.sqrt(np.mean(noise**2)), np.float64)


def make_clip(clip: dict[str, Any], generator: np.random.Generator) -> npt.NDArray[np.float64]:
    speech = speak(clip["text"], clip["voice"])
    tail_s = float(clip.get("tail_s", TAIL_S))
    samples = np.pad(speech, (int(LEAD_S * SAMPLE_RATE_HZ), int(tail_s * SAMPLE_RATE_HZ)))
    # Even a quiet room is not digital silence.
    snr_db = 45.0 if clip["snr_db"] is None else float(clip["snr_db"])
    level = np.sqrt(np.mean(speech**2)) * 10.0 ** (-snr_db / 20)
    noisy: npt.NDArray[np.float64] = samples + level * pink_noise(samples.size, generator)
    return noisy


def main() -> None:
    clips = json.loads((FOLDER / "demo.json").read_text(encoding="utf-8"))
    generator = np.random.default_rng(7)
    for clip in [*clips, QUESTION]:
        samples = make_clip(clip, generator)
        path = FOLDER / clip["file"]
        soundfile.write(path, samples, SAMPLE_RATE_HZ, subtype="PCM_16")
        print(f"{path.name}: {samples.size / SAMPLE_RATE_HZ:.1f} s, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
