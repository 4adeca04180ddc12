"""The weights that an eye begins with: another run's, or published ones."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from galago.models.efficientnet_lite import EfficientNetLite
from galago.models.fake_quantization import load_plain_state, plain_state
from galago.models.normed import NormedConvolution
from galago.models.positions import resized_swin_state
from galago.models.swin import MobileStem, Swin
from galago.models.training.checkpoints import CheckpointError
from galago.models.training.eye.labels import EyeDescription, ImageFormat
from galago.models.training.eye.networks import EyeNetwork
from galago.models.training.eye.teachers import load_teacher

__all__ = ["begin_with", "renormalise", "take_over"]


def begin_with(model: EyeNetwork, description: EyeDescription, path: Path) -> None:
    """Fill a network with the weights of a run's ``model.pt`` or of a galago model file, as far as they go.

    The same network, at any resolution, is taken over but for a head of other labels. An EfficientNet-Lite
    fills the stem of a Swin that begins with its stages.

    Raises:
        CheckpointError: the file is damaged, or holds a network of another shape.
    """
    found = load_teacher(path)
    source = found.network
    if isinstance(source, EfficientNetLite):
        renormalise(source.body[0], found.image, description.image)  # type: ignore[arg-type]
    if isinstance(source, type(model)):
        take_over(model, source.state_dict(), path, same_labels=found.labels == description.labels)
        return
    stem = model.embedding.cut if isinstance(model, Swin) else None
    if not isinstance(stem, MobileStem) or not isinstance(source, EfficientNetLite):
        raise CheckpointError(f"{path}: this eye cannot begin with {type(source).__name__}, which it holds")
    try:
        wanted = plain_state(stem.body)
        published_state = source.body.state_dict()
        load_plain_state(stem.body, {name: published_state[name] for name in wanted})
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(f"{path}: holds other stages than those of the stem: {error}") from error


def take_over(model: EyeNetwork, weights: dict[str, Tensor], path: Path, *, same_labels: bool) -> None:
    """Load another network's state, resized to this resolution; all but a head of other labels.

    Raises:
        CheckpointError: it is of another shape; the message names ``path``.
    """
    weights = resized_swin_state(weights, plain_state(model))
    if not same_labels:
        weights.update({f"head.{name}": value for name, value in plain_state(model.head).items()})
    try:
        load_plain_state(model, weights)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: holds a network of another shape: {error}") from error


@torch.no_grad()
def renormalise(first: NormedConvolution, old: ImageFormat, new: ImageFormat) -> None:
    """Change a network's first convolution from images normalised like ``old`` to those like ``new``.

    It is the same function of the pixels but at the padded border, where 0 is another colour now.
    """
    if (old.mean, old.std) == (new.mean, new.std):
        return
    convolution, norm = first
    assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    old_mean, old_std, new_mean, new_std = (
        torch.tensor(value)[:, None, None] for value in (old.mean, old.std, new.mean, new.std)
    )
    # (p - m) / s = (z s' + m' - m) / s where z is the pixel as it is normalised now.
    norm.running_mean -= (convolution.weight * ((new_mean - old_mean) / old_std)).sum(dim=(1, 2, 3))
    convolution.weight *= new_std / old_std
