"""Draw what the camera of the demo's turn sees: a heap of green apples, as a small script imagines them.

    python examples/demo/turn/draw.py

No photo is part of it, and none of anybody's data: balls with a skin, pores and a hollow for the stem, in
colours that were tried out until the eye, which has learned from photos alone, took them for apples.  Needs
Pillow.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

PATH = Path(__file__).resolve().parent / "apples.png"
WIDTH, HEIGHT = 320, 240
RADIUS = 60.0
SKIN = np.array([0.53, 0.70, 0.29])
BLUSH = np.array([0.055, 0.0, -0.025])  # of the side that had the sun
PORE = np.array([0.75, 0.80, 0.55])
STEM = np.array([0.33, 0.25, 0.12])
NUM_PORES = 69
Picture = npt.NDArray[np.float64]


def add_apple(
    picture: Picture, centre: tuple[float, float], radius: float, generator: np.random.Generator
) -> None:
    """A ball with pores and a hollow, lit from the upper left, and its shadow; in place.

    Args:
        picture: (HEIGHT, WIDTH, 3) in [0, 1].
        centre: x and y, in pixels.
    """
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    across, down = (x - centre[0]) / radius, (y - centre[1]) / radius
    shadow = np.exp(-4.0 * np.clip(np.hypot(across - 0.15, down - 0.2) - 0.95, 0.0, None))
    picture *= (1.0 - 0.6 * shadow)[:, :, None]
    square = across**2 + down**2
    height = np.sqrt(np.clip(1.0 - square, 0.0, None))
    light = np.clip(-0.35 * across - 0.4 * down + 0.8 * height, 0.0, None)
    color = SKIN + np.array([0.03, 0.03, 0.02]) * generator.standard_normal()
    angle = generator.uniform(0.0, 2.0 * np.pi)
    color = color + BLUSH * np.clip(across * np.cos(angle) + down * np.sin(angle), 0.0, 1.0)[:, :, None]
    grain = 0.044 * generator.standard_normal((HEIGHT, WIDTH)) * height
    skin = color * (0.4 + 0.6 * light + grain)[:, :, None] + 0.5 * (light[:, :, None] ** 31)
    pores = np.zeros((HEIGHT, WIDTH))
    for _ in range(NUM_PORES):
        right, below = generator.uniform(-0.9, 0.9, 2)
        pores += np.exp(-((across - right) ** 2 + (down - below) ** 2) / 0.018**2)
    skin += (PORE - skin) * 0.35 * np.clip(pores, 0.0, 1.0)[:, :, None]
    angle, at = generator.uniform(0.0, 2.0 * np.pi), generator.uniform(0.2, 0.6)
    from_stem = np.hypot(across - at * np.cos(angle), down - at * np.sin(angle))
    skin *= 1.0 - 0.55 * np.exp(-((from_stem / 0.33) ** 2))[:, :, None]
    stem = np.exp(-((from_stem / 0.06) ** 4))[:, :, None]
    skin = skin * (1.0 - stem) + STEM * stem
    edge = np.clip((1.0 - np.sqrt(square)) * radius, 0.0, 1.0)[:, :, None]
    picture[:] = picture * (1.0 - edge) + skin * edge


def draw() -> Image.Image:
    generator = np.random.default_rng(7)
    picture = np.full((HEIGHT, WIDTH, 3), (0.13, 0.28, 0.10))
    for layer in (0.0, 0.5):  # the upper ones lie in the gaps of the lower
        for row in range(4):
            for column in range(5):
                x = (column + 0.5 * (row % 2) + layer) * 1.75 * RADIUS
                y = (row + layer) * 1.55 * RADIUS
                jitter = generator.normal(0.0, 4.0, 2)
                size = RADIUS * generator.uniform(0.92, 1.08)
                add_apple(picture, (x + jitter[0] - 20.0, y + jitter[1] - 10.0), size, generator)
    return Image.fromarray(np.uint8(np.round(np.clip(picture, 0.0, 1.0) * 255)))


if __name__ == "__main__":
    draw().save(PATH, optimize=True)
    print(f"{PATH.name}: {PATH.stat().st_size} bytes")
