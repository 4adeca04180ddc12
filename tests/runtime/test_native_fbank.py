"""The core's log-mel features against kaldi-native-fbank, an implementation that is not ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.runtime.native_tools import find_tool, run_tool

knf = pytest.importorskip("kaldi_native_fbank", reason="the reference implementation is not installed")

NUM_SAMPLES = 3 * 16000
Signal = Callable[[np.random.Generator], NDArray[np.float64]]


def noise(amplitude: float) -> Signal:
    return lambda rng: rng.normal(0, amplitude, NUM_SAMPLES)


def impulses(rng: np.random.Generator) -> NDArray[np.float64]:
    samples = np.zeros(NUM_SAMPLES)
    samples[::1777] = rng.choice([-1.0, 1.0], len(samples[::1777]))
    return samples


def speech_like(rng: np.random.Generator) -> NDArray[np.float64]:
    """Harmonics of a gliding pitch under two formants, in syllables, over a faint noise."""
    time = np.arange(NUM_SAMPLES) / 16000
    pitch_hz = 120 + 30 * np.sin(2 * np.pi * 0.7 * time)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / 16000
    voiced = np.zeros(NUM_SAMPLES)
    for harmonic in range(1, 50):
        at_hz = 120.0 * harmonic
        formants = np.exp(-(((at_hz - 600) / 300) ** 2)) + 0.4 * np.exp(-(((at_hz - 1900) / 400) ** 2))
        voiced += (formants + 0.01) * np.cos(harmonic * phase)
    syllables = np.clip(np.sin(2 * np.pi * 3 * time), 0, None)
    samples: NDArray[np.float64] = 0.1 * voiced * syllables + rng.normal(0, 1e-3, NUM_SAMPLES)
    return samples


SIGNALS: dict[str, Signal] = {
    "noise": noise(0.1),
    "faint noise": noise(1e-4),
    "clipped noise": lambda rng: np.clip(rng.normal(0, 1, NUM_SAMPLES), -1, 1),
    "noise on a constant": lambda rng: 0.5 + rng.normal(0, 0.01, NUM_SAMPLES),
    "silence": lambda rng: np.zeros(NUM_SAMPLES),
    "impulses": impulses,
    "speech-like": speech_like,
}


def reference(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    options = knf.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = 80
    options.mel_opts.low_freq = 20
    options.mel_opts.high_freq = 0
    fbank = knf.OnlineFbank(options)
    fbank.accept_waveform(16000, samples.tolist())
    fbank.input_finished()
    return np.stack([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])


@pytest.mark.parametrize("frames_per_call", [32, 7])
@pytest.mark.parametrize("name", SIGNALS)
def test_equal_to_kaldi_native_fbank(name: str, frames_per_call: int, native_library: Path) -> None:
    samples = SIGNALS[name](np.random.default_rng(5)).astype(np.float32)
    tool = find_tool(native_library, "tool_fbank")
    printed = run_tool(tool, samples, {"frames-per-call": frames_per_call})
    features = np.frombuffer(printed, np.float32).reshape(-1, 80)
    expected = reference(samples)
    assert features.shape == expected.shape == ((NUM_SAMPLES - 400) // 160 + 1, 80)
    assert np.abs(features - expected).max() <= 1e-3


def test_less_than_a_window_gives_no_frame(native_library: Path) -> None:
    assert run_tool(find_tool(native_library, "tool_fbank"), np.ones(399)) == b""
