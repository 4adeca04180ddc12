"""Networks that are trained with the errors that integers will make (quantization-aware training, QAT).

A layer's weights and its input go through their integers and back, in the forward pass; in the backward pass
rounding is taken for the identity (straight-through estimator, Bengio et al. 2013), and what was clamped has
no gradient::

    x ──► fake quantize ──►┐
                           ├──► linear map or convolution ──► y       (float, as everything between layers)
    W ──► fake quantize ──►┘

Weights have a scale for each output channel, found anew from the weights in each step. The scale of an input
is a moving average of the extremes of its batches (Jacob et al. 2018, section 3.1), or it is learned by
gradient descent beside the weights (LSQ: Esser et al. 2020, "Learned Step Size Quantization").

Each layer is exchanged for one that has the same parameters under the same names: without what
:func:`learned_scales` takes out, the state of the network is that of a plain one. BatchNorm behind a linear
map or a convolution is folded into the weights before they are quantized, as the exported graph has it, and
its running statistics stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.integers import Granularity, Integers, PerChannel, PerTensor, Scales, quantized
from galago.models.normed import NormedConvolution, NormedLinear

__all__ = [
    "FakeQuantize",
    "FakeQuantizePolicy",
    "LearnedScales",
    "fake_quantize",
    "insert_fake_quantization",
    "learned_scales",
    "load_plain_state",
    "observe_ranges",
    "plain_state",
    "read_scales",
    "stored_scales",
]

_INPUT, _WEIGHT = "input_quantizer", "weight_quantizer"


def fake_quantize(values: Tensor, scales: Scales, integers: Integers, granularity: Granularity) -> Tensor:
    """``values`` through their integers and back; the gradient passes where nothing was clamped."""
    scale, zero_point = (granularity.spread(each, tuple(values.shape)) for each in scales)
    clamped = (values / scale + zero_point).clamp(integers.lowest, integers.highest)
    rounded = clamped + (quantized(values, scales, integers, granularity) - clamped).detach()
    return (rounded - zero_point) * scale


@dataclass(frozen=True)
class FakeQuantizePolicy:
    """What of a network is fake-quantized, and how.

    Attributes:
        ignored: regular expressions; modules whose whole name one of them matches stay in float.
        weights, inputs: their integers.
        learned: whether the inputs' scales are learned (LSQ), or averages of their batches' extremes.
        momentum: of that average: how much of the old one each batch leaves.
    """

    ignored: tuple[str, ...] = ()
    weights: Integers = Integers(bits=7)
    inputs: Integers = Integers(symmetric=False)
    learned: bool = False
    momentum: float = 0.99


class FakeQuantize(nn.Module):
    """A layer's input through its integers and back, with one scale that follows what it sees.

    While ``is_observing``, values pass unchanged, and their range is followed. In evaluation nothing is
    followed. Before any values were seen they pass unchanged, too.

    Attributes:
        low, high: () the range by now. ``high`` is 0 and ``low`` is 0 at first.
        log_scale: () natural logarithm of the learned scale; None where it is not learned. The logarithm
            keeps it positive, and one learning rate serves large and small ranges.
    """

    low: Tensor
    high: Tensor
    num_seen: Tensor

    def __init__(self, integers: Integers, *, learned: bool, momentum: float) -> None:
        super().__init__()
        self.integers, self.momentum = integers, momentum
        self.is_observing = False
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))
        self.register_buffer("num_seen", torch.zeros((), dtype=torch.int64))
        self.log_scale = nn.Parameter(torch.zeros(())) if learned else None

    @torch.no_grad()
    def _observe(self, values: Tensor) -> None:
        low, high = torch.aminmax(values.float())
        first = self.num_seen == 0
        self.low.copy_(torch.where(first, low, torch.lerp(low, self.low, self.momentum)))
        self.high.copy_(torch.where(first, high, torch.lerp(high, self.high, self.momentum)))
        self.num_seen += 1
        if self.log_scale is not None:  # learning begins with what was observed
            self.log_scale.copy_(self.integers.scales(self.low, self.high).scale.log())

    def scales(self) -> Scales:
        """What is used by now, (1,) each."""
        found = self.integers.scales(self.low[None], self.high[None])
        return found if self.log_scale is None else Scales(self.log_scale.exp()[None], found.zero_point)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and (self.is_observing or self.log_scale is None):
            self._observe(x)
        if self.is_observing or int(self.num_seen) == 0:
            return x
        scales = self.scales()
        if self.log_scale is None:
            return fake_quantize(x.float(), scales, self.integers, PerTensor()).to(x.dtype)
        # LSQ scales the gradient of a step size down by sqrt(number of values * highest integer).
        slow = 1.0 / (x.numel() * self.integers.highest) ** 0.5
        log_scale = self.log_scale * slow + (self.log_scale * (1.0 - slow)).detach()
        scales = Scales(log_scale.exp()[None], scales.zero_point)
        return fake_quantize(x.float(), scales, self.integers, PerTensor()).to(x.dtype)


class _WeightQuantizer(nn.Module):
    """Weights (out, ...) with a scale for each output channel, from their own largest value."""

    def __init__(self, integers: Integers) -> None:
        super().__init__()
        self.integers = integers

    def scales(self, weight: Tensor) -> Scales:
        low, high = torch.aminmax(PerChannel(0).split(weight.detach().float()), dim=1)
        return self.integers.scales(low, high)

    def forward(self, weight: Tensor) -> Tensor:
        return fake_quantize(weight, self.scales(weight), self.integers, PerChannel(0))


def _folded(weight: Tensor, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weights and bias of a linear map without bias and the BatchNorm behind it, in evaluation."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return weight * PerChannel(0).spread(scale, tuple(weight.shape)), norm.bias - norm.running_mean * scale


class _Quantized:
    """What the layers below have beside those that they take the place of."""

    input_quantizer: FakeQuantize
    weight_quantizer: _WeightQuantizer

    def folded_weight(self) -> Tensor:
        """The weights (out, ...) that are quantized."""
        raise NotImplementedError


class _Plain(_Quantized):
    weight: Tensor

    def folded_weight(self) -> Tensor:
        return self.weight


class _Linear(_Plain, nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return F.linear(self.input_quantizer(x), self.weight_quantizer(self.weight), self.bias)


class _Conv1d(_Plain, nn.Conv1d):
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self._conv_forward(self.input_quantizer(x), self.weight_quantizer(self.weight), self.bias)
        return y


class _Conv2d(_Plain, nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self._conv_forward(self.input_quantizer(x), self.weight_quantizer(self.weight), self.bias)
        return y


class _NormedLinear(_Quantized, NormedLinear):
    def folded_weight(self) -> Tensor:
        return _folded(self.linear.weight, self.norm)[0]

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = _folded(self.linear.weight, self.norm)
        return F.linear(self.input_quantizer(x), self.weight_quantizer(weight), bias)


class _NormedConvolution(_Quantized, NormedConvolution):
    def _parts(self) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
        convolution, norm = self[0], self[1]
        assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        return convolution, norm

    def folded_weight(self) -> Tensor:
        convolution, norm = self._parts()
        return _folded(convolution.weight, norm)[0]

    def forward(self, x: Tensor) -> Tensor:
        convolution, norm = self._parts()
        weight, bias = _folded(convolution.weight, norm)
        y: Tensor = convolution._conv_forward(self.input_quantizer(x), self.weight_quantizer(weight), bias)
        return y


#: What is exchanged, and for what. A layer inside one of the first two is no layer of its own.
_QUANTIZED: dict[type[nn.Module], type[nn.Module]] = {
    NormedLinear: _NormedLinear,
    NormedConvolution: _NormedConvolution,
    nn.Linear: _Linear,
    nn.Conv1d: _Conv1d,
    nn.Conv2d: _Conv2d,
}


def _layers(model: nn.Module) -> dict[str, nn.Module]:
    """The layers that can be exchanged, by name, in the order of the modules."""
    found: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        owner = name.rpartition(".")[0]
        if type(module) in _QUANTIZED and owner not in found:
            found[name] = module
    return found


def insert_fake_quantization(
    model: nn.Module, policy: FakeQuantizePolicy, run: Callable[[nn.Module], Any]
) -> list[str]:
    """Exchange the layers of ``model``, in place, for ones that go through integers.

    Layers that are given the very same tensor (query, key and value of an attention) share one scale for it,
    as the graph has one quantized tensor there.

    Args:
        run: runs the network once, on any input, in evaluation mode: so it is seen who is given what.

    Returns:
        the names of the layers, in the order in which they run.

    Raises:
        ValueError: a pattern of the policy is no regular expression, or no layer is left.
    """
    patterns = []
    for pattern in policy.ignored:
        try:
            patterns.append(re.compile(pattern))
        except re.error as error:
            raise ValueError(f"{pattern!r}: {error}") from error
    chosen = {n: m for n, m in _layers(model).items() if not any(p.fullmatch(n) for p in patterns)}
    if not chosen:
        raise ValueError("no layer is left to be quantized")
    replaced = {name: _exchanged(model, name, module, policy) for name, module in chosen.items()}
    return _share_inputs(model, replaced, run)


def _exchanged(model: nn.Module, name: str, module: nn.Module, policy: FakeQuantizePolicy) -> nn.Module:
    """Put the quantized twin of ``module`` in its place; parameters, buffers and settings are the same."""
    twin = object.__new__(_QUANTIZED[type(module)])
    twin.__dict__.update(module.__dict__)
    # The dictionaries of children must be the twin's own: it has two more.
    twin.__dict__["_modules"] = dict(module._modules)
    twin.add_module(_INPUT, FakeQuantize(policy.inputs, learned=policy.learned, momentum=policy.momentum))
    twin.add_module(_WEIGHT, _WeightQuantizer(policy.weights))
    device = next(module.parameters()).device
    twin.to(device)
    model.set_submodule(name, twin)
    return twin


def _share_inputs(
    model: nn.Module, layers: Mapping[str, nn.Module], run: Callable[[nn.Module], Any]
) -> list[str]:
    seen: dict[int, tuple[Tensor, nn.Module]] = {}  # the tensor is kept: its id cannot be given again
    order: list[str] = []

    def note(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            (x,) = inputs
            if name not in order:
                order.append(name)
                _, quantizer = seen.setdefault(id(x), (x, module.get_submodule(_INPUT)))
                setattr(module, _INPUT, quantizer)

        return hook

    handles = [module.register_forward_pre_hook(note(name)) for name, module in layers.items()]
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            run(model)
    finally:
        for handle in handles:
            handle.remove()
        model.train(was_training)
    return order


def observe_ranges(model: nn.Module, is_observing: bool) -> None:
    """Let values pass unchanged while their ranges are followed, or quantize them."""
    for module in model.modules():
        if isinstance(module, FakeQuantize):
            module.is_observing = is_observing


def plain_state(model: nn.Module) -> dict[str, Tensor]:
    """The state of the network as it was before layers were exchanged."""
    state = model.state_dict()
    return {k: v for k, v in state.items() if not {_INPUT, _WEIGHT} & set(k.split("."))}


def load_plain_state(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load the state of a plain network; ranges stay as they are.

    Raises:
        RuntimeError: a tensor is missing, left over, or of another shape.
    """
    plain = plain_state(model)
    own = {k: v for k, v in model.state_dict().items() if k not in plain}
    model.load_state_dict({**own, **state})


