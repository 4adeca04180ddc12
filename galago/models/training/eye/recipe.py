"""The recipe of an eye (``role = "eye"``): albums, network, augmentation, loss and schedule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from galago.models.training.distill.recipe import PruningRecipe
from galago.models.training.eye.networks import EYE_PRESETS, EyeConfig
from galago.models.training.quantization_aware import QuantizationAware
from galago.models.training.schedule import linear_decay
from galago.models.training.toml_tables import (
    SCHEMA_VERSION,
    Count,
    NotEmpty,
    Positive,
    Range,
    RecipeError,
    Rising,
    Share,
    Weight,
    build,
    read_toml,
)

__all__ = [
    "AlbumRecipe",
    "EyeAugmentation",
    "EyeDistillationRecipe",
    "EyeLoss",
    "EyeRecipe",
    "EyeSchedule",
    "PhotosRecipe",
    "eye_network",
    "load_eye_recipe",
]

Interval = Annotated[tuple[float, float], Range(0.01, 4.0), Rising()]


@dataclass(frozen=True)
class AlbumRecipe:
    """One album. ``share`` is how often each of its photos is drawn in an epoch, on average.

    ``crop_area`` beyond 1 shows more than the photo, its edges mirrored: hands that are further away.
    ``licence`` decides nothing here: it goes into ``model.pt``, and from there into the card of a bundle.
    """

    path: str
    group: str
    share: Annotated[float, Range(0.0, 16.0)] = 1.0
    train_splits: Annotated[tuple[str, ...], NotEmpty()] = ("train",)
    measure_share: Share = 0.0
    choice_share: Share = 0.0
    crop_area: Interval = (0.2, 1.0)
    rotation_deg: Annotated[float, Range(0.0, 180.0)] = 15.0
    flip: bool = True  # left and right; not where a mirrored thing is another thing
    licence: str | None = None


@dataclass(frozen=True)
class EyeAugmentation:
    """How photos are changed on their way into a batch; gains and shifts are the ends of an even interval."""

    stretch: Annotated[float, Range(1.0, 4.0)] = (
        1.33  # the crop's proportions, up to this and down to its inverse
    )
    brightness: Share = 0.35
    contrast: Share = 0.35
    saturation: Share = 0.4
    channel_gain: Share = 0.1  # white balance
    hue_deg: Annotated[float, Range(0.0, 180.0)] = 8.0
    noise: Share = 0.04  # deviation of the pixel noise, of full scale
    blur_probability: Share = 0.15
    erase_probability: Share = 0.25
    erase_area: Interval = (0.03, 0.25)
    mixup_probability: Share = 0.3  # a batch's; the rest of the two is left as it is
    cutmix_probability: Share = 0.4
    mixup_alpha: Annotated[float, Range(0.01, 10.0)] = 0.4


@dataclass(frozen=True)
class EyeLoss:
    """Cross-entropy of the labels and, summed up from the same outputs, of the coarse classes."""

    coarse: Weight = 0.5
    smoothing: Share = 0.05  # of the target, spread over all labels
    coarse_smoothing: Share = 0.05  # of the target, spread over labels of the same coarse class


@dataclass(frozen=True)
class PhotosRecipe:
    """Photos whose labels are unknown, or not to be used; keys as in :class:`AlbumRecipe`."""

    path: str
    share: Annotated[float, Range(0.0, 16.0)] = 1.0
    train_splits: Annotated[tuple[str, ...], NotEmpty()] = ("train",)
    crop_area: Interval = (0.2, 1.0)
    rotation_deg: Annotated[float, Range(0.0, 180.0)] = 15.0
    flip: bool = True
    licence: str | None = None


@dataclass(frozen=True)
class EyeDistillationRecipe:
    """What an eye learns from one teacher or the mean of several, beside its labels.

    The teachers see the very images that the student sees, cut, mixed and erased as they are (Beyer et al.
    2022). See :mod:`galago.models.training.distill`.
    """

    #: model.pt of eyes at any resolution, or model files of Swin, ViT or DeiT.
    teachers: Annotated[tuple[str, ...], NotEmpty()]
    share: Share = 0.7  # of the loss that asks for the teachers' answer instead of the label
    answer: Literal["soft", "hard"] = "soft"  # all of it (Hinton et al. 2015), or its best label (DeiT)
    temperature: Annotated[float, Range(0.1, 20.0)] = 2.0
    hidden: Weight = 0.0  # hidden states by ``layer_map``
    relation: Weight = 0.0  # which images of a batch are alike, by ``layer_map``
    layer_map: tuple[tuple[int, int], ...] = ()  # (student, teacher) blocks from 1; by default all, evenly
    unlabelled: tuple[PhotosRecipe, ...] = ()

    def __post_init__(self) -> None:
        if not (self.share or self.hidden or self.relation):
            raise ValueError("share, hidden and relation are 0, so nothing is learned from the teachers")


@dataclass(frozen=True)
class EyeSchedule:
    """Warm-up, constant rate, linear decay: the decay may be moved by changing ``num_steps`` and resuming."""

    num_steps: Positive = 9000
    warmup_steps: Count = 300
    decay_steps: Count = 4000
    peak_learning_rate: Annotated[float, Range(0.0, 1.0)] = 2e-3
    final_learning_rate: Annotated[float, Range(0.0, 1.0)] = 1e-5
    weight_decay: Share = 0.05
    batch_photos: Positive = 48
    average_decay: Share = 0.999
    checkpoint_steps: Positive = 200
    evaluate_steps: Positive = 200
    stored_side: Positive = 192  # pixels along the side of the squares that crops are cut from
    seed: Count = 1

    def learning_rate(self, step: int) -> float:
        """See :func:`galago.models.training.schedule.linear_decay`."""
        return linear_decay(self, step)


@dataclass(frozen=True)
class EyeRecipe:
    """A training run. ``network`` is a preset's name plus fields of its configuration that differ."""

    name: str
    albums: Annotated[tuple[AlbumRecipe, ...], NotEmpty()]
    role: Literal["eye"] = "eye"
    network: dict[str, Any] = field(default_factory=lambda: {"preset": "device-3m"})
    augmentation: EyeAugmentation = EyeAugmentation()
    loss: EyeLoss = EyeLoss()
    schedule: EyeSchedule = EyeSchedule()
    distillation: EyeDistillationRecipe | None = None
    pruning: PruningRecipe | None = None
    quantization_aware: QuantizationAware | None = None
    initial_weights: str | None = None  # what to begin with, see :func:`~.initial_weights.begin_with`
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if self.pruning is not None and self.initial_weights is not None:
            raise ValueError("pruning.weights and initial_weights: a run begins with one of them")
        if self.quantization_aware is not None and self.initial_weights is None:
            raise ValueError("quantization_aware: needs initial_weights, a network that was trained in float")


