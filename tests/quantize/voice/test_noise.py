"""The noise of a voice is the same bits everywhere: here against the formula in plain integers."""

from __future__ import annotations

import numpy as np
import pytest

from galago.quantize.voice.noise import frame_noise


def by_the_formula(frame: int, k: int, num_bins: int, seed: int) -> float:
    mask = 0xFFFFFFFF
    x = ((frame * num_bins + k) * 0x9E3779B9 + seed) & mask
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & mask
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & mask
    x ^= x >> 16
    return (x >> 8) / 2**24


@pytest.mark.parametrize(("begin", "num_bins", "seed"), [(0, 5, 0), (7, 321, 1), (2**31, 321, 2**32 - 1)])
def test_it_is_the_formula_of_the_format(begin: int, num_bins: int, seed: int) -> None:
    noise = frame_noise(begin, 3, num_bins, seed)
    expected = [[by_the_formula(begin + f, k, num_bins, seed) for k in range(num_bins)] for f in range(3)]
    assert noise.tolist() == expected


def test_chunks_are_parts_of_the_whole() -> None:
    whole = frame_noise(0, 12, 9, 3)
    assert np.array_equal(np.concatenate([frame_noise(0, 5, 9, 3), frame_noise(5, 7, 9, 3)]), whole)


def test_it_is_even_and_each_frame_has_its_own() -> None:
    noise = frame_noise(0, 200, 321, 0)
    assert 0.0 <= noise.min() and noise.max() < 1.0
    counts, _ = np.histogram(noise, bins=16, range=(0.0, 1.0))
    assert (np.abs(counts / noise.size - 1 / 16) < 0.004).all()
    centred = noise - 0.5
    assert abs(float((centred[1:] * centred[:-1]).mean())) < 0.001  # of a variance of 1 / 12
    assert abs(float((centred[:, 1:] * centred[:, :-1]).mean())) < 0.001
