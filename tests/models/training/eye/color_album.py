"""A made-up set of photos for tests: each label is a colour, each coarse class the warm or the cold ones."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from galago.models.training.eye.recipe import AlbumRecipe, EyeAugmentation, EyeRecipe, EyeSchedule

COLORS = {
    "red": ("warm", (200, 40, 40)),
    "yellow": ("warm", (220, 200, 60)),
    "blue": ("cold", (40, 60, 200)),
    "green": ("cold", (50, 180, 70)),
}

#: 16 x 16 pixels, one stage of one block.
NETWORK: dict[str, Any] = {
    "preset": "device-3m",
    "height": 16,
    "width": 16,
    "window": 4,
    "widths": (8,),
    "depths": (1,),
    "num_heads": (2,),
}


def photo_bytes(color: tuple[int, int, int], seed: int, size: tuple[int, int] = (24, 20)) -> bytes:
    """A PNG of one colour with noise, ``size`` = (width, height)."""
    rng = np.random.default_rng(seed)
    pixels = np.clip(rng.normal(color, 12.0, (size[1], size[0], 3)), 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def write_tar(path: Path, rows: list[dict[str, Any]], files: dict[str, bytes]) -> Path:
    manifest = "".join(json.dumps(row) + "\n" for row in rows).encode()
    with tarfile.open(path, "w") as tar:
        for name, data in {"manifest.jsonl": manifest, **files}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def write_color_album(path: Path, *, num_train: int = 24, num_val: int = 8) -> Path:
    """Photos of the four colours in turn; splits "train" and "val"."""
    rows, files = [], {}
    for number in range(num_train + num_val):
        name, (coarse, color) = list(COLORS.items())[number % len(COLORS)]
        file = f"images/{number:03}.png"
        split = "train" if number < num_train else "val"
        rows.append({"file": file, "split": split, "label": name, "coarse": coarse})
        files[file] = photo_bytes(color, number)
    return write_tar(path, rows, files)


def color_recipe(path: Path, **schedule: Any) -> EyeRecipe:
    """A recipe for the album at ``path`` that trains in seconds, with colours left as they are."""
    settings = EyeSchedule(
        num_steps=12,
        warmup_steps=2,
        decay_steps=4,
        peak_learning_rate=1e-2,
        batch_photos=8,
        average_decay=0.8,
        checkpoint_steps=6,
        evaluate_steps=6,
        stored_side=24,
    )
    return EyeRecipe(
        name="colors",
        albums=(AlbumRecipe(str(path), "color"),),
        network=dict(NETWORK),
        augmentation=EyeAugmentation(mixup_probability=0.2, cutmix_probability=0.2, hue_deg=0.0),
        schedule=replace(settings, **schedule),
    )
