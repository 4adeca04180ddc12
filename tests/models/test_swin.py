"""The eye's network: published sizes, windows that see what they should."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from galago.models.flops import count_multiply_adds, count_parameters
from galago.models.normed import NormedLinear
from galago.models.swin import SWIN_PRESETS, Swin, SwinConfig, WindowAttention
from galago.models.windows import join_windows, relative_position_index, shift_bias, split_windows

SMALL = SwinConfig(
    height=32, width=32, num_classes=5, window=4, widths=(8, 16), depths=(2, 2), num_heads=(2, 4)
)


def swin(**changes: Any) -> Swin:
    torch.manual_seed(3)
    model = Swin(SMALL.with_(**changes)).eval()
    for parameter in model.parameters():  # some begin at zero: nothing may hide there
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return model


def noise(config: SwinConfig, batch: int = 1) -> Tensor:
    return torch.randn(batch, 3, config.height, config.width, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize(
    ("preset", "parameters", "multiply_adds"),
    [
        # The paper's table 7 prints 29 M for T; the weights that its authors published hold 28.3 M.
        ("t", 28.3e6, 4.5e9),
        ("s", 50e6, 8.7e9),
        ("b", 88e6, 15.4e9),
        ("b-384", 88e6, 47.0e9),
        ("l-384", 197e6, 103.9e9),
        ("device-3m", 3.36e6, None),
        ("device-8m", 8.25e6, None),
        ("mobile-3m", 3.1e6, None),
    ],
)
def test_as_big_and_as_costly_as_published(
    preset: str, parameters: float, multiply_adds: float | None
) -> None:
    config = SWIN_PRESETS[preset]
    with torch.device("meta"):
        model = Swin(config).eval()
        images = torch.zeros(1, 3, config.height, config.width)
    assert count_parameters(model) == pytest.approx(parameters, rel=0.02)
    if multiply_adds is not None:
        assert count_multiply_adds(model, images) == pytest.approx(multiply_adds, rel=0.02)


def test_multiply_adds_of_attention_grow_with_the_area() -> None:
    def cost(side: int) -> int:
        with torch.device("meta"):
            model = Swin(SMALL.with_(height=side, width=side)).eval()
            return count_multiply_adds(model, torch.zeros(1, 3, side, side))

    head = SMALL.widths[-1] * SMALL.num_classes  # once an image
    assert cost(128) - head == 4 * (cost(64) - head)


def test_windows_are_cut_row_by_row_and_joined_again() -> None:
    x = torch.arange(4 * 6, dtype=torch.float32).reshape(1, 4, 6, 1)
    windows = split_windows(x, 2)
    assert windows[:3, :, 0].tolist() == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]
    assert torch.equal(join_windows(windows, 4, 6), x)


def test_a_bias_row_belongs_to_an_offset() -> None:
    assert relative_position_index(2).tolist() == [[4, 3, 1, 0], [5, 4, 2, 1], [7, 6, 4, 3], [8, 7, 5, 4]]


def test_the_mask_keeps_opposite_edges_apart() -> None:
    """The picture in the docstring: windows of the rolled map, and who may look at whom."""
    bias = shift_bias(4, 4, 2, 1)
    assert bias.shape == (4, 4, 4)
    seen = bias == 0.0
    assert seen[0].all()  # f g j k: neighbours
    assert seen[1].tolist() == [[True, False] * 2, [False, True] * 2] * 2  # h | e over l | i
    assert seen[2].tolist() == [[True, True, False, False]] * 2 + [[False, False, True, True]] * 2
    assert torch.equal(seen[3], torch.eye(4, dtype=torch.bool))  # four corners of the image


def reach(attention: WindowAttention, row: int, column: int) -> set[tuple[int, int]]:
    """The tokens that the output at (row, column) depends on."""
    H, W = attention.resolution
    x = torch.randn(1, H, W, attention.out.in_features, requires_grad=True)  # type: ignore[call-overload]
    attention(x)[0, row, column].sum().backward()
    assert x.grad is not None
    return {(int(r), int(c)) for r, c in (x.grad[0].abs().sum(-1) > 0).nonzero()}


def attention_of(shift: int) -> WindowAttention:
    torch.manual_seed(0)
    attention = WindowAttention(SMALL, 8, 2, (8, 8), 4, shift)
    torch.nn.init.normal_(attention.out.weight)  # type: ignore[arg-type]
    return attention


def square(top: int, left: int, height: int, width: int) -> set[tuple[int, int]]:
    return {(r, c) for r in range(top, top + height) for c in range(left, left + width)}


def test_attention_reaches_its_window_and_no_further() -> None:
    assert reach(attention_of(0), 1, 6) == square(0, 4, 4, 4)


def test_shifted_attention_crosses_the_borders_of_windows_but_not_of_the_image() -> None:
    shifted = attention_of(2)
    assert reach(shifted, 3, 4) == square(2, 2, 4, 4)
    assert reach(shifted, 0, 0) == square(0, 0, 2, 2)  # without the mask: all four corners
    assert reach(shifted, 3, 7) == square(2, 6, 4, 2)


def test_without_the_mask_the_image_would_wrap_around() -> None:
    """What the test above would miss if it could not fail."""
    bare = attention_of(2)
    bare.shift_bias = torch.zeros_like(bare.shift_bias)  # type: ignore[arg-type]
    corners = square(0, 0, 2, 2) | square(0, 6, 2, 2) | square(6, 0, 2, 2) | square(6, 6, 2, 2)
    assert reach(bare, 0, 0) == corners


def test_only_every_second_block_is_shifted_and_a_single_window_never() -> None:
    model = Swin(SMALL.with_(depths=(4, 2), window=4, height=32, width=32))
    attentions = [module for module in model.modules() if isinstance(module, WindowAttention)]
    assert [attention.shift for attention in attentions] == [0, 2, 0, 2, 0, 0]


def test_maps_of_the_stages_halve_and_widen() -> None:
    model = swin()
    assert [tuple(x.shape) for x in model.features(noise(SMALL))] == [(1, 8, 8, 8), (1, 16, 4, 4)]


@pytest.mark.parametrize("activation", ["hard_swish", "relu"])
def test_a_device_network_learns_and_folds(activation: str) -> None:
    config = SMALL.with_(norm="batch", stem="conv", local_kernel=3, activation=activation, drop_path=0.1)
    torch.manual_seed(0)
    model = Swin(config)
    images, labels = noise(config, batch=8), torch.arange(8) % 5
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    first = last = 0.0
    for step in range(12):
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        last = loss.item()
        first = last if step == 0 else first
    assert last < 0.5 * first
    model.eval()
    with torch.no_grad():
        expected = model(images)
        for module in list(model.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, NormedLinear):
                    setattr(module, name, child.folded())
        assert not any(isinstance(module, torch.nn.BatchNorm1d) for module in model.modules())
        torch.testing.assert_close(model(images), expected, atol=1e-4, rtol=1e-4)


def test_the_cut_network_has_one_fixed_graph() -> None:
    """Exported, it gives the same numbers: nothing in it depends on the values of its input."""
    model = swin(norm="batch", stem="conv", local_kernel=3, activation="hard_swish")
    program = torch.export.export(model, (noise(SMALL),))
    other = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(program.module()(other), model(other), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"height": 36}, "no multiple of 8"),
        ({"height": 48, "width": 40}, "10x12 tokens cannot be cut into windows of 4"),
        ({"num_heads": (3, 4)}, "width 8, depth 2 and 3 heads"),
        ({"depths": (2,)}, "same number of stages"),
        ({"norm": "group"}, "layer, batch, got 'group'"),
        ({"stem": "conv", "patch": 8}, "needs patch 4"),
        ({"stem": "mobile"}, "a mobile stem needs patch 16, got 4"),
        ({"drop_path": 1.0}, "drop_path"),
        ({"local_kernel": 2}, "0 or odd"),
    ],
)
def test_impossible_shapes_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SMALL.with_(**changes)


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(B, 3, 32, 32\), got \(1, 3, 32, 40\)"):
        swin()(torch.zeros(1, 3, 32, 40))
