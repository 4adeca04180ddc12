"""Curves of a training run as a picture, because people look at them rather than read numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["save_curves"]

SMOOTHING_STEPS = 50


def moving_average(values: Sequence[float], width: int) -> NDArray[np.float64]:
    """Mean of each value and up to ``width - 1`` before it, (len(values),); one pass, however wide."""
    total = np.concatenate([[0.0], np.cumsum(np.asarray(values, dtype=np.float64))])
    end = np.arange(1, len(values) + 1)
    begin = np.maximum(end - width, 0)
    averages: NDArray[np.float64] = (total[end] - total[begin]) / (end - begin)
    return averages


def save_curves(history: Sequence[dict[str, float]], path: Path) -> None:
    """Draw losses, phone accuracy, dev WER and learning rate over steps to a PNG."""
    if not history:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.5), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 2)
    for axes, keys, title in (
        (panels[0, 0], ("phone_frames", "phone_ctc", "token_ctc"), "loss"),
        (panels[0, 1], ("phone_accuracy", "dev_phone_accuracy"), "phones right, of 40 ms tokens"),
        (panels[1, 0], ("dev_wer",), "greedy word error rate on dev clips, 320 ms chunks"),
        (panels[1, 1], ("learning_rate",), "learning rate"),
    ):
        for key in keys:
            points = [(row["step"], row[key]) for row in history if key in row]
            if not points:
                continue
            steps, values = zip(*points, strict=True)
            width = 1 if key.startswith("dev") or key == "learning_rate" else SMOOTHING_STEPS
            smooth = moving_average(values, width)
            axes.plot(steps, smooth, label=key, marker="o" if key.startswith("dev") else None, markersize=3)
        axes.set_title(title)
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    figure.savefig(path, dpi=100)
