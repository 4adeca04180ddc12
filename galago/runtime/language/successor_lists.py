"""Lists of rising numbers with a small value each, packed for the native core (``base/packed_list.h``).

A list is cut into blocks of 32 entries, each a sequence of half bytes, the lower one of a byte first:

    entry   value; then, but for the first entry of a later block, by how much its number is above the one
            before, less one, three bits a half byte, the lowest first: 8 says that more follow. Before the
            first entry stands -1.
    list    number of entries, seven bits a byte, the lowest first: 128 says that more follow; of a single
            block its bytes, u8, of several where each ends, u16; the first number of each later block, u16;
            the blocks

G. E. Pibiri and R. Venturini, "Handling massive n-gram datasets efficiently", 2019, weigh such codes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK_ENTRIES", "NUM_VALUES", "codebook", "nearest", "pack_lists", "packed_number"]

BLOCK_ENTRIES = 32
NUM_VALUES = 16


def packed_number(number: int) -> bytes:
    """A number of at least 0, seven bits a byte."""
    data = bytearray()
    while number >= 128:
        data.append(number & 127 | 128)
        number >>= 7
    data.append(number)
    return bytes(data)


def pack_lists(
    begin: NDArray[np.int64], numbers: NDArray[np.int64], values: NDArray[np.int64]
) -> list[bytes]:
    """One packed list for each of (begin[i], begin[i + 1]), (lists + 1,); empty where there is nothing in it.

    ``numbers`` (N,) in [0, 65536) rise within a list; ``values`` (N,) are in [0, 16).

    Raises ValueError where a list takes over 65,535 bytes.
    """
    sizes = np.diff(begin)
    num_blocks = -(-sizes // BLOCK_ENTRIES)
    index = np.arange(len(numbers)) - np.repeat(begin[:-1], sizes)  # within the list
    gaps = np.diff(numbers, prepend=-1) - 1
    is_first = index == 0
    gaps[is_first] = numbers[is_first]
    begins_block = index % BLOCK_ENTRIES == 0
    bits = np.frexp(gaps)[1]  # those that a gap needs
    num_nibbles = np.maximum(1, -(-bits // 3)) + 1
    num_nibbles[begins_block & ~is_first] = 1

    # Blocks begin at bytes.
    block = np.repeat(np.cumsum(num_blocks) - num_blocks, sizes) + index // BLOCK_ENTRIES
    block_bytes = (np.bincount(block, weights=num_nibbles).astype(np.int64) + 1) // 2
    before = np.cumsum(num_nibbles) - num_nibbles
    in_block = before - before[begins_block][block] if len(numbers) else before
    at = 2 * (np.cumsum(block_bytes) - block_bytes)[block] + in_block
    nibbles = np.zeros(2 * int(block_bytes.sum()), dtype=np.uint8)
    nibbles[at] = values
    for place in range(int(num_nibbles.max(initial=1)) - 1):
        held = num_nibbles > place + 1
        has_more = (num_nibbles[held] > place + 2) * 8
        nibbles[at[held] + place + 1] = (gaps[held] >> 3 * place & 7) | has_more
    data = (nibbles[::2] | nibbles[1::2] << 4).tobytes()

    block_ends = np.concatenate([[0], np.cumsum(block_bytes)])
    firsts = numbers[begins_block].astype("<u2").tobytes()
    lists, first_block = [], 0
    for size, count in zip(sizes.tolist(), num_blocks.tolist(), strict=True):
        end_block = first_block + count
        ends = block_ends[first_block + 1 : end_block + 1] - block_ends[first_block]
        if count and ends[-1] > 65535:
            raise ValueError(f"a list of {size} entries takes {ends[-1]} bytes, over 65535")
        lists.append(
            b"".join(
                (
                    packed_number(size),
                    ends.astype("<u2" if count > 1 else np.uint8).tobytes(),
                    firsts[2 * first_block + 2 : 2 * end_block],
                    data[block_ends[first_block] : block_ends[end_block]],
                )
            )
            if count
            else b""
        )
        first_block = end_block
    return lists


def codebook(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """The 16 numbers, rising, that stand for ``values`` (N,) with the least mean square error.

    S. Lloyd, "Least squares quantization in PCM", 1982, from quantiles on. 16 values stand for themselves.
    """
    few = np.unique(values)
    if len(few) <= NUM_VALUES:
        last = few[-1] if len(few) else 0.0
        return np.append(few, np.full(NUM_VALUES - len(few), last)).astype(np.float32)
    counts, edges = np.histogram(values, 4096)
    centres = (edges[:-1] + edges[1:]) / 2
    ranks = (np.arange(NUM_VALUES) + 0.5) / NUM_VALUES
    levels = np.interp(ranks, np.cumsum(counts) / len(values), centres)
    for _ in range(60):
        chosen = nearest(levels, centres)
        num = np.bincount(chosen, weights=counts, minlength=NUM_VALUES)
        total = np.bincount(chosen, weights=counts * centres, minlength=NUM_VALUES)
        levels = np.sort(np.where(num > 0, total / np.maximum(num, 1.0), levels))
    return np.asarray(levels, dtype=np.float32)


def nearest(levels: NDArray[np.floating], values: NDArray[np.float64]) -> NDArray[np.int64]:
    """(N,): which of the rising ``levels`` (K,) is nearest to each of ``values`` (N,)."""
    levels = levels.astype(np.float64)
    return np.searchsorted((levels[1:] + levels[:-1]) / 2, values).astype(np.int64)
