"""Resampling block by block: no seam, no shift, honest times, and gaps that stay gaps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pytest
import soxr

from galago.runtime.errors import InvalidArgumentError, SourceError
from galago.streaming.sound.resample import MonoSource, StreamResampler
from galago.streaming.source import NS_PER_S, AudioBlock, AudioSource


class ListSource(AudioSource):
    """Blocks from a list; ends with an error if one is given."""

    def __init__(
        self,
        blocks: Sequence[AudioBlock],
        rate_hz: int,
        *,
        channels: int = 1,
        live: bool = False,
        failure: SourceError | None = None,
    ) -> None:
        self.name, self.sample_rate_hz, self.num_channels, self.live = "list", rate_hz, channels, live
        self._blocks, self._failure = blocks, failure

    def __iter__(self) -> Iterator[AudioBlock]:
        yield from self._blocks
        if self._failure is not None:
            raise self._failure


def cut(
    samples: npt.NDArray[np.float32], rate_hz: int, sizes: Sequence[int], start_ns: int = 0
) -> list[AudioBlock]:
    """Blocks of the given sizes, over and over, as one seamless stream."""
    blocks, begin, i = [], 0, 0
    while begin < len(samples):
        size = sizes[i % len(sizes)]
        blocks.append(AudioBlock(samples[begin : begin + size, None], start_ns + begin * NS_PER_S // rate_hz))
        begin, i = begin + size, i + 1
    return blocks


@pytest.mark.parametrize("rate_hz", [8000, 11025, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("sizes", [(1600,), (1, 37, 4096), (160, 0, 5)])
def test_block_by_block_equals_the_whole(rate_hz: int, sizes: tuple[int, ...]) -> None:
    signal = np.random.default_rng(rate_hz).normal(0, 0.1, rate_hz // 2).astype(np.float32)
    resampler = StreamResampler(rate_hz, 16000)
    pieces = [resampler.push(block.samples[:, 0]) for block in cut(signal, rate_hz, sizes)]
    streamed = np.concatenate([*pieces, resampler.finish()])
    whole = soxr.resample(signal, rate_hz, 16000, quality="HQ")
    assert len(streamed) == len(whole)
    np.testing.assert_allclose(streamed, whole, atol=1e-6)


def test_the_same_rate_is_not_touched() -> None:
    samples = np.random.default_rng(0).normal(size=100).astype(np.float32)
    resampler = StreamResampler(16000, 16000)
    assert resampler.push(samples) is samples
    assert len(resampler.finish()) == 0


def test_a_finished_resampler_begins_anew() -> None:
    signal = np.random.default_rng(1).normal(size=4800).astype(np.float32)
    resampler = StreamResampler(48000, 16000)
    first = np.concatenate([resampler.push(signal), resampler.finish()])
    second = np.concatenate([resampler.push(signal), resampler.finish()])
    np.testing.assert_array_equal(first, second)


def test_rates_that_cannot_be_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="found 0 and 16000"):
        StreamResampler(0, 16000)


def test_output_times_are_those_of_the_input() -> None:
    """A click stays where it was, to a sample, whatever the delay of the filter."""
    rate_hz, start_ns = 48000, 5 * NS_PER_S
    signal = np.zeros(rate_hz, np.float32)
    signal[24000] = 1.0
    source = MonoSource(ListSource(cut(signal, rate_hz, (960,), start_ns), rate_hz, live=True), 16000)
    expected_ns = start_ns
    loudest = (0.0, 0)
    for block in source:
        assert abs(block.capture_ns - expected_ns) <= 100_000
        expected_ns = block.end_ns(16000)
        peak = int(np.abs(block.samples[:, 0]).argmax())
        loudest = max(
            loudest, (float(abs(block.samples[peak, 0])), block.capture_ns + peak * NS_PER_S // 16000)
        )
    assert abs(loudest[1] - (start_ns + NS_PER_S // 2)) <= NS_PER_S // 16000
    assert abs(expected_ns - (start_ns + NS_PER_S)) <= NS_PER_S // 16000


def test_a_gap_empties_the_filter_and_keeps_both_times() -> None:
    rate_hz = 48000
    loud = np.full(rate_hz // 10, 0.5, np.float32)
    silence = np.zeros(rate_hz // 10, np.float32)
    blocks = cut(loud, rate_hz, (960,)) + cut(silence, rate_hz, (960,), start_ns=10 * NS_PER_S)
    heard = list(MonoSource(ListSource(blocks, rate_hz, live=True), 16000))
    before = [block for block in heard if block.capture_ns < 5 * NS_PER_S]
    behind = [block for block in heard if block.capture_ns >= 10 * NS_PER_S]
    assert len(before) + len(behind) == len(heard)
    assert sum(len(block.samples) for block in before) == 1600
    assert behind[0].capture_ns == 10 * NS_PER_S
    assert all(not block.samples.any() for block in behind), "what was said before leaked behind the gap"


def test_a_slow_clock_is_followed() -> None:
    """A card that runs 100 ppm slow: after an hour, times must not be 360 ms off."""
    block = np.zeros((320, 1), np.float32)
    blocks = [AudioBlock(block, round(i * 20_000_000 * 1.0001)) for i in range(1000)]
    *_, last = MonoSource(ListSource(blocks, 16000, live=True), 16000)
    assert abs(last.capture_ns - blocks[-1].capture_ns) < 100_000


def test_samples_that_are_no_numbers_are_skipped_and_counted() -> None:
    blocks = cut(np.zeros(1600, np.float32), 16000, (320,))
    blocks[2].samples[5] = np.nan
    source = MonoSource(ListSource(blocks, 16000, live=True), 16000)
    heard = np.concatenate([block.samples for block in source])
    assert np.isfinite(heard).all()
    assert len(heard) == 1280
    assert source.dropped_frames == 320


def test_a_source_that_breaks_is_heard_to_its_last_sample() -> None:
    signal = np.random.default_rng(0).normal(size=9600).astype(np.float32)
    inner = ListSource(cut(signal, 48000, (960,)), 48000, failure=SourceError("list: unplugged"))
    heard = 0
    with pytest.raises(SourceError, match="unplugged"):
        for block in MonoSource(inner, 16000):
            heard += len(block.samples)
    assert heard == 3200
