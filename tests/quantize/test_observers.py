"""Each observer against what can be said on paper, or against the plainest way to do the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from galago.models.integers import Integers, PerChannel, PerGroup, PerTensor
from galago.quantize.histogram import Histogram
from galago.quantize.observers import OBSERVERS, Range, divergence_of_clipping, new_observer
from galago.quantize.quantizer import QuantizationError, Quantizer

EIGHT = Integers(8, symmetric=False)
RNG = np.random.default_rng(3)


def observed(name: str, integers: Integers, *steps: NDArray[np.float64]) -> Range:
    observer = new_observer(name, integers)
    for step in steps:
        observer.observe(step)
    return observer.range()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=40), min_size=1, max_size=5))
def test_a_histogram_counts_every_value_once_in_the_bin_it_belongs_to(steps: list[list[float]]) -> None:
    histogram = Histogram(16)
    for step in steps:
        histogram.add(np.array(step, np.float64))
    values = np.concatenate([np.array(step, np.float64) for step in steps])
    assert (histogram.low, histogram.high) == (values.min(), values.max())
    assert histogram.counts.sum() == len(values) and len(histogram.counts) <= 16
    if histogram.width:
        index = np.floor(values / histogram.width).astype(int) - histogram.first
        expected = np.bincount(index, minlength=len(histogram.counts))
        assert histogram.counts.tolist() == expected.tolist()


def test_a_histogram_grows_by_doubling_and_begins_with_zeros() -> None:
    histogram = Histogram(10)
    histogram.add(np.zeros(7))
    assert histogram.width == 0.0
    histogram.add(np.array([0.0, 8.0]))
    assert histogram.width == 1.0 and histogram.counts[-histogram.first] == 8
    histogram.add(np.array([-20.0]))
    assert histogram.width == 4.0
    assert histogram.counts[-histogram.first] == 8 and histogram.counts[0] == 1


def test_quantiles_are_those_of_the_values() -> None:
    values = RNG.normal(size=20_000)
    histogram = Histogram()
    histogram.add(values)
    for share in (0.0, 0.01, 0.5, 0.999, 1.0):
        assert histogram.quantile(share) == pytest.approx(np.quantile(values, share), abs=3 * histogram.width)


def test_min_max_is_all_that_was_seen() -> None:
    steps = [np.array([1.0, 2.0]), np.array([[-3.0], [0.5]]), np.array([1.5])]
    assert observed("min-max", EIGHT, *steps) == Range(-3.0, 2.0)


def test_a_moving_average_is_the_mean_of_few_steps_and_forgets_old_ones() -> None:
    steps = [np.array([-float(i), 2.0 * i]) for i in range(1, 5)]
    assert observed("moving-average", EIGHT, *steps) == pytest.approx(Range(-2.5, 5.0))
    # From step 100 on m is 0.99: x(t) = 1 after 100 zeros approaches 1 - 0.99 ** n.
    later = [np.array([0.0, 0.0])] * 100 + [np.array([0.0, 1.0])] * 50
    assert observed("moving-average", EIGHT, *later).high == pytest.approx(1.0 - 0.99**50)


def test_a_percentile_leaves_out_what_is_rare_at_each_end() -> None:
    values = RNG.normal(size=200_000)
    values[:3] = [500.0, -400.0, 300.0]
    found = observed("percentile", EIGHT, *np.split(values, 10))
    low, high = np.quantile(values, [0.0001, 0.9999])
    # Three values stretch the bins to 900 / 4096 each.
    assert found == pytest.approx(Range(low, high), abs=0.25)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_least_squares_clips_laplacian_values_where_the_paper_says(bits: int) -> None:
    """Banner et al. 2019, equation 5, for regions of one step around each of our 2^b - 1 integers.

    Clipped are 2 b^2 exp(-c / b), with c the end of the last region; rounded is step^2 / 12.
    """
    integers = Integers(bits)
    alphas = np.linspace(0.3, 8.0, 4000)
    step = alphas / integers.highest
    rounding = step**2 / 12.0
    clipping = np.exp(-alphas) * 2.0
    wanted = alphas[int(np.argmin(clipping + rounding))]
    # The closed form takes values for uniform inside of a region, which they are the less the fewer bits.
    values = RNG.laplace(size=400_000)
    found = observed("mse", integers, values)
    assert found.high == pytest.approx(wanted, rel={2: 0.35, 3: 0.12, 4: 0.06}[bits])
    assert found.low == -found.high


@pytest.mark.parametrize("integers", [Integers(4), Integers(4, symmetric=False)])
def test_least_squares_is_no_worse_than_any_other_range(integers: Integers) -> None:
    """By brute force over the values themselves, not their bins."""
    values = RNG.normal(size=4000) ** 3  # heavy tails
    values = values if integers.symmetric else values[values > -1.0]

    def error(low: float, high: float) -> float:
        quantizer = Quantizer(PerTensor(), integers)
        scales = quantizer.scales(np.array([low, high]))
        back = quantizer.dequantize(quantizer.quantize(values.astype(np.float32), scales), scales)
        return float(((back - values) ** 2).sum())

    found = observed("mse", integers, values)
    ends = [
        (s * values.min(), t * values.max()) for s in np.linspace(0.1, 1, 19) for t in np.linspace(0.1, 1, 19)
    ]
    assert error(*found) <= 1.03 * min(error(low, high) for low, high in ends)
    assert error(*found) < 0.8 * error(float(values.min()), float(values.max()))


def plain_divergence(counts: list[int], num_kept: int, num_levels: int) -> float:
    """Migacz 2017, slide 38, in loops."""
    reference = [float(c) for c in counts[:num_kept]]
    reference[-1] += sum(counts[num_kept:])
    candidate = [0.0] * num_kept
    for level in range(num_levels):
        bins = [i for i in range(num_kept) if i * num_levels // num_kept == level]
        filled = [i for i in bins if counts[i] > 0]
        for i in filled:
            candidate[i] = sum(counts[j] for j in bins) / len(filled)
    total_p, total_q = sum(reference), sum(candidate)
    divergence = 0.0
    for p, q in zip(reference, candidate, strict=True):
        if p > 0.0:
            q = q / total_q if q > 0.0 else float(np.finfo(np.float64).tiny)
            divergence += p / total_p * math.log(p / total_p / q)
    return divergence


@pytest.mark.parametrize("num_kept", [16, 21, 40, 64])
def test_the_divergence_of_clipping_is_that_of_the_plain_loops(num_kept: int) -> None:
    counts = RNG.poisson(np.exp(6.0 - np.arange(64) / 6.0))
    counts[5] = 0
    wanted = plain_divergence(counts.tolist(), num_kept, 16)
    assert divergence_of_clipping(counts, num_kept, 16) == pytest.approx(wanted, rel=1e-9)


def test_entropy_clips_a_far_outlier_and_keeps_even_values_whole() -> None:
    values = RNG.normal(size=50_000)
    values[0] = 40.0
    found = observed("entropy", EIGHT, values)
    assert 2.0 < found.high < 8.0 and found.low >= -found.high
    even = RNG.uniform(-1.0, 1.0, size=50_000)
    assert observed("entropy", EIGHT, even).high > 0.97
    assert observed("entropy", EIGHT, np.abs(values)).low == 0.0  # never beyond what was seen


@pytest.mark.parametrize("name", OBSERVERS)
def test_a_tensor_of_zeros_has_a_range_for_every_observer(name: str) -> None:
    found = observed(name, EIGHT, np.zeros((2, 3)))
    assert found == Range(0.0, 0.0)


def test_a_quantizer_is_granularity_integers_and_observer() -> None:
    values = np.array([[1.0, -2.0, 0.5, 4.0], [0.1, 0.2, -0.3, 0.4]], np.float32)
    for granularity, num_scales in ((PerTensor(), 1), (PerChannel(0), 2), (PerGroup(2), 4)):
        quantizer = Quantizer(granularity, Integers(8))
        scales = quantizer.scales(values)
        assert scales.scale.shape == (num_scales,) and not scales.zero_point.any()
        back = quantizer.dequantize(quantizer.quantize(values, scales), scales)
        steps = granularity.spread(scales.scale, values.shape).numpy()
        assert (np.abs(back - values) <= steps / 2 + 1e-7).all()


def test_what_cannot_be_observed_is_refused() -> None:
    quantizer = Quantizer(PerChannel(0), Integers(8))
    with pytest.raises(QuantizationError, match="not finite"):
        quantizer.scales(np.array([[1.0, np.nan]]))
    observing = quantizer.observing()
    observing.observe(np.zeros((2, 3)))
    with pytest.raises(QuantizationError, match="3 groups of values after 2 before"):
        observing.observe(np.zeros((3, 3)))
    with pytest.raises(QuantizationError, match="no observer 'median'"):
        Quantizer(PerTensor(), Integers(8), "median")
