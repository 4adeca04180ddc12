"""What a voice sounds and looks like while it is trained: WAV files and pictures of spectrograms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["save_spectrograms", "save_wav"]

Floats = NDArray[np.float32]


def save_wav(samples: Floats, path: Path, sample_rate_hz: int = 16_000) -> None:
    """Mono 16-bit WAV of ``samples`` (N,) in [-1, 1]; louder ones are clipped."""
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.clip(samples, -1.0, 1.0), sample_rate_hz, subtype="PCM_16")


def save_spectrograms(
    pictures: Mapping[str, Floats], path: Path, *, pitch_hz: Mapping[str, Floats] | None = None
) -> None:
    """Pictures (T, num_mels) of log-mel magnitudes below each other, each with its pitch contour, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(10, 2.4 * len(pictures)), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (title, picture) in enumerate(pictures.items(), 1):
        axes = figure.add_subplot(len(pictures), 1, place)
        axes.imshow(picture.T, origin="lower", aspect="auto", vmin=-11.0, vmax=0.0, interpolation="nearest")
        axes.set_title(title)
        axes.set_ylabel("mel band")
        if pitch_hz is not None and title in pitch_hz:
            contour = np.where(pitch_hz[title] > 0, pitch_hz[title], np.nan)
            beside = axes.twinx()
            beside.plot(contour, color="white", linewidth=1.0)
            beside.set_ylim(50, 500)
            beside.set_ylabel("Hz")
    figure.savefig(path, dpi=80)
