"""Fake quantization against integers by hand, and against what gradients must be."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from galago.models.conformer import Conformer, ConformerConfig
from galago.models.fake_quantization import (
    FakeQuantize,
    FakeQuantizePolicy,
    fake_quantize,
    insert_fake_quantization,
    learned_scales,
    load_plain_state,
    observe_ranges,
    plain_state,
    read_scales,
    stored_scales,
)
from galago.models.integers import Integers, PerChannel, PerGroup, PerTensor, Scales, quantized
from galago.models.normed import NormedConvolution, NormedLinear

EIGHT = Integers(8, symmetric=False)


def test_integers_of_each_kind() -> None:
    assert (Integers(8).lowest, Integers(8).highest) == (-127, 127)
    assert (Integers(7).lowest, Integers(7).highest) == (-63, 63)
    assert (EIGHT.lowest, EIGHT.highest) == (0, 255)
    with pytest.raises(ValueError, match="2 to 16 bits, got 1"):
        Integers(1)


def test_zero_has_an_integer_of_its_own() -> None:
    scales = EIGHT.scales(torch.tensor([-1.0, 0.5, -3.0]), torch.tensor([2.0, 4.0, -1.0]))
    torch.testing.assert_close(scales.scale, torch.tensor([3.0, 4.0, 3.0]) / 255)
    assert scales.zero_point.tolist() == [85.0, 0.0, 255.0]  # a range without 0 is widened to hold it
    zero = fake_quantize(torch.zeros(3, 2), scales, EIGHT, PerChannel(0))
    assert zero.abs().max() == 0.0


def test_a_tensor_of_zeros_is_no_trouble() -> None:
    nothing = torch.zeros(1)
    for integers in (Integers(8), EIGHT):
        found = fake_quantize(torch.zeros(4), integers.scales(nothing, nothing), integers, PerTensor())
        assert found.tolist() == [0.0] * 4


@pytest.mark.parametrize(
    ("granularity", "groups", "scale_shape"),
    [
        (PerTensor(), 1, (1, 1)),
        (PerChannel(0), 4, (4, 1)),
        (PerChannel(1), 6, (1, 6)),
        (PerGroup(3), 8, (4, 6)),
    ],
)
def test_what_shares_a_scale(
    granularity: PerTensor | PerChannel | PerGroup, groups: int, scale_shape: tuple[int, int]
) -> None:
    """The largest value of each group becomes the largest integer, whatever the other groups hold."""
    values = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    split = granularity.split(values)
    assert len(split) == groups
    scales = Integers(8).scales(split.amin(1), split.amax(1))
    assert granularity.spread(scales.scale, (4, 6)).shape == scale_shape
    found = granularity.split(quantized(values, scales, Integers(8), granularity))
    assert found.abs().amax(1).tolist() == [127.0] * groups
    error = fake_quantize(values, scales, Integers(8), granularity) - values
    assert (granularity.split(error).abs().amax(1) <= scales.scale / 2 + 1e-7).all()


def test_groups_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="6 values cannot be cut into groups of 4"):
        PerGroup(4).split(torch.zeros(4, 6))


def test_halves_go_to_even_and_what_is_outside_is_clamped() -> None:
    scales = Scales(torch.tensor([1.0]), torch.tensor([10.0]))
    values = torch.tensor([0.5, 1.5, 2.5, -10.6, 300.0])
    assert quantized(values, scales, EIGHT, PerTensor()).tolist() == [10.0, 12.0, 12.0, 0.0, 255.0]
    assert fake_quantize(values, scales, EIGHT, PerTensor()).tolist() == [0.0, 2.0, 2.0, -10.0, 245.0]


def test_the_gradient_goes_straight_through_where_nothing_is_clamped() -> None:
    values = torch.tensor([-20.0, -3.3, 0.0, 7.7, 250.0], requires_grad=True)
    scales = Scales(torch.tensor([1.0]), torch.tensor([10.0]))
    fake_quantize(values, scales, EIGHT, PerTensor()).sum().backward()  # type: ignore[no-untyped-call]
    assert values.grad is not None and values.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]


def test_the_gradient_of_a_step_size_is_that_of_the_paper() -> None:
    """Esser et al. 2020, equation 3: round(v/s) - v/s inside, the end of the integers outside."""
    values = torch.tensor([0.3, -1.2, 40.0, -40.0])
    scale = torch.tensor([0.5], requires_grad=True)
    integers = Integers(4)  # -7 to 7
    found = fake_quantize(values, Scales(scale, torch.zeros(1)), integers, PerTensor())
    (found * torch.tensor([1.0, 10.0, 100.0, 1000.0])).sum().backward()  # type: ignore[no-untyped-call]
    inside = torch.round(values[:2] / 0.5) - values[:2] / 0.5
    wanted = inside[0] + 10.0 * inside[1] + 100.0 * 7 - 1000.0 * 7
    assert scale.grad is not None
    torch.testing.assert_close(scale.grad[0], wanted)


def test_an_input_follows_the_average_of_its_extremes_and_rests_in_evaluation() -> None:
    module = FakeQuantize(EIGHT, learned=False, momentum=0.75).train()
    module.is_observing = True
    assert torch.equal(module(torch.tensor([-1.0, 3.0])), torch.tensor([-1.0, 3.0]))
    module(torch.tensor([-2.0, 7.0]))
    assert (float(module.low), float(module.high)) == (-1.25, 4.0)
    module.is_observing = False
    module.eval()(torch.tensor([-100.0, 100.0]))
    assert (float(module.low), float(module.high)) == (-1.25, 4.0)
    assert float(module(torch.tensor([100.0]))) == pytest.approx(4.0, abs=0.02)


class Net(nn.Module):
    """What there is to be exchanged: two readers of one tensor, a convolution, and the two with BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(8, 8), nn.Linear(8, 8)
        self.conv = nn.Conv1d(8, 8, 3, groups=8)
        self.normed = NormedLinear(8, 6)
        self.picture = NormedConvolution(1, 2, 3)
        self.out = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.left(x) + self.right(x)
        y = self.conv(nn.functional.pad(y, (0, 0, 2, 0)).transpose(1, 2)).transpose(1, 2)
        y = torch.relu(self.normed(y))
        y = self.picture(y[:, None]).sum(1)
        found: Tensor = self.out(y)
        return found


