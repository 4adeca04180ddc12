"""Packed lists: what is packed is read back by their description, and codebooks lie where values are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from galago.runtime.language.successor_lists import (
    BLOCK_ENTRIES,
    NUM_VALUES,
    codebook,
    nearest,
    pack_lists,
    packed_number,
)


def unpacked_number(data: bytes, at: int) -> tuple[int, int]:
    """The number that begins at ``at``, and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 127) << shift
        shift, at = shift + 7, at + 1
        if byte < 128:
            return number, at


def unpacked(data: bytes) -> list[tuple[int, int]]:
    """Numbers and values of a list that fills ``data``."""
    size, at = unpacked_number(data, 0)
    num_blocks = -(-size // BLOCK_ENTRIES)
    firsts: list[int] = []
    if num_blocks == 1:
        ends, at = [data[at]], at + 1
    else:
        ends = np.frombuffer(data, "<u2", num_blocks, at).tolist()
        firsts = np.frombuffer(data, "<u2", num_blocks - 1, at + 2 * num_blocks).tolist()
        at += 4 * num_blocks - 2
    assert at + ends[-1] == len(data)
    entries: list[tuple[int, int]] = []
    for block, (begin, end) in enumerate(zip([0, *ends], ends, strict=False)):
        halves = [half for byte in data[at + begin : at + end] for half in (byte & 15, byte >> 4)]
        for index in range(block * BLOCK_ENTRIES, min((block + 1) * BLOCK_ENTRIES, size)):
            value, gap, shift = halves.pop(0), 0, 0
            if block and index == block * BLOCK_ENTRIES:
                entries.append((firsts[block - 1], value))
                continue
            while True:
                half = halves.pop(0)
                gap |= (half & 7) << shift
                shift += 3
                if half < 8:
                    break
            entries.append(((entries[-1][0] if entries else -1) + 1 + gap, value))
        assert halves in ([], [0])
    return entries


@pytest.mark.parametrize("seed", range(4))
def test_lists_are_read_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.permutation([0, 1, 2, 31, 32, 33, 64, 65, 700, 0])
    lists = [np.sort(rng.choice(2000 * (seed + 1), size, replace=False)) for size in sizes]
    numbers = np.concatenate(lists).astype(np.int64)
    values = rng.integers(NUM_VALUES, size=len(numbers))
    begin = np.concatenate([[0], np.cumsum(sizes)])
    packed = pack_lists(begin, numbers, values)
    assert len(packed) == len(sizes)
    for data, first, last in zip(packed, begin, begin[1:], strict=False):
        expected = list(zip(numbers[first:last].tolist(), values[first:last].tolist(), strict=True))
        assert (unpacked(data) if data else []) == expected


def test_the_largest_gap_and_neighbours_are_read_back() -> None:
    numbers = np.array([0, 1, 2, 65535])
    (data,) = pack_lists(np.array([0, 4]), numbers, np.array([15, 0, 7, 8]))
    assert unpacked(data) == [(0, 15), (1, 0), (2, 7), (65535, 8)]


def test_nothing_is_packed_to_nothing() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    assert pack_lists(np.array([0]), nothing, nothing) == []
    assert pack_lists(np.array([0, 0, 0]), nothing, nothing) == [b"", b""]


def test_a_list_that_is_too_long_is_refused() -> None:
    numbers = np.arange(65_536, dtype=np.int64)
    with pytest.raises(ValueError, match="a list of 65536 entries takes 65[0-9]{3} bytes, over 65535"):
        pack_lists(np.array([0, 65_536]), numbers, np.zeros(65_536, dtype=np.int64))


@pytest.mark.parametrize("number", [0, 1, 127, 128, 16_383, 16_384, 2_000_000])
def test_numbers_are_read_back(number: int) -> None:
    assert unpacked_number(packed_number(number), 0) == (number, len(packed_number(number)))


def error_of(values: NDArray[np.float64]) -> float:
    levels = codebook(values)
    assert (np.diff(levels) >= 0).all()
    return float(np.sqrt(np.mean((levels[nearest(levels, values)] - values) ** 2)))


def test_sixteen_levels_lie_where_the_values_are() -> None:
    rng = np.random.default_rng(0)
    # J. Max, "Quantizing for minimum distortion", 1960, table I: 0.009497 of the variance for 16 levels.
    assert error_of(rng.standard_normal(100_000)) == pytest.approx(np.sqrt(0.009497), rel=0.02)
    assert error_of(rng.uniform(-8.0, 0.0, 100_000)) == pytest.approx(8.0 / 16 / np.sqrt(12), rel=0.02)
    few = rng.choice([-1.0, -2.5, -7.0], 50)
    assert error_of(few) == 0.0
    assert codebook(np.zeros(0)).tolist() == [0.0] * NUM_VALUES
