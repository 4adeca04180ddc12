"""Albums: labelled photos from a tar or a JSONL manifest, decoded once and kept in memory as uint8.

Splits are the manifest's. Where it has only one, a fixed share is set apart by the SHA-1 of the file's name,
so that every run and every machine sets the same photos apart.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from galago.models.training.eye.labels import EyeLabel
from galago.models.training.sources import IMAGE_SUFFIXES, CorpusError, read_rows

__all__ = ["Album", "Photo", "cover", "decode_photo", "read_album", "read_photos", "squash"]

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Photo:
    """One labelled image, ``pixels`` (height, width, 3) uint8 RGB."""

    id: str
    split: str
    label: EyeLabel
    pixels: Pixels


@dataclass(frozen=True)
class Album:
    """Photos and the labels that occur in them, in the order of their ``label_id`` or of their names."""

    name: str
    labels: tuple[EyeLabel, ...]
    photos: tuple[Photo, ...]

    def split(self, *names: str) -> list[Photo]:
        return [photo for photo in self.photos if photo.split in names]


def cover(pixels: Pixels, height: int, width: int) -> Pixels:
    """The middle of an image in the proportions of ``width`` x ``height``, resized to it with antialiasing.

    One pass, as the device does it: Pillow's ``resize(size, BILINEAR, box=crop)``.
    """
    from PIL import Image

    tall, wide = pixels.shape[:2]
    scale = min(tall / height, wide / width)
    crop_w, crop_h = width * scale, height * scale
    left, top = (wide - crop_w) / 2, (tall - crop_h) / 2
    image = Image.fromarray(pixels).resize(
        (width, height), Image.Resampling.BILINEAR, box=(left, top, left + crop_w, top + crop_h)
    )
    return np.asarray(image)


def squash(pixels: Pixels, side: int) -> Pixels:
    """The whole image as a square, its proportions lost: what batches are cut from, :mod:`.augment`."""
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR))


def decode_photo(data: bytes, where: str) -> Pixels:
    """A file's bytes -> (height, width, 3) uint8 RGB.

    Raises:
        CorpusError: they are no image; the message names ``where``.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError) as error:
        raise CorpusError(f"{where}: {error}") from error


def _share_of_name(name: str) -> float:
    """A number in [0, 1) that only the file's name decides."""
    return int.from_bytes(hashlib.sha1(name.encode()).digest()[:8], "big") / 2.0**64


def read_album(
    path: Path,
    group: str,
    *,
    measure_share: float = 0.0,
    choice_share: float = 0.0,
    splits: tuple[str, ...] = (),
) -> Album:
    """Decode the photos at ``path``: a tar with ``manifest.jsonl`` or a JSONL manifest (``file``, ``label``).

    Args:
        group: what the album's labels belong to. A line's ``coarse`` is its label's kind, by default the
            label itself.
        measure_share: the share of "train" that becomes "dev-test", by the SHA-1 of the file's name.
        choice_share: the share of "train" that becomes "val", the next ones in that order.
        splits: decode only these; none named: all. Labels come from all lines in any case.

    Raises:
        CorpusError: as :func:`~galago.models.training.sources.read_rows` says; a line without a label; a
            file that is no image.
    """
    labels: dict[str, tuple[int | str, EyeLabel]] = {}
    photos = []
    for row, data in read_rows(path):
        name = row.get("label")
        if not isinstance(name, str) or not name:
            raise CorpusError(f"{path}:{row['file']}: a photo needs a 'label', a text, got {name!r}")
        label = EyeLabel(name, group, str(row.get("coarse", name)))
        order = row.get("label_id", name)
        if labels.setdefault(name, (order, label)) != (order, label):
            raise CorpusError(
                f"{path}:{row['file']}: label {name!r} stands here with another coarse class or id"
            )
        split = str(row["split"])
        if split == "train":
            share = _share_of_name(row["file"])
            if share < measure_share:
                split = "dev-test"
            elif share < measure_share + choice_share:
                split = "val"
        if not splits or split in splits:
            photos.append(Photo(str(row["id"]), split, label, decode_photo(data, f"{path}:{row['file']}")))
    try:
        ordered = sorted(labels.values(), key=lambda entry: entry[0])
    except TypeError as error:
        raise CorpusError(f"{path}: some labels have a number 'label_id' and some do not") from error
    if not photos:
        raise CorpusError(f"{path}: no photo in {', '.join(splits) or 'any split'}")
    return Album(path.stem, tuple(label for _, label in ordered), tuple(photos))


def read_photos(path: Path, splits: tuple[str, ...]) -> list[Pixels]:
    """Photos without labels, at ``path``: as :func:`read_album`, or a folder of images (split "train").

    Raises:
        CorpusError: as :func:`~galago.models.training.sources.read_rows` says; a file that is no image; no
            photo in ``splits``.
    """
    photos = [
        decode_photo(data, f"{path}:{row['file']}")
        for row, data in read_rows(path, suffixes=IMAGE_SUFFIXES)
        if row["split"] in splits
    ]
    if not photos:
        raise CorpusError(f"{path}: no photo in {', '.join(splits)}")
    return photos
