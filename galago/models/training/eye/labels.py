"""What an eye can say, and what image it wants: stored in every checkpoint beside the weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["EyeDescription", "EyeLabel", "ImageFormat"]

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class EyeLabel:
    """One class: its ``name`` is unique in its ``group``; ``coarse`` is the kind of thing it is."""

    name: str
    group: str
    coarse: str


@dataclass(frozen=True)
class ImageFormat:
    """The network's input: RGB, ``height`` x ``width`` pixels, (value / 255 - mean) / std.

    ``fit`` "cover": the largest part of the image, about its middle, that has the input's proportions.
    """

    height: int
    width: int
    mean: Rgb
    std: Rgb
    fit: str = "cover"

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", tuple(self.mean))
        object.__setattr__(self, "std", tuple(self.std))
        if self.fit != "cover":
            raise ValueError(f"fit must be 'cover', got {self.fit!r}")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(
                f"mean and std need three values, std positive ones, got {self.mean} and {self.std}"
            )

    def normalise(self, pixels: Tensor) -> Tensor:
        """RGB in [0, 1], (B, 3, H, W) -> what the network takes."""
        mean, std = (torch.tensor(v, device=pixels.device).reshape(1, 3, 1, 1) for v in (self.mean, self.std))
        return (pixels - mean) / std

    def batch(self, images: NDArray[np.uint8] | Tensor) -> Tensor:
        """Images that fit already, (B, H, W, 3) uint8 -> (B, 3, H, W) float32, normalised."""
        return self.normalise(torch.as_tensor(images).permute(0, 3, 1, 2).float() / 255.0)


@dataclass(frozen=True)
class EyeDescription:
    """Labels in the order of the network's outputs, its input, and how its scores become answers.

    Probabilities are softmax(logits / ``temperature``); where the best is below ``accept_probability`` the
    answer is "nothing I know".
    """

    labels: tuple[EyeLabel, ...]
    image: ImageFormat
    temperature: float = 1.0
    accept_probability: float = 0.0

    def __post_init__(self) -> None:
        if not self.labels:
            raise ValueError("an eye needs at least one label")
        if len({(label.group, label.name) for label in self.labels}) != len(self.labels):
            raise ValueError("two labels of one group have the same name")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be positive, got {self.temperature}")
        if not 0.0 <= self.accept_probability <= 1.0:
            raise ValueError(f"accept_probability must be in [0, 1], got {self.accept_probability}")

    def coarse_index(self) -> list[int]:
        """For each label the number of its coarse class; those of two groups never share a number."""
        numbers: dict[tuple[str, str], int] = {}
        return [numbers.setdefault((label.group, label.coarse), len(numbers)) for label in self.labels]

    def group_index(self, group: str) -> list[int]:
        """The outputs that belong to ``group``."""
        return [i for i, label in enumerate(self.labels) if label.group == group]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def of_dict(stored: dict[str, Any]) -> EyeDescription:
        """Undo :meth:`as_dict`, also after JSON made lists of its tuples.

        Raises:
            TypeError, KeyError, ValueError: it describes no eye.
        """
        labels = tuple(EyeLabel(**label) for label in stored["labels"])
        rest = {key: value for key, value in stored.items() if key not in ("labels", "image")}
        return EyeDescription(labels, ImageFormat(**stored["image"]), **rest)
