"""The noise that a speaker is given: the same bits wherever a voice speaks, without a generator's state.

A number is a hash of where it stands: frame f of a sentence, bin k. So chunks of any size get the noise of
the whole, and a sentence that is said twice is the same, sample by sample. `docs/bundles.md` has the formula
for other languages.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["frame_noise"]


def frame_noise(begin_frame: int, num_frames: int, num_bins: int, seed: int = 0) -> NDArray[np.float32]:
    """Noise of frames from ``begin_frame`` on, (num_frames, num_bins), uniform in [0, 1).

    The mixing is the finaliser of MurmurHash3 (Appleby 2011) over a Weyl sequence.
    """
    first = np.uint32(begin_frame * num_bins & 0xFFFFFFFF)
    x = np.arange(num_frames * num_bins, dtype=np.uint32) + first
    x = x * np.uint32(0x9E3779B9) + np.uint32(seed & 0xFFFFFFFF)
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    x ^= x >> np.uint32(16)
    values: NDArray[np.float32] = (x >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
    return values.reshape(num_frames, num_bins)
