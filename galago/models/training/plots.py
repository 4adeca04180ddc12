"""Curves of a training run as a picture, because people look at them rather than read numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Panel", "moving_average", "save_curves"]

SMOOTHING_STEPS = 50


class Panel(NamedTuple):
    """One plot of the picture: its title, the keys of a row that it draws, and whether they are smoothed."""

    title: str
    keys: tuple[str, ...]
    is_smoothed: bool = True


def moving_average(values: Sequence[float], width: int) -> NDArray[np.float64]:
    """Mean of each value and up to ``width - 1`` before it, (len(values),); one pass, however wide."""
    total = np.concatenate([[0.0], np.cumsum(np.asarray(values, dtype=np.float64))])
    end = np.arange(1, len(values) + 1)
    begin = np.maximum(end - width, 0)
    averages: NDArray[np.float64] = (total[end] - total[begin]) / (end - begin)
    return averages


def save_curves(history: Sequence[dict[str, float]], panels: Sequence[Panel], path: Path) -> None:
    """Draw ``panels`` over steps to a PNG, two in a row; without history there is no picture.

    Args:
        history: a row a step, with its ``step`` and any of the panels' keys. Keys that begin with ``dev``
            stand in few rows: each of their values is drawn as a point.
    """
    if not history:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    num_rows = -(-len(panels) // 2)
    figure = Figure(figsize=(11, 3.25 * num_rows), layout="constrained")
    FigureCanvasAgg(figure)
    for place, panel in enumerate(panels, 1):
        axes = figure.add_subplot(num_rows, 2, place)
        for key in panel.keys:
            points = [(row["step"], row[key]) for row in history if key in row]
            if not points:
                continue
            steps, values = zip(*points, strict=True)
            is_measure = key.startswith("dev")
            width = SMOOTHING_STEPS if panel.is_smoothed and not is_measure else 1
            curve = moving_average(values, width)
            axes.plot(steps, curve, label=key, marker="o" if is_measure else None, markersize=3)
        axes.set_title(panel.title)
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    figure.savefig(path, dpi=100)
