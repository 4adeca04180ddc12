"""How the inputs of a calibration set are spread: what the ranges of int8 were measured on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from galago.quantize.calibration import CalibrationSet

__all__ = ["histograms"]

_NUM_BINS = 48
_MAX_INPUTS = 6  # the widest of them: an ear has dozens of caches


def histograms(work: Path) -> list[dict[str, Any]]:
    """Of each calibration set below a role's work folder, its inputs with the most values.

    Returns:
        rows of ``set``, ``input``, ``low``, ``high`` and ``counts`` of equal bins between them.
    """
    found = []
    for path in sorted(work.glob("*.npz")):
        calibration = CalibrationSet.load(path)
        sizes = {name: value.size for name, value in calibration.samples[0].items()}
        for name in sorted(sizes, key=lambda name: (-sizes[name], name))[:_MAX_INPUTS]:
            values = np.concatenate([np.ravel(sample[name]) for sample in calibration])
            low, high = float(values.min()), float(values.max())
            if low == high or values.dtype.kind != "f":
                continue
            counts, _ = np.histogram(values, bins=_NUM_BINS, range=(low, high))
            found.append(
                {"set": path.stem, "input": name, "low": low, "high": high, "counts": counts.tolist()}
            )
    return found
