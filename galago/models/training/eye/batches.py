"""Batches of the eye: which photos stand together, how they look, and what is to be seen in them.

Batch ``step`` is a pure function of the recipe's seed and ``step``, so that resuming is exact without any
position being saved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from galago.models.training.eye.album import Album, Photo, Pixels, cover, read_album, read_photos, squash
from galago.models.training.eye.augment import Policy, adjust_colors, crop_maps, cut_crops, erase, mix
from galago.models.training.eye.labels import EyeDescription, EyeLabel, ImageFormat
from galago.models.training.eye.recipe import AlbumRecipe, EyeRecipe, PhotosRecipe
from galago.models.training.sources import CorpusError

__all__ = ["Batch", "BatchMaker", "Sight", "open_album", "sight_of", "soft_targets"]


class Batch(NamedTuple):
    images: Tensor  # (B, 3, H, W) float32, normalised
    targets: Tensor  # (B, num_labels) float32, rows sum to 1, or to less where a label is not known


@dataclass(frozen=True)
class Sight:
    """Photos as the device would see them: ``images`` (N, H, W, 3) uint8 and ``labels`` (N,) int64."""

    images: Tensor
    labels: Tensor


def open_album(entry: AlbumRecipe, root: Path, *, splits: tuple[str, ...] = ()) -> Album:
    """The album of a recipe's entry, its held-out photos set apart.

    Raises:
        CorpusError: as :func:`~galago.models.training.eye.album.read_album` says.
    """
    return read_album(
        root / entry.path,
        entry.group,
        measure_share=entry.measure_share,
        choice_share=entry.choice_share,
        splits=splits,
    )


def sight_of(photos: list[Photo], labels: tuple[EyeLabel, ...], height: int, width: int) -> Sight:
    """Photos by the device's way to the network's input.

    Raises:
        CorpusError: there are none, or one has a label that is not among ``labels``.
    """
    numbers = {label: i for i, label in enumerate(labels)}
    unknown = {photo.label.name for photo in photos} - {label.name for label in labels}
    if unknown or not photos:
        raise CorpusError(f"labels that the eye does not know: {sorted(unknown)}" if unknown else "no photos")
    images = np.stack([cover(photo.pixels, height, width) for photo in photos])
    return Sight(torch.from_numpy(images), torch.tensor([numbers[photo.label] for photo in photos]))


def soft_targets(coarse: Tensor, smoothing: float, coarse_smoothing: float) -> Tensor:
    """The target row of each label, (K, K): most on itself, a share on its kind, a share on all.

    Args:
        coarse: (K,) the coarse class of each label.
    """
    K = len(coarse)
    same = (coarse[:, None] == coarse[None, :]).float()
    same = same / same.sum(dim=1, keepdim=True)
    rest = 1.0 - smoothing - coarse_smoothing
    return rest * torch.eye(K) + coarse_smoothing * same + smoothing / K


class BatchMaker:
    """``self[step]`` is the batch of that training step, on ``device``.

    Attributes:
        description: the labels of all albums and the image format, mean and deviation measured on the photos.
        choice: the photos of the "val" splits, by which a run is watched; None where there are none.

    Raises:
        CorpusError: an album, or the unlabelled photos of a distillation, cannot be read or have no photo.
    """

    def __init__(
        self, recipe: EyeRecipe, root: Path, height: int, width: int, *, device: str = "cpu"
    ) -> None:
        self.recipe, self.device = recipe, torch.device(device)
        side = recipe.schedule.stored_side
        albums = [open_album(entry, root, splits=(*entry.train_splits, "val")) for entry in recipe.albums]
        labels = tuple(dict.fromkeys(label for album in albums for label in album.labels))
        numbers = {label: i for i, label in enumerate(labels)}
        unlabelled = () if recipe.distillation is None else recipe.distillation.unlabelled
        self._entries: list[AlbumRecipe | PhotosRecipe] = [*recipe.albums, *unlabelled]
        squares: list[Pixels] = []
        aspect: list[float] = []
        number: list[int] = []
        of_album: list[int] = []
        self._counts: list[int] = []

        def add(photos: list[Pixels], known: list[int]) -> None:
            of_album.extend([len(self._counts)] * len(photos))
            self._counts.append(len(photos))
            squares.extend(squash(pixels, side) for pixels in photos)
            aspect.extend(pixels.shape[1] / pixels.shape[0] for pixels in photos)
            number.extend(known)

        for entry, album in zip(recipe.albums, albums, strict=True):
            chosen = album.split(*entry.train_splits)
            if not chosen:
                raise CorpusError(f"{entry.path}: no photo in {', '.join(entry.train_splits)}")
            add([photo.pixels for photo in chosen], [numbers[photo.label] for photo in chosen])
        for place in unlabelled:
            photos = read_photos(root / place.path, place.train_splits)
            add(photos, [len(labels)] * len(photos))
        pixels = torch.from_numpy(np.stack(squares))
        self._squares = pixels.to(self.device)
        self._aspect, self._labels, self._albums = (
            torch.tensor(aspect),
            torch.tensor(number),
            torch.tensor(of_album),
        )
        mean, std = _statistics(pixels)
        self.description = EyeDescription(labels, ImageFormat(height, width, mean, std))
        told = soft_targets(
            torch.tensor(self.description.coarse_index()), recipe.loss.smoothing, recipe.loss.coarse_smoothing
        )
        self._targets = torch.cat([told, torch.zeros(1, len(labels))])  # the last row: not known
        choice = [photo for album in albums for photo in album.split("val")]
        self.choice = sight_of(choice, labels, height, width) if choice else None
        self._epoch: tuple[int, Tensor] | None = None

    @property
    def photos_per_epoch(self) -> int:
        return sum(
            round(entry.share * count) for entry, count in zip(self._entries, self._counts, strict=True)
        )

    def _drawn(self, epoch: int) -> Tensor:
        """The photos of an epoch in their order: each album ``share`` times, what is over drawn at random."""
        if self._epoch is None or self._epoch[0] != epoch:
            rng = np.random.default_rng((self.recipe.schedule.seed, epoch))
            chosen, first = [], 0
            for entry, count in zip(self._entries, self._counts, strict=True):
                wanted = round(entry.share * count)
                rounds = [rng.permutation(count) for _ in range(-(-wanted // count))]
                if rounds:
                    chosen.append(first + np.concatenate(rounds)[:wanted])
                first += count
            self._epoch = epoch, torch.from_numpy(rng.permutation(np.concatenate(chosen)))
        return self._epoch[1]

    def _photos(self, step: int) -> Tensor:
        """The photos of a batch; batches run through the end of an epoch into the next."""
        size, per_epoch = self.recipe.schedule.batch_photos, self.photos_per_epoch
        places = range(step * size, (step + 1) * size)
        return torch.stack([self._drawn(place // per_epoch)[place % per_epoch] for place in places])

    def __getitem__(self, step: int) -> Batch:
        recipe, image = self.recipe, self.description.image
        rng = torch.Generator().manual_seed(recipe.schedule.seed * 1_000_003 + step)
        chosen = self._photos(step)
        entries = [self._entries[i] for i in self._albums[chosen].tolist()]
        policy = Policy(
            min_area=torch.tensor([entry.crop_area[0] for entry in entries]),
            max_area=torch.tensor([entry.crop_area[1] for entry in entries]),
            rotation=torch.tensor([math.radians(entry.rotation_deg) for entry in entries]),
            flip=torch.tensor([0.5 if entry.flip else 0.0 for entry in entries]),
        )
        settings = recipe.augmentation
        maps = crop_maps(self._aspect[chosen], policy, settings.stretch, image.width / image.height, rng)
        images = cut_crops(self._squares[chosen.to(self.device)], maps, image.height, image.width)
        images = erase(adjust_colors(images, settings, rng), settings, rng)
        targets = self._targets[self._labels[chosen]].to(self.device)
        images, targets = mix(images, targets, settings, rng)
        return Batch(image.normalise(images), targets)


def _statistics(pixels: Tensor) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and deviation of each channel of (N, S, S, 3) uint8, in [0, 1]; from up to 512 photos."""
    some = pixels[:: max(1, len(pixels) // 512)].float() / 255.0
    mean, std = (
        value.tolist() for value in (some.mean(dim=(0, 1, 2)), some.std(dim=(0, 1, 2)).clamp_min(0.01))
    )
    rounded = [tuple(round(v, 4) for v in values) for values in (mean, std)]
    return (rounded[0][0], rounded[0][1], rounded[0][2]), (rounded[1][0], rounded[1][1], rounded[1][2])