@dataclass(frozen=True)
class LearnedScales:
    """What training has found for one layer: of its input (1,) each, of its weights (out,) each."""

    input: Scales
    weight: Scales
    input_integers: Integers
    weight_integers: Integers


def learned_scales(model: nn.Module) -> dict[str, LearnedScales]:
    """The scales of every fake-quantized layer that has seen values, by the name of the module."""
    found = {}
    for name, module in model.named_modules():
        if not isinstance(module, _Quantized) or int(module.input_quantizer.num_seen) == 0:
            continue
        inputs, weights = module.input_quantizer, module.weight_quantizer
        with torch.no_grad():
            found[name] = LearnedScales(
                Scales(*(each.detach().cpu() for each in inputs.scales())),
                Scales(*(each.cpu() for each in weights.scales(module.folded_weight()))),
                inputs.integers,
                weights.integers,
            )
    return found


def stored_scales(model: nn.Module) -> dict[str, Any]:
    """:func:`learned_scales` as what stands in a ``model.pt`` beside the plain state; nothing of a plain
    network."""
    layers = {
        name: {
            "input_scale": found.input.scale,
            "input_zero_point": found.input.zero_point,
            "input_bits": found.input_integers.bits,
            "input_symmetric": found.input_integers.symmetric,
            "weight_scale": found.weight.scale,
            "weight_bits": found.weight_integers.bits,
        }
        for name, found in learned_scales(model).items()
    }
    return {"quantization": layers} if layers else {}


def read_scales(stored: Mapping[str, Any]) -> dict[str, LearnedScales]:
    """Undo :func:`stored_scales` of a loaded ``model.pt``; empty where the network was trained in float.

    Raises:
        KeyError: an entry is incomplete.
        TypeError, ValueError: an entry is of another kind, or out of range.
    """
    return {
        name: LearnedScales(
            Scales(layer["input_scale"].float(), layer["input_zero_point"].float()),
            Scales(layer["weight_scale"].float(), torch.zeros_like(layer["weight_scale"])),
            Integers(layer["input_bits"], layer["input_symmetric"]),
            Integers(layer["weight_bits"]),
        )
        for name, layer in stored.get("quantization", {}).items()
    }
