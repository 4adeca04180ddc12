"""Sounds and photos as small PNGs in base64, which a page without a network can hold."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["photo", "spectrogram"]

_PHOTO_SIDE = 96
_MAX_WIDTH = 720


def _png(pixels: NDArray[np.uint8]) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def spectrogram(frames: NDArray[np.float32]) -> str:
    """Log-mel energies (num_frames, num_mels), nats, low bands at the bottom; the quietest 5 % are black."""
    from matplotlib import colormaps

    step = -(-len(frames) // _MAX_WIDTH)
    low, high = np.percentile(frames, (5.0, 99.8))
    scaled = np.clip((frames[::step].T[::-1] - low) / max(float(high - low), 1e-6), 0.0, 1.0)
    colours: Any = colormaps["magma"](scaled)
    return _png(np.ascontiguousarray((colours[..., :3] * 255.0).astype(np.uint8)))


def photo(pixels: NDArray[np.uint8]) -> str:
    """A photo (height, width, 3) RGB, its longer side made small."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((_PHOTO_SIDE, _PHOTO_SIDE))
    return _png(np.asarray(image))
