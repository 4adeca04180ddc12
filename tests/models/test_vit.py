"""ViT and DeiT: published sizes, positions for another resolution; see published/test_images.py."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from galago.models.flops import count_multiply_adds, count_parameters
from galago.models.vit import VIT_PRESETS, Vit, VitConfig

SMALL = VitConfig(height=32, width=32, num_classes=5, patch=8, channels=24, depth=2, num_heads=2)


def noise(height: int = 32, width: int = 32) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize(
    ("preset", "parameters", "multiply_adds"),
    [
        ("b16-384", 86e6, 55.4e9),
        ("l16-384", 307e6, 190.7e9),
        ("deit-s", 22e6, 4.6e9),
        ("deit-b", 86e6, 17.5e9),
    ],
)
def test_as_big_and_as_costly_as_published(preset: str, parameters: float, multiply_adds: float) -> None:
    config = VIT_PRESETS[preset]
    with torch.device("meta"):
        model = Vit(config)
        images = torch.zeros(1, 3, config.height, config.width)
    assert count_parameters(model) == pytest.approx(parameters, rel=0.02)
    assert count_multiply_adds(model, images) == pytest.approx(multiply_adds, rel=0.02)


def test_the_distillation_token_keeps_its_position() -> None:
    model = Vit(SMALL.with_(is_distilled=True))
    larger = model.at_resolution(64, 64)
    assert larger.positions.shape == (1, 2 + 64, 24)
    assert torch.equal(larger.positions[:, :2], model.positions[:, :2])
    assert torch.equal(model.at_resolution(32, 32).positions, model.positions)


def test_every_patch_reaches_every_other_one() -> None:
    model = Vit(SMALL)
    images = noise().requires_grad_()
    model(images).sum().backward()
    assert images.grad is not None
    assert (images.grad.abs().sum(1) > 0).all()


def test_a_fixed_graph() -> None:
    model = Vit(SMALL.with_(is_distilled=True)).eval()
    program = torch.export.export(model, (noise(),))
    other = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(program.module()(other), model(other), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"height": 36}, "no multiple of the patch"), ({"num_heads": 5}, "5 heads"), ({"depth": 0}, "depth")],
)
def test_impossible_shapes_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SMALL.with_(**changes)


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(B, 3, 32, 32\)"):
        Vit(SMALL)(torch.zeros(1, 3, 32, 40))
