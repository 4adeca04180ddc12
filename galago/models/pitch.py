"""The fundamental frequency of speech: normalised cross-correlation and dynamic programming.

Candidates of a frame are the peaks of the normalised cross-correlation of the signal with itself (RAPT,
Talkin 1995); the path through them, and through "unvoiced", is the one of least cost (Viterbi): a peak costs
what it lacks to 1, a jump its octaves, a change of voicing a constant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["PitchConfig", "interpolate_pitch", "track_pitch"]

Floats = NDArray[np.float32]
_LOW_PASS = np.array([1, 8, 28, 56, 70, 56, 28, 8, 1]) / 256  # binomial: 3 dB down at 1.9 kHz of 16


@dataclass(frozen=True)
class PitchConfig:
    """Range and framing of the tracker, and the costs of its path."""

    sample_rate_hz: int = 16_000
    hop_samples: int = 160
    window_samples: int = 400  # of the correlation; with the longest lag, 38 ms
    low_hz: float = 75.0
    high_hz: float = 450.0
    num_candidates: int = 6
    unvoiced_correlation: float = 0.5  # a frame that correlates less is rather unvoiced
    lag_weight: float = 0.02  # of the longest lag, against octaves that are too low
    octave_cost: float = 0.6  # of a jump by one octave within a frame
    voicing_cost: float = 0.2  # of each change between voiced and unvoiced

    @property
    def shortest_lag(self) -> int:
        return int(self.sample_rate_hz // self.high_hz)

    @property
    def longest_lag(self) -> int:
        return -int(-self.sample_rate_hz // self.low_hz)


def _correlations(samples: Floats, num_frames: int, config: PitchConfig) -> NDArray[np.float64]:
    """Normalised cross-correlation of each frame, (num_frames, longest_lag + 2), lag by lag.

    The window and its copy, shifted back and forth by half the lag, stand symmetrically around the frame.
    """
    width, most = config.window_samples, config.longest_lag + 1
    before = (width + most) // 2
    # Sharp pulses would meet their copies at whole samples only, so that a multiple of the period wins.
    smooth = np.convolve(samples.astype(np.float64), _LOW_PASS, mode="same")
    padded = np.pad(smooth, (before, before + width + most + config.hop_samples))
    # A little noise: digital silence correlates perfectly with itself.
    padded += 1e-5 * np.random.default_rng(0).standard_normal(len(padded))
    begins = np.arange(num_frames) * config.hop_samples
    frames = padded[begins[:, None] + np.arange(width + most)]  # (T, width + most)
    frames = frames - frames.mean(axis=1, keepdims=True)
    size = 1 << int(width + 2 * most - 1).bit_length()
    first = np.fft.rfft(frames[:, :width], size)
    product = np.fft.irfft(np.fft.rfft(frames, size) * first.conj(), size)[:, : most + 1]
    power = np.concatenate([np.zeros((num_frames, 1)), np.cumsum(frames**2, axis=1)], axis=1)
    lags = np.arange(most + 1)
    shifted = power[:, lags + width] - power[:, lags]
    correlations: NDArray[np.float64] = product / np.sqrt(shifted * shifted[:, :1] + 1e-12)
    return correlations


def _candidates(
    correlations: NDArray[np.float64], config: PitchConfig
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The best peaks of each frame: lags in samples (parabolic, 0: none) and their costs, both (T, K)."""
    lags = np.arange(config.shortest_lag, config.longest_lag + 1)
    left, middle, right = (correlations[:, lags + shift] for shift in (-1, 0, 1))
    peak = (middle >= left) & (middle > right) & (middle > 0.25)
    curvature = np.where(peak, left - 2 * middle + right, -1.0)
    offset = np.where(peak, 0.5 * (left - right) / curvature, 0.0)
    height = np.minimum(1.0, middle - 0.25 * (left - right) * offset)
    cost = np.where(peak, 1.0 - height * (1.0 - config.lag_weight * lags / config.longest_lag), np.inf)
    best = np.argsort(cost, axis=1)[:, : config.num_candidates]
    costs = np.take_along_axis(cost, best, axis=1)
    places = np.where(np.isfinite(costs), np.take_along_axis(lags + offset, best, axis=1), 0.0)
    return places, costs


def track_pitch(samples: Floats, config: PitchConfig | None = None) -> Floats:
    """The fundamental frequency in Hz of each frame, 0 where the voice is silent or unvoiced.

    Args:
        samples: (N,) in [-1, 1].

    Returns:
        (T,) float32, T = ceil(N / hop_samples); frame t stands around sample ``t * hop_samples``.
    """
    config = config or PitchConfig()
    num_frames = -(-len(samples) // config.hop_samples)
    if num_frames == 0:
        return np.zeros(0, dtype=np.float32)
    lags, costs = _candidates(_correlations(samples, num_frames, config), config)
    octaves = np.log2(np.where(lags > 0, lags, 1.0))
    unvoiced = 1.0 - config.unvoiced_correlation
    # The last state of each frame is "unvoiced".
    total = np.append(costs[0], unvoiced)
    came_from = np.zeros((num_frames, costs.shape[1] + 1), dtype=np.int64)
    step = np.full((costs.shape[1] + 1,) * 2, config.voicing_cost)
    step[-1, -1] = 0.0
    for t in range(1, num_frames):
        step[:-1, :-1] = config.octave_cost * np.abs(octaves[t - 1][:, None] - octaves[t][None])
        paths = total[:, None] + step
        came_from[t] = paths.argmin(axis=0)
        total = paths.min(axis=0) + np.append(costs[t], unvoiced)
    pitch = np.zeros(num_frames, dtype=np.float32)
    state = int(total.argmin())
    for t in range(num_frames - 1, -1, -1):
        if state < costs.shape[1]:
            pitch[t] = config.sample_rate_hz / lags[t, state]
        state = int(came_from[t, state])
    return pitch


def interpolate_pitch(pitch_hz: Floats, default_hz: float = 150.0) -> Floats:
    """A contour without gaps: straight lines in log frequency through unvoiced frames, (T,) float32 Hz.

    Where no frame is voiced, ``default_hz`` throughout.
    """
    voiced = np.flatnonzero(pitch_hz > 0)
    if not len(voiced):
        return np.full(len(pitch_hz), default_hz, dtype=np.float32)
    contour = np.exp(np.interp(np.arange(len(pitch_hz)), voiced, np.log(pitch_hz[voiced])))
    filled: Floats = contour.astype(np.float32)
    return filled
