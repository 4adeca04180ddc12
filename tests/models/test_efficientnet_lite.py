"""EfficientNet-Lite: its published sizes, what a block does, and what cannot be."""

from __future__ import annotations

import pytest
import torch

from galago.models.efficientnet_lite import (
    EFFICIENTNET_LITE_PRESETS,
    EfficientNetLite,
    EfficientNetLiteConfig,
    InvertedResidual,
    mobile_stages,
    stage_width,
)
from galago.models.flops import count_parameters


@pytest.mark.parametrize(("number", "millions"), [(0, 4.7), (1, 5.4), (2, 6.1), (3, 8.2), (4, 13.0)])
def test_as_big_as_published(number: int, millions: float) -> None:
    with torch.device("meta"):
        network = EfficientNetLite(EFFICIENTNET_LITE_PRESETS[f"efficientnet-lite{number}"])
    assert count_parameters(network) / 1e6 == pytest.approx(millions, abs=0.06)


def test_widths_are_multiples_of_8_that_lose_at_most_a_tenth() -> None:
    assert [stage_width(i) for i in range(7)] == [16, 24, 40, 80, 112, 192, 320]
    assert [stage_width(i, 1.1) for i in range(7)] == [16, 24, 48, 88, 120, 208, 352]
    assert stage_width(0, 0.7) == 16  # 11.2: 8 would lose more


def test_maps_shrink_by_16_behind_five_stages_and_by_32_behind_all() -> None:
    images = torch.zeros(2, 3, 64, 96)
    assert mobile_stages(5)(images).shape == (2, 112, 4, 6)
    assert mobile_stages(7)(images).shape == (2, 320, 2, 3)
    with pytest.raises(ValueError, match="num_stages must be 1 to 7, got 8"):
        mobile_stages(8)


def test_a_block_is_added_to_its_input_only_where_shapes_agree() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 8, 6, 6)
    for num_out, stride, is_residual in ((8, 1, True), (8, 2, False), (16, 1, False)):
        block = InvertedResidual(8, num_out, 3, stride, 6).eval()
        torch.nn.init.zeros_(block.project[1].weight)  # type: ignore[arg-type]
        y = block(x)
        assert torch.equal(y, x if is_residual else torch.zeros(2, num_out, 6 // stride, 6 // stride))


@torch.no_grad()
def test_any_number_of_images_gets_its_own_scores() -> None:
    config = EfficientNetLiteConfig(height=32, width=32, num_classes=5)
    network = EfficientNetLite(config).eval()
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    scores = network(images)
    assert scores.shape == (3, 5)
    torch.testing.assert_close(network(images[1:2])[0], scores[1], atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match=r"expected images \(B, 3, H, W\), got \(3, 1, 32, 32\)"):
        network(images[:, :1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"height": 40}, "224x40 pixels are no multiple of 32"),
        ({"width_factor": 0.0}, "width_factor must be positive, got 0.0"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"num_classes": 0}, "num_classes must be at least 1, got 0"),
    ],
)
def test_shapes_that_cannot_be_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EfficientNetLiteConfig(**changes)  # type: ignore[arg-type]
