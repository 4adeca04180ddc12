"""Photos for packing: of the albums that a run learned from, or files; and the calibration set of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from galago.models.training.eye.album import Photo, read_album
from galago.models.training.eye.calibrate import pictures_of_nothing
from galago.models.training.eye.labels import ImageFormat
from galago.models.training.toml_tables import RecipeError
from galago.quantize.calibration import CalibrationError, CalibrationSet
from galago.quantize.eye.export import INPUT
from galago.quantize.eye.oracle import Pixels, network_input
from galago.quantize.eye.recipe import EyeCalibration

__all__ = ["album_photos", "calibration_set", "read_images"]


def album_photos(
    training: Mapping[str, Any] | None, albums: Path | None, splits: Sequence[str]
) -> list[Photo]:
    """The photos of ``splits``, of the albums of a training recipe, set apart as the run set them apart.

    Args:
        training: the recipe in ``model.pt``; None where there is none.
        albums: the folder that its paths are relative to.

    Raises:
        RecipeError: no recipe in the checkpoint, or no folder given.
        CorpusError: an album cannot be read, or has no such photo.
    """
    if training is None:
        raise RecipeError("the checkpoint names no albums: give images instead of splits, or train it anew")
    if albums is None:
        names = ", ".join(str(entry["path"]) for entry in training["albums"])
        raise RecipeError(f"the recipe needs albums ({names}): name their folder (--albums)")
    photos: list[Photo] = []
    for entry in training["albums"]:
        album = read_album(
            albums / entry["path"],
            entry["group"],
            measure_share=entry.get("measure_share", 0.0),
            choice_share=entry.get("choice_share", 0.0),
            splits=tuple(splits),
        )
        photos += album.photos
    return photos


def read_images(paths: Sequence[Path]) -> list[Pixels]:
    """Image files as (H, W, 3) uint8 RGB.

    Raises:
        CalibrationError: a file is missing or no image.
    """
    from PIL import Image, UnidentifiedImageError

    images = []
    for path in paths:
        try:
            with Image.open(path) as image:
                images.append(np.asarray(image.convert("RGB")))
        except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError) as error:
            raise CalibrationError(f"{path}: no image: {error}") from error
    return images


def calibration_set(
    name: str, settings: EyeCalibration, image: ImageFormat, found: Sequence[tuple[str, Pixels]]
) -> CalibrationSet:
    """Random ones of ``found`` (what they are called, and pixels), and pictures of nothing.

    Raises:
        CalibrationError: fewer are found than wanted.
    """
    total = settings.num_samples + settings.num_held_out
    num_nothing = min(total, settings.num_pictures_of_nothing) if found else total
    num_photos = total - num_nothing
    if len(found) < num_photos:
        raise CalibrationError(f"{name}: {num_photos} photos wanted, {len(found)} found")
    rng = np.random.default_rng(settings.seed)
    chosen = [found[int(i)] for i in rng.permutation(len(found))[:num_photos]]
    nothing = pictures_of_nothing(num_nothing, image.height, image.width, seed=settings.seed)
    chosen += [(f"nothing:{i}", picture) for i, picture in enumerate(nothing)]
    mixed = [chosen[int(i)] for i in rng.permutation(total)]  # so that some of each kind are held out
    samples = tuple({INPUT: network_input(image, pixels)} for _, pixels in mixed)
    origin = {"seed": settings.seed, "images": [called for called, _ in mixed]}
    return CalibrationSet(name, samples, origin)
