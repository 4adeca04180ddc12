"""Networks that teach an eye: other eyes, or Swin, ViT and DeiT as published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from galago.models.checkpoint import load_network
from galago.models.efficientnet_lite import EfficientNetLite
from galago.models.swin import Swin
from galago.models.training.checkpoints import CheckpointError, load
from galago.models.training.eye.checkpoint import load_eye
from galago.models.training.eye.labels import EyeLabel, ImageFormat
from galago.models.vit import Vit

__all__ = ["EyeTeacher", "block_widths", "label_columns", "load_teacher"]


@dataclass(frozen=True)
class EyeTeacher:
    """A network that is not trained, in evaluation mode; messages call it by ``name``, its file.

    Attributes:
        labels: in the order of its scores; those of a published network belong to no group.
        temperature: at which its probabilities are honest; distillation has another.
    """

    name: str
    network: Swin | Vit | EfficientNetLite
    labels: tuple[EyeLabel, ...]
    image: ImageFormat
    temperature: float = 1.0

    def see(self, images: Tensor, normalised: ImageFormat) -> Tensor:
        """Scores (B, number of its labels) of images (B, 3, H, W) that were normalised for a student.

        They are brought to its own size, mean and deviation.
        """
        if (self.image.mean, self.image.std) != (normalised.mean, normalised.std):
            old, new = (
                [images.new_tensor(v).reshape(1, 3, 1, 1) for v in (image.mean, image.std)]
                for image in (normalised, self.image)
            )
            images = (images * old[1] + old[0] - new[0]) / new[1]
        size = (self.image.height, self.image.width)
        if tuple(images.shape[2:]) != size:
            images = torch.nn.functional.interpolate(images, size, mode="bilinear", align_corners=False)
        scores: Tensor = self.network(images)
        return scores


def block_widths(network: Swin | Vit) -> list[int]:
    """Channels behind each block."""
    if isinstance(network, Vit):
        return [network.config.channels] * network.config.depth
    return [
        width
        for width, depth in zip(network.config.widths, network.config.depths, strict=True)
        for _ in range(depth)
    ]


def label_columns(theirs: Sequence[EyeLabel], ours: Sequence[EyeLabel], name: str) -> list[int]:
    """Where a teacher's scores have each of the student's labels.

    A label of an eye is known by its group and name, one of a published network by its name alone.

    Raises:
        CheckpointError: the teacher lacks some.
    """
    columns = {(label.group, label.name): number for number, label in enumerate(theirs)}
    places = [columns.get((label.group, label.name), columns.get(("", label.name))) for label in ours]
    missing = [label.name for label, place in zip(ours, places, strict=True) if place is None]
    if missing:
        some = ", ".join(map(repr, missing[:5])) + (" and more" if len(missing) > 5 else "")
        raise CheckpointError(
            f"{name}: teaches other labels; it lacks {some} (with share = 0 it may teach what is inside)"
        )
    return [place for place in places if place is not None]


def load_teacher(path: Path, device: torch.device | str = "cpu") -> EyeTeacher:
    """The teacher in a run's ``model.pt`` or in a galago model file.

    Raises:
        CheckpointError: the file is damaged, or what it holds cannot teach an eye.
    """
    if load(path).get("role") == "eye":
        eye, description = load_eye(path, device)
        eye.requires_grad_(False)
        return EyeTeacher(str(path), eye, description.labels, description.image, description.temperature)
    stored = load_network(path)
    network: Any = stored.network
    if not isinstance(network, Swin | Vit | EfficientNetLite):
        raise CheckpointError(f"{path}: holds a {stored.kind}, which classifies no images")
    half = [0.5, 0.5, 0.5]  # what the layout means where it says nothing
    mean, std = (tuple(stored.details.get(key, half)) for key in ("image_mean", "image_std"))
    try:
        image = ImageFormat(network.config.height, network.config.width, mean, std)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    labels = tuple(EyeLabel(str(name), "", str(name)) for name in stored.details.get("labels", ()))
    return EyeTeacher(str(path), network.to(device).requires_grad_(False), labels, image)