@pytest.fixture
def net() -> Net:
    torch.manual_seed(4)
    made = Net()
    for norm in (made.normed.norm, made.picture[1]):
        norm.running_mean.uniform_(-0.3, 0.3)  # type: ignore[operator]
        norm.running_var.uniform_(0.5, 1.5)  # type: ignore[operator]
    return made


def run(model: nn.Module) -> None:
    model(torch.zeros(1, 5, 8))


def test_in_place_of_each_layer_stands_one_with_the_same_state(net: Net) -> None:
    plain, before = copy.deepcopy(net), {k: v.clone() for k, v in net.state_dict().items()}
    order = insert_fake_quantization(net, FakeQuantizePolicy(ignored=("out",)), run)
    assert order == ["left", "right", "conv", "normed", "picture"]
    state = plain_state(net)
    assert state.keys() == before.keys()
    assert all(torch.equal(state[name], before[name]) for name in before)
    plain.load_state_dict(state)  # strict: nothing is missing, nothing left over
    x = torch.randn(2, 5, 8)
    # Nothing was seen yet: only the weights go through their integers.
    with torch.no_grad():
        difference = (net.eval()(x) - plain.eval()(x)).abs().max()
    assert 0.0 < difference < 0.1
    assert net.get_submodule("left.input_quantizer") is net.get_submodule("right.input_quantizer")


