"""The golden picture: drawn by code, larger than what the network sees, so that scaling is checked too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from galago.models.training.eye.labels import EyeDescription
from galago.quantize.eye.oracle import EyeOracle, Pixels

__all__ = ["draw_picture", "write_golden"]


def draw_picture(width: int, height: int) -> Pixels:
    """A shaded red ball on a striped table before a wall, (height, width, 3): edges, colours, gradients."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    x, y = (x + 0.5 - width / 2) / height, (y + 0.5) / height
    wall = np.stack([0.55 + 0.25 * x, 0.6 + 0.1 * y, 0.7 - 0.2 * x], -1)
    stripes = 0.5 + 0.5 * np.sin(40.0 * (x + y))
    table = np.stack([0.5 + 0.15 * stripes, 0.35 + 0.1 * stripes, 0.2 + 0.05 * stripes], -1)
    picture = np.where((y > 0.62)[..., None], table, wall)
    distance = np.hypot(x, y - 0.52) / 0.32
    light = np.clip(1.1 - 0.8 * np.hypot(x + 0.1, y - 0.4) / 0.32, 0.15, 1.0)
    shine = np.exp(-(((x + 0.1) / 0.05) ** 2) - ((y - 0.38) / 0.04) ** 2)
    ball = np.stack([0.85 * light + 0.2 * shine, 0.2 * light + 0.6 * shine, 0.15 * light + 0.6 * shine], -1)
    picture = np.where((distance < 1.0)[..., None], ball, picture)
    return np.asarray(np.round(255.0 * np.clip(picture, 0.0, 1.0)), np.uint8)


def write_golden(
    folder: Path, target: str, oracle: EyeOracle, description: EyeDescription, *, tolerance: float
) -> dict[str, Any]:
    """Write the picture and its logits into ``golden/`` below ``folder``; return the manifest's entry.

    Args:
        oracle: over the very files that the bundle holds.
    """
    picture = draw_picture(round(2.5 * description.image.width), 2 * description.image.height)
    logits = oracle.logits(picture)
    (folder / "golden").mkdir(parents=True, exist_ok=True)
    (folder / "golden/image.rgb8").write_bytes(picture.tobytes())
    (folder / "golden/image.logits.f32").write_bytes(np.ascontiguousarray(logits, "<f4").tobytes())
    return {
        "role": "eye",
        "target": target,
        "image": "golden/image.rgb8",
        "width": picture.shape[1],
        "height": picture.shape[0],
        "logits": "golden/image.logits.f32",
        "tolerance": tolerance,
        "label": description.labels[int(logits.argmax())].name,
    }
