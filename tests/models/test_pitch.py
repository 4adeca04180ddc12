"""The pitch tracker: exact on tones, silent on noise, no octave errors under noise."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from galago.models.pitch import PitchConfig, interpolate_pitch, track_pitch

RATE_HZ = 16_000


def buzz(pitch_hz: NDArray[np.float64], *, noise: float = 0.003) -> NDArray[np.float32]:
    """Twenty harmonics of a pitch contour that is given for each sample."""
    cycles = np.cumsum(pitch_hz) / RATE_HZ
    tone = sum(np.sin(2 * np.pi * h * cycles) / h for h in range(1, 21))
    hiss = noise * np.random.default_rng(1).standard_normal(len(pitch_hz))
    samples: NDArray[np.float32] = (0.1 * np.asarray(tone) + hiss).astype(np.float32)
    return samples


@pytest.mark.parametrize("pitch_hz", [90.0, 180.0, 420.0])
@pytest.mark.parametrize("noise", [0.001, 0.03])
def test_a_steady_pitch_is_found_to_a_tenth_of_a_percent(pitch_hz: float, noise: float) -> None:
    found = track_pitch(buzz(np.full(8000, pitch_hz), noise=noise))
    assert len(found) == 50
    assert np.abs(found[4:-4] / pitch_hz - 1.0).max() < (0.001 if noise < 0.01 else 0.01)


def test_a_gliding_pitch_is_followed() -> None:
    seconds = np.arange(16_000) / RATE_HZ
    pitch = 160.0 * 2.0 ** (0.4 * np.sin(2 * np.pi * seconds))
    found = track_pitch(buzz(pitch))
    assert np.abs(found[5:-5] / pitch[::160][5:-5] - 1.0).max() < 0.015


def test_noise_and_silence_have_no_pitch() -> None:
    hiss = 0.1 * np.random.default_rng(2).standard_normal(16_000).astype(np.float32)
    assert (track_pitch(hiss.astype(np.float32)) > 0).mean() < 0.05
    assert not track_pitch(np.zeros(16_000, dtype=np.float32)).any()
    assert track_pitch(np.zeros(0, dtype=np.float32)).shape == (0,)


def test_voicing_begins_and_ends_with_the_voice() -> None:
    samples = np.concatenate([np.zeros(4800), buzz(np.full(8000, 200.0)), np.zeros(4800)]).astype(np.float32)
    voiced = np.flatnonzero(track_pitch(samples))
    assert abs(int(voiced[0]) - 30) <= 2 and abs(int(voiced[-1]) - 80) <= 2
    assert len(voiced) == voiced[-1] - voiced[0] + 1


def test_gaps_are_bridged_by_lines_in_log_frequency() -> None:
    contour = interpolate_pitch(np.array([0, 100, 0, 400, 0], dtype=np.float32))
    np.testing.assert_allclose(contour, [100, 100, 200, 400, 400], rtol=1e-5)
    assert interpolate_pitch(np.zeros(3, dtype=np.float32)).tolist() == [150.0] * 3


def test_the_lags_cover_the_range() -> None:
    config = PitchConfig(low_hz=80.0, high_hz=400.0)
    assert (config.shortest_lag, config.longest_lag) == (40, 200)
