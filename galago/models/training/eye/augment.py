"""Augmentation of photos, a batch at a time and on the device of the batch.

Photos lie as squares (``album.squash``), whatever their proportions were. One affine map for each photo
cuts, rotates, stretches, mirrors and resizes in a single pass; one matrix for each photo does what happens
to its colours. All that is drawn at random comes from the generator that is handed in.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from galago.models.training.eye.recipe import EyeAugmentation

__all__ = ["Policy", "adjust_colors", "crop_maps", "cut_crops", "erase", "mix"]

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


class Policy(NamedTuple):
    """What each of B photos may be put through; see ``AlbumRecipe``."""

    min_area: Tensor  # (B,) of the photo's own area
    max_area: Tensor  # (B,)
    rotation: Tensor  # (B,) radians, up to which it is turned either way
    flip: Tensor  # (B,) probability


def _uniform(low: Tensor | float, high: Tensor | float, like: Tensor, rng: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(like.shape, generator=rng)


def crop_maps(
    aspect: Tensor, policy: Policy, stretch: float, proportion: float, rng: torch.Generator
) -> Tensor:
    """Affine maps from places in the crop to places in the squashed photo, (B, 2, 3), for ``affine_grid``.

    Args:
        aspect: (B,) width / height of the photos before they were squashed.
        stretch: the crop's proportions vary from ``proportion / stretch`` to ``proportion * stretch``.
        proportion: width / height of the network's input.
    """
    area = _uniform(policy.min_area, policy.max_area, aspect, rng) * aspect  # where a photo's height is 1
    ratio = proportion * torch.exp(_uniform(-math.log(stretch), math.log(stretch), aspect, rng))
    width, height = torch.sqrt(area * ratio), torch.sqrt(area / ratio)
    # A crop that sticks out is made smaller, unless the policy wants more than the photo.
    fit = torch.minimum(aspect / width, 1.0 / height).clamp_max(1.0)
    fit = torch.where(policy.max_area > 1.0, torch.ones_like(fit), fit)
    width, height = width * fit, height * fit
    free_x, free_y = (1.0 - width / aspect).clamp_min(0.0), (1.0 - height).clamp_min(0.0)
    center_x = _uniform(-free_x, free_x, aspect, rng)  # in [-1, 1] of the photo
    center_y = _uniform(-free_y, free_y, aspect, rng)
    angle = _uniform(-policy.rotation, policy.rotation, aspect, rng)
    mirror = torch.where(torch.rand(aspect.shape, generator=rng) < policy.flip, -1.0, 1.0)
    cos, sin = torch.cos(angle), torch.sin(angle)
    row_x = torch.stack([mirror * width * cos / aspect, -height * sin / aspect, center_x], dim=1)
    row_y = torch.stack([mirror * width * sin, height * cos, center_y], dim=1)
    return torch.stack([row_x, row_y], dim=1)


def cut_crops(squares: Tensor, maps: Tensor, height: int, width: int) -> Tensor:
    """Crops (B, 3, ``height``, ``width``) in [0, 1] from (B, S, S, 3) uint8; edges mirror what is inside."""
    images = squares.permute(0, 3, 1, 2).float() / 255.0
    grid = F.affine_grid(maps.to(images), [len(images), 3, height, width], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def adjust_colors(images: Tensor, settings: EyeAugmentation, rng: torch.Generator) -> Tensor:
    """Brightness, white balance, hue, saturation and contrast of (B, 3, H, W), each image its own."""
    B = len(images)
    one = torch.ones(B)

    def around_one(spread: float) -> Tensor:
        return _uniform(1.0 - spread, 1.0 + spread, one, rng)

    luma = torch.tensor(LUMA)
    gray = torch.ones(3, 1) * luma  # every row is the luma: an image without colour
    identity = torch.eye(3)
    saturation = around_one(settings.saturation)[:, None, None]
    angle = _uniform(-1.0, 1.0, one, rng) * math.radians(settings.hue_deg)
    # Rodrigues' rotation about the gray axis (1, 1, 1) / sqrt(3).
    cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3.0)
    cos, sin = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    hue = cos * identity + sin * cross + (1.0 - cos) / 3.0
    gains = around_one(settings.brightness)[:, None] * _uniform(
        1.0 - settings.channel_gain, 1.0 + settings.channel_gain, torch.ones(B, 3), rng
    )
    matrix = (gray + saturation * (identity - gray)) @ hue * gains[:, None, :]
    contrast = around_one(settings.contrast)[:, None, None]
    matrix, contrast = matrix.to(images), contrast.to(images)
    colored = (matrix @ images.flatten(2)).unflatten(2, images.shape[2:])  # type: ignore[no-untyped-call]
    mean = (luma.to(images)[:, None, None] * colored).sum(1).mean(dim=(1, 2))[:, None, None, None]
    out: Tensor = mean + (colored - mean) * contrast[..., None]
    if settings.blur_probability > 0:
        blurred = F.avg_pool2d(out, 3, stride=1, padding=1, count_include_pad=False)
        chosen = torch.rand(B, generator=rng) < settings.blur_probability
        out = torch.where(chosen.to(images.device)[:, None, None, None], blurred, out)
    if settings.noise > 0:
        deviation = (torch.rand(B, generator=rng) ** 2 * settings.noise).to(images)[:, None, None, None]
        # The only large draw: made where the images are, from a seed that the handed-in generator gives.
        seed = int(torch.randint(2**62, (), generator=rng))
        on_device = torch.Generator(images.device).manual_seed(seed)
        out = out + deviation * torch.randn(out.shape, generator=on_device, device=images.device)
    return out.clamp(0.0, 1.0)


def _rectangles(area: Tensor, height: int, width: int, device: torch.device, rng: torch.Generator) -> Tensor:
    """Boxes of a share ``area`` (B,) of the image at random places, (B, H, W) bool: true inside."""
    ratio = torch.exp(_uniform(-0.7, 0.7, area, rng))
    h, w = (
        (torch.sqrt(area * ratio) * height).clamp_max(height),
        (torch.sqrt(area / ratio) * width).clamp_max(width),
    )
    top, left = _uniform(0.0, height - h, area, rng), _uniform(0.0, width - w, area, rng)
    y = torch.arange(height, device=device)[None, :, None]
    x = torch.arange(width, device=device)[None, None, :]
    top, left, h, w = (value.to(device)[:, None, None] for value in (top, left, h, w))
    return (y >= top) & (y < top + h) & (x >= left) & (x < left + w)


def erase(images: Tensor, settings: EyeAugmentation, rng: torch.Generator) -> Tensor:
    """Put one box of even colour over some of the images (random erasing, Zhong et al. 2017)."""
    B, _, H, W = images.shape
    area = _uniform(*settings.erase_area, torch.ones(B), rng)
    chosen = torch.rand(B, generator=rng) < settings.erase_probability
    inside = _rectangles(area, H, W, images.device, rng) & chosen.to(images.device)[:, None, None]
    color = torch.rand(B, 3, 1, 1, generator=rng).to(images)
    return torch.where(inside[:, None], color, images)


def mix(
    images: Tensor, targets: Tensor, settings: EyeAugmentation, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Mix each image with another one of the batch, and their targets (B, K) in the same proportion.

    For a whole batch either mixup (Zhang et al. 2018: a weighted sum), or cutmix (Yun et al. 2019: a box of
    the other image), or neither.
    """
    B, _, H, W = images.shape
    choice = float(torch.rand((), generator=rng))
    other = torch.randperm(B, generator=rng)
    if choice < settings.mixup_probability:
        kept = _beta(settings.mixup_alpha, B, rng)
        weight = kept.to(images)[:, None, None, None]
        mixed = weight * images + (1.0 - weight) * images[other.to(images.device)]
    elif choice < settings.mixup_probability + settings.cutmix_probability:
        inside = _rectangles(torch.rand(B, generator=rng), H, W, images.device, rng)
        kept = 1.0 - inside.float().mean(dim=(1, 2))
        mixed = torch.where(inside[:, None], images[other.to(images.device)], images)
    else:
        return images, targets
    share = kept.to(targets)[:, None]
    return mixed, share * targets + (1.0 - share) * targets[other.to(targets.device)]


def _beta(alpha: float, count: int, rng: torch.Generator) -> Tensor:
    """Draws of Beta(alpha, alpha) by Johnk's method, good for alpha <= 1; above that, even ones."""
    if alpha > 1.0:
        return torch.rand(count, generator=rng)
    x = torch.rand(64, count, generator=rng) ** (1.0 / alpha)
    y = torch.rand(64, count, generator=rng) ** (1.0 / alpha)
    total = x + y
    good = (total <= 1.0) & (total > 0.0)
    first = good.int().argmax(dim=0)  # of 64 tries each succeeds with at least 0.5
    columns = torch.arange(count)
    return (x / total.clamp_min(1e-30))[first, columns].clamp(0.0, 1.0)