def eye_network(recipe: EyeRecipe, num_classes: int, where: str = "network") -> EyeConfig:
    """The network of a recipe: its preset with the fields that differ.

    Raises:
        RecipeError: an unknown preset or field, or values that make no network.
    """
    changes = dict(recipe.network)
    preset = changes.pop("preset", "device-3m")
    if preset not in EYE_PRESETS:
        raise RecipeError(f"{where}.preset: no preset {preset!r} (known: {', '.join(EYE_PRESETS)})")
    if "num_classes" in changes:
        raise RecipeError(f"{where}.num_classes: is given by the labels and cannot be set")
    shape = EYE_PRESETS[preset]
    stored = {**shape.as_dict(), "num_classes": num_classes, **changes}
    config: EyeConfig = build(type(shape), stored, where)
    return config


def load_eye_recipe(path: Path, changes: Sequence[str] = ()) -> EyeRecipe:
    """Read a recipe whose role is "eye", with ``changes`` as ``read_toml`` has them.

    Raises:
        RecipeError: no such file, no UTF-8, no TOML, an unknown or missing key, a wrong type, a value out
            of range, a network that cannot be, another role or schema version.
    """
    recipe: EyeRecipe = build(EyeRecipe, read_toml(path, SCHEMA_VERSION, changes), path.name)
    eye_network(recipe, 2, f"{path.name}.network")
    return recipe
