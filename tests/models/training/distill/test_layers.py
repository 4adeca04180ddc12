"""Layer maps, taps and projections."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from galago.models.swin import Swin, SwinConfig
from galago.models.training.distill.layers import Projections, block_names, layer_pairs, spread, tapped
from galago.models.training.toml_tables import RecipeError
from galago.models.vit import Vit, VitConfig


@pytest.mark.parametrize(
    ("chosen", "layers", "expected"),
    [(3, 12, (4, 8, 12)), (1, 5, (5,)), (5, 5, (1, 2, 3, 4, 5)), (2, 7, (4, 7)), (5, 8, (2, 4, 5, 7, 8))],
)
def test_layers_are_spread_evenly_up_to_the_last(chosen: int, layers: int, expected: tuple[int, ...]) -> None:
    assert spread(chosen, layers) == expected


@pytest.mark.parametrize("chosen", [0, 6])
def test_more_layers_than_there_are_cannot_be_chosen(chosen: int) -> None:
    with pytest.raises(ValueError, match=f"cannot choose {chosen} of 5 layers"):
        spread(chosen, 5)


def test_without_a_map_each_block_looks_at_the_same_height() -> None:
    assert layer_pairs((), 3, 6, "x") == ((1, 2), (2, 4), (3, 6))
    assert layer_pairs((), 4, 2, "x") == ((1, 1), (2, 1), (3, 2), (4, 2))


def test_a_map_is_taken_as_it_is_or_refused_with_its_place() -> None:
    assert layer_pairs([[2, 5], [1, 5]], 2, 6, "x") == ((2, 5), (1, 5))
    for pairs, message in (
        ([[0, 1]], "mine.layer_map: the student has blocks 1 to 2, and no block 0"),
        ([[1, 7]], "mine.layer_map: the teacher has blocks 1 to 6, and no block 7"),
        ([[1, 1], [1, 2]], "mine.layer_map: block 1 of the student stands twice"),
    ):
        with pytest.raises(RecipeError, match=message):
            layer_pairs(pairs, 2, 6, "mine.layer_map")


def test_taps_see_the_last_run_and_leave_no_hook() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU(), nn.Linear(3, 1)))
    x = torch.randn(4, 2)
    with tapped(network, ["0", "1.0"]) as found:
        y = network(x)
    torch.testing.assert_close(found["0"], network[0](x))
    torch.testing.assert_close(found["1.0"], network[0](x).relu())
    assert found["0"].requires_grad and torch.equal(network(x), y)
    before = dict(found)
    network(2 * x)
    assert all(torch.equal(before[name], found[name]) for name in before)
    assert not copy.deepcopy(network)[0]._forward_hooks
    with pytest.raises(AttributeError), tapped(network, ["2"]):
        raise AssertionError("there is no such module")


def test_projections_draw_nothing_from_the_students_numbers() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    maps = Projections([(4, 6), (4, 2)])
    assert torch.equal(torch.rand(3), expected)
    assert [tuple(y.shape) for y in maps([torch.ones(2, 4), torch.ones(2, 3, 4)])] == [(2, 6), (2, 3, 2)]
    same = Projections([(4, 6), (4, 2)]).state_dict()
    assert all(torch.equal(value, same[name]) for name, value in maps.state_dict().items())


def test_blocks_are_counted_through_the_stages() -> None:
    swin = SwinConfig(height=16, width=16, widths=(4, 8), depths=(1, 2), num_heads=(1, 1), window=2)
    assert block_names(Swin(swin)) == ["stages.0.0", "stages.1.0", "stages.1.1"]
    vit = VitConfig(height=8, width=8, patch=4, channels=4, depth=2, num_heads=1)
    assert block_names(Vit(vit)) == ["blocks.0", "blocks.1"]
    with pytest.raises(AttributeError):
        block_names(nn.Linear(1, 1))