def test_training_moves_weights_and_learned_scales_and_leaves_batch_statistics(net: Net) -> None:
    insert_fake_quantization(net, FakeQuantizePolicy(learned=True), run)
    names = [name for name, _ in net.named_parameters()]
    assert sum(name.endswith("log_scale") for name in names) == 5  # left and right share theirs
    x, wanted = torch.randn(16, 5, 8), torch.randn(16, 5, 3)
    observe_ranges(net.train(), True)
    net(x)
    observe_ranges(net, False)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    losses = []
    for _ in range(30):
        loss = (net(x) - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.97 * losses[0]
    after = net.state_dict()
    for name in (
        "left.weight",
        "normed.linear.weight",
        "normed.norm.weight",
        "out.input_quantizer.log_scale",
    ):
        assert not torch.equal(after[name], before[name]), name
    for name in ("normed.norm.running_mean", "picture.1.running_var", "left.input_quantizer.low"):
        assert torch.equal(after[name], before[name]), name


def test_scales_survive_a_file_and_give_the_same_answers(net: Net) -> None:
    insert_fake_quantization(net, FakeQuantizePolicy(), run)
    net.train()(torch.randn(4, 5, 8))
    stored = stored_scales(net.eval())
    found, back = learned_scales(net), read_scales(stored)
    assert found.keys() == back.keys() == {"left", "right", "conv", "normed", "picture", "out"}
    for name, scales in found.items():
        assert torch.equal(back[name].input.scale, scales.input.scale)
        assert torch.equal(back[name].input.zero_point, scales.input.zero_point)
        assert torch.equal(back[name].weight.scale, scales.weight.scale)
        assert back[name].weight_integers == scales.weight_integers == Integers(7)
        assert back[name].input_integers == EIGHT
    assert found["left"].input == found["right"].input
    assert len(found["normed"].weight.scale) == 6
    assert stored_scales(nn.Linear(2, 2)) == {} and read_scales({"model": {}}) == {}


def test_a_plain_state_is_loaded_and_a_wrong_one_refused(net: Net) -> None:
    insert_fake_quantization(net, FakeQuantizePolicy(), run)
    net.train()(torch.randn(4, 5, 8))
    low = net.get_submodule("left.input_quantizer").low
    state = {name: torch.zeros_like(value) for name, value in plain_state(net).items()}
    load_plain_state(net, state)
    assert not net.left.weight.any() and low != 0.0
    with pytest.raises(RuntimeError, match=r"left\.weight"):
        load_plain_state(net, {**state, "left.weight": torch.zeros(2, 2)})
    with pytest.raises(RuntimeError, match=r"unknown"):
        load_plain_state(net, {**state, "unknown": torch.zeros(1)})


def test_policies_that_cannot_be_are_refused(net: Net) -> None:
    with pytest.raises(ValueError, match="no layer is left"):
        insert_fake_quantization(net, FakeQuantizePolicy(ignored=(".*",)), run)
    with pytest.raises(ValueError, match=r"'\(': "):
        insert_fake_quantization(net, FakeQuantizePolicy(ignored=("(",)), run)


def test_a_stream_hears_through_integers_what_a_whole_utterance_hears() -> None:
    """The same ranges serve ``forward`` and ``forward_chunk``."""
    torch.manual_seed(2)
    model = Conformer(ConformerConfig(width=16, num_blocks=1, phone_block=1, left_context_tokens=12))
    policy = FakeQuantizePolicy(ignored=(r".*\.position",))
    frames = torch.randn(1, 48, 80) * 3.0 - 6.0
    count = torch.tensor([48])
    insert_fake_quantization(model, policy, lambda net: net(frames, count))
    model.train()(frames, count)
    model.eval()
    with torch.no_grad():
        whole = torch.log_softmax(model(frames, count, chunk_tokens=4).token_logits, -1)
        states, rows = model.initial_states(), []
        for i in range(3):
            keep = torch.tensor([float(i > 0)])
            _, tokens, states = model.forward_chunk(frames[:, 16 * i : 16 * i + 16], keep, states)
            rows.append(tokens)
    # A value between two steps may fall to the other side: one step of many, now and then.
    torch.testing.assert_close(torch.cat(rows, 1), whole, atol=0.05, rtol=0.0)
    assert (torch.cat(rows, 1) - whole).abs().mean() < 2e-3
