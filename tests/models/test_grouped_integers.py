"""Four-bit weights in groups: what they can hold, and how they are trained."""

from __future__ import annotations

import pytest
import torch

from galago.models.grouped_integers import GROUP_INPUTS, HIGHEST, GroupLinear, grouped, rounded


def test_a_group_has_a_scale_of_its_own() -> None:
    torch.manual_seed(1)
    weight = torch.randn(6, 2 * GROUP_INPUTS) * torch.tensor([1.0, 100.0]).repeat_interleave(GROUP_INPUTS)
    integers, scales = grouped(weight)
    assert integers.dtype == torch.int8 and int(integers.abs().max()) == HIGHEST
    assert scales.shape == (6, 2) and float((scales[:, 1] / scales[:, 0]).min()) > 20
    assert torch.equal(scales, scales.bfloat16().float())
    error = (rounded(weight) - weight).abs().reshape(6, 2, -1).amax(-1)
    assert bool((error <= 0.52 * scales).all())  # half a step, and what the scale's own bits cost


def test_what_is_rounded_once_stays() -> None:
    torch.manual_seed(2)
    once = rounded(torch.randn(4, GROUP_INPUTS)).detach()
    assert float((rounded(once) - once).abs().max()) <= 1e-2 * float(once.abs().max())
    assert torch.equal(rounded(torch.zeros(4, GROUP_INPUTS)), torch.zeros(4, GROUP_INPUTS))


def test_a_map_learns_as_if_nothing_were_rounded() -> None:
    torch.manual_seed(3)
    linear, x = GroupLinear(GROUP_INPUTS, 3), torch.randn(5, GROUP_INPUTS)
    linear(x).sum().backward()
    assert linear.weight.grad is not None
    torch.testing.assert_close(linear.weight.grad, x.sum(0).expand(3, -1))
    answers = linear(x)
    linear.is_float = True
    assert not torch.equal(linear(x), answers)
    torch.testing.assert_close(linear(x), torch.nn.functional.linear(x, linear.weight, linear.bias))


def test_inputs_fill_whole_groups() -> None:
    with pytest.raises(ValueError, match="40 inputs are no multiple of 32"):
        grouped(torch.zeros(2, 40))
