"""The role "eye" of a manifest: a network that tells what an image shows, and its golden images.

Eye
├── image: EyeImage                 what the graph sees: (value / 255 - mean) / std, RGB, NCHW
├── labels: (EyeLabel, ...)         in the order of the logits
├── temperature, accept_probability, smoothing_half_life_ms
└── targets: (GraphTarget, ...)     one graph for each engine and dtype
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from galago.runtime.errors import UnsupportedError
from galago.runtime.manifest_keys import Keys
from galago.runtime.manifest_target import GraphTarget, graph_fields

__all__ = ["Eye", "EyeImage", "EyeLabel", "GoldenImage", "read_eye", "read_golden_image"]

EYE_TYPE = "image_labels"


@dataclass(frozen=True, slots=True)
class EyeImage:
    """How an image becomes the graph's input.

    `fit` "cover": the largest part in the middle that has the aspect ratio of width and height, scaled as
    Pillow's ``image.resize((width, height), BILINEAR, box=part)``.
    """

    width: int
    height: int
    mean: tuple[float, float, float]  # red, green, blue, of values in [0, 1]
    std: tuple[float, float, float]
    fit: str

    def crop(self, width: int, height: int) -> tuple[float, float, float, float]:
        """The part of an image of this size that is seen: left, top, right, bottom, in pixels."""
        crop_width = min(float(width), height * self.width / self.height)
        crop_height = min(float(height), width * self.height / self.width)
        left, top = (width - crop_width) / 2, (height - crop_height) / 2
        return left, top, left + crop_width, top + crop_height


@dataclass(frozen=True, slots=True)
class EyeLabel:
    name: str  # as events tell it
    group: str  # "grocery", "hand_sign"; may be empty
    coarse: str  # the kind that the name is one of; the name itself where there is none


@dataclass(frozen=True, slots=True)
class Eye:
    """A classifier of images."""

    image: EyeImage
    labels: tuple[EyeLabel, ...]
    temperature: float  # probabilities are softmax(logits / temperature)
    accept_probability: float  # below it the answer is "nothing I know"
    smoothing_half_life_ms: int  # after it, what was seen before weighs half; 0: it weighs nothing
    targets: tuple[GraphTarget, ...]  # image (1, 3, height, width) to logits (1, num_labels)


@dataclass(frozen=True, slots=True)
class GoldenImage:
    """An image and the logits that it gave where the bundle was packed."""

    role: str
    target: str
    image: str  # raw RGB bytes (height, width, 3)
    width: int
    height: int
    logits: str  # raw float32 (num_labels,)
    tolerance: float  # largest allowed absolute difference of a logit
    label: str  # the likeliest


def read_eye(keys: Keys, files: Container[str]) -> Eye:
    """Validate ``roles.eye``.

    Raises:
        UnsupportedError: a type or a fit of another galago.
        CorruptError: anything else that is wrong.
    """
    if keys.text("type") != EYE_TYPE:
        raise UnsupportedError(f"{keys.path}: {keys.at('type')}: {keys.text('type')!r} is not known here")
    labels = tuple(_label(label) for label in keys.objects("labels"))
    names = [label.name for label in labels]
    if len(names) < 2 or len(set(names)) < len(names):
        raise keys.wrong("labels", "two labels at least, each name once", names)
    targets = tuple(GraphTarget(**graph_fields(target, files)) for target in keys.objects("targets"))
    if not targets:
        raise keys.wrong("targets", "one target at least", [])
    eye = Eye(
        image=_image(keys.object("image")),
        labels=labels,
        temperature=keys.number("temperature", default=1.0),
        accept_probability=keys.number("accept_probability", default=0.0),
        smoothing_half_life_ms=keys.integer("smoothing_half_life_ms", minimum=0, default=0),
        targets=targets,
    )
    if not eye.temperature > 0:
        raise keys.wrong("temperature", "more than 0", eye.temperature)
    if not 0 <= eye.accept_probability <= 1:
        raise keys.wrong("accept_probability", "0 to 1", eye.accept_probability)
    return eye


def read_golden_image(keys: Keys, files: Container[str], eye: Eye | None) -> GoldenImage:
    """Validate an entry of ``golden`` whose role is "eye"."""
    target = keys.text("target")
    if eye is None or target not in {known.name for known in eye.targets}:
        raise keys.wrong("target", "the name of a target", target)
    for key in ("image", "logits"):
        keys.listed(key, keys.text(key), files)
    return GoldenImage(
        role=keys.text("role"),
        target=target,
        image=keys.text("image"),
        width=keys.integer("width", minimum=1),
        height=keys.integer("height", minimum=1),
        logits=keys.text("logits"),
        tolerance=keys.number("tolerance"),
        label=keys.text("label", ""),
    )


def _image(keys: Keys) -> EyeImage:
    if keys.text("fit") != "cover":
        raise UnsupportedError(f"{keys.path}: {keys.at('fit')}: {keys.text('fit')!r} is not known here")
    image = EyeImage(
        width=keys.integer("width", minimum=1),
        height=keys.integer("height", minimum=1),
        mean=_rgb(keys, "mean"),
        std=_rgb(keys, "std"),
        fit=keys.text("fit"),
    )
    if not min(image.std) > 0:
        raise keys.wrong("std", "three numbers above 0", list(image.std))
    return image


def _rgb(keys: Keys, key: str) -> tuple[float, float, float]:
    values = keys.numbers(key)
    if len(values) != 3:
        raise keys.wrong(key, "three numbers: red, green, blue", values)
    return values[0], values[1], values[2]


def _label(keys: Keys) -> EyeLabel:
    name = keys.text("name")
    if not name:
        raise keys.wrong("name", "a name", name)
    return EyeLabel(name=name, group=keys.text("group", ""), coarse=keys.text("coarse", name))
