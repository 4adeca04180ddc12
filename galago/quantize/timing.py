"""Busy time of a graph's step, as it goes into reports and bundles."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

__all__ = ["step_ms"]

_NUM_TIMED_STEPS = 300


def step_ms(request: Any) -> float:
    """Median busy time of an infer request with set inputs, in ms; what else runs here does not count."""
    request.infer()
    times_ns = []
    for _ in range(_NUM_TIMED_STEPS):
        begin = time.process_time_ns()
        request.infer()
        times_ns.append(time.process_time_ns() - begin)
    return round(float(np.median(times_ns)) / 1e6, 3)
