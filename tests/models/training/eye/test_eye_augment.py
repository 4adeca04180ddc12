"""Augmentation of photos: the maps do what they say, and everything random comes from the generator."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from galago.models.training.eye.augment import Policy, adjust_colors, crop_maps, cut_crops, erase, mix
from galago.models.training.eye.recipe import EyeAugmentation

B, SIDE = 16, 24
PLAIN = EyeAugmentation(
    stretch=1.0,
    brightness=0.0,
    contrast=0.0,
    saturation=0.0,
    channel_gain=0.0,
    hue_deg=0.0,
    noise=0.0,
    blur_probability=0.0,
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def policy(
    area: float = 1.0, *, up_to: float | None = None, degrees: float = 0.0, flip: float = 0.0
) -> Policy:
    values = (area, area if up_to is None else up_to, math.radians(degrees), flip)
    return Policy(*(torch.full((B,), value) for value in values))


def gradient() -> Tensor:
    """Squares whose red rises from left to right, and green from top to bottom."""
    ramp = torch.linspace(5, 250, SIDE).to(torch.uint8)
    squares = torch.zeros(B, SIDE, SIDE, 3, dtype=torch.uint8)
    squares[..., 0] = ramp[None, None, :]
    squares[..., 1] = ramp[None, :, None]
    return squares


def crops(rule: Policy, *, stretch: float = 1.0) -> Tensor:
    maps = crop_maps(torch.ones(B), rule, stretch, 1.0, rng())
    return cut_crops(gradient(), maps, SIDE, SIDE)


def test_the_whole_photo_is_the_photo() -> None:
    expected = gradient().permute(0, 3, 1, 2) / 255.0
    torch.testing.assert_close(crops(policy()), expected, atol=1e-4, rtol=0)


def test_mirrored_photos_are_mirrored_left_and_right() -> None:
    expected = (gradient().permute(0, 3, 1, 2) / 255.0).flip(3)
    torch.testing.assert_close(crops(policy(flip=1.0)), expected, atol=1e-4, rtol=0)


def test_a_crop_shows_its_share_of_the_photo_and_nothing_beyond() -> None:
    found = crops(policy(0.25))
    rise = (found[:, 0, :, -1] - found[:, 0, :, 0]).mean(1) / (SIDE - 1) * SIDE
    torch.testing.assert_close(rise, torch.full((B,), 0.5 * 245 / 255), atol=0.03, rtol=0)
    assert len(set(found[:, 0, 0, 0].tolist())) > B // 2  # at different places


def test_more_than_the_photo_is_its_mirrored_edge() -> None:
    found = crops(policy(4.0, up_to=4.0))
    middle = found[:, 0, SIDE // 2]
    assert (middle[:, SIDE // 4 : 3 * SIDE // 4].diff() > 0).all()
    assert (middle[:, 1 : SIDE // 4 - 1].diff() < 0).all()


def test_a_squashed_photo_gets_its_proportions_back() -> None:
    """A quarter of a photo twice as wide as high, as a square: half its height, a quarter of its width."""
    maps = crop_maps(torch.full((B,), 2.0), policy(0.125), 1.0, 1.0, rng())
    torch.testing.assert_close(maps[:, 0, 0], torch.full((B,), 0.25))
    torch.testing.assert_close(maps[:, 1, 1], torch.full((B,), 0.5))


def test_rotation_keeps_lengths() -> None:
    maps = crop_maps(torch.ones(B), policy(0.25, degrees=45.0), 1.0, 1.0, rng())
    torch.testing.assert_close(torch.linalg.det(maps[:, :, :2]), torch.full((B,), 0.25))
    assert maps[:, 0, 1].abs().max() > 0.1


@pytest.mark.parametrize("change", ["brightness", "contrast", "saturation", "channel_gain", "hue_deg"])
def test_each_change_of_colour_changes_colours_and_none_is_none(change: str) -> None:
    images = 0.2 + 0.5 * torch.rand(B, 3, 8, 8, generator=rng(1))
    torch.testing.assert_close(adjust_colors(images, PLAIN, rng()), images, atol=1e-5, rtol=0)
    value = 20.0 if change == "hue_deg" else 0.3
    settings = EyeAugmentation(**{**vars(PLAIN), change: value})
    changed = adjust_colors(images, settings, rng())
    assert ((changed - images).abs().amax(dim=(1, 2, 3)) > 1e-3).sum() >= B - 2
    gray = images.mean(dim=1, keepdim=True).expand_as(images)
    if change in ("saturation", "hue_deg"):
        torch.testing.assert_close(adjust_colors(gray, settings, rng()), gray, atol=1e-4, rtol=0)
    if change == "contrast":
        even = torch.full((B, 3, 4, 4), 0.4)
        torch.testing.assert_close(adjust_colors(even, settings, rng()), even, atol=1e-4, rtol=0)


def test_erased_boxes_have_the_asked_for_area() -> None:
    settings = EyeAugmentation(erase_probability=1.0, erase_area=(0.25, 0.25))
    share = (erase(torch.full((B, 3, 32, 32), -1.0), settings, rng()) != -1.0).float().mean(dim=(1, 2, 3))
    assert ((share - 0.25).abs() < 0.06).all()
    assert torch.equal(
        erase(share[:, None, None, None], EyeAugmentation(erase_probability=0.0), rng())[:, 0, 0, 0], share
    )


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_targets_are_mixed_as_the_images_are(kind: str) -> None:
    """Image i is filled with i: the mean of what comes out must be the mean under its target."""
    values = torch.arange(B, dtype=torch.float32)
    images = values[:, None, None, None].expand(B, 3, 32, 32)
    settings = EyeAugmentation(
        mixup_probability=float(kind == "mixup"), cutmix_probability=float(kind == "cutmix")
    )
    mixed, targets = mix(images, torch.eye(B), settings, rng())
    torch.testing.assert_close(mixed.mean(dim=(1, 2, 3)), targets @ values, atol=1e-3, rtol=0)
    torch.testing.assert_close(targets.sum(1), torch.ones(B))
    assert (targets.max(1).values < 0.99).sum() > B // 4


def test_the_generator_decides_everything() -> None:
    def once(seed: int) -> Tensor:
        generator = rng(seed)
        images = cut_crops(
            gradient(), crop_maps(torch.ones(B), policy(0.1, up_to=1.0, degrees=9), 1.3, 1.0, generator), 8, 8
        )
        settings = EyeAugmentation(mixup_probability=1.0)
        return mix(adjust_colors(images, settings, generator), torch.eye(B), settings, generator)[0]

    assert torch.equal(once(3), once(3))
    assert not torch.equal(once(3), once(4))
