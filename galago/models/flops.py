"""Multiply-adds of a network, counted from the operations that it really runs.

Papers on vision call one multiply-add one FLOP; so does :func:`count_multiply_adds`. It counts matrix
products and convolutions, those of attention included, and nothing that costs one operation an element
(norms, activations, softmax, additions). A network on the "meta" device is counted without being computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["count_multiply_adds", "count_parameters"]


def _product(left: Tensor, right: Tensor) -> int:
    """(..., M, K) @ (..., K, N)."""
    return left.numel() * right.shape[-1]


def _convolution(images: Tensor, weight: Tensor, out: Tensor) -> int:
    """Each value of the output is a sum over the kernel and the input channels of its group."""
    return out.numel() * weight[0].numel()


_COUNTED: dict[Any, Callable[[tuple[Any, ...], Tensor], int]] = {
    torch.ops.aten.mm.default: lambda args, out: _product(args[0], args[1]),
    torch.ops.aten.bmm.default: lambda args, out: _product(args[0], args[1]),
    torch.ops.aten.addmm.default: lambda args, out: _product(args[1], args[2]),
    torch.ops.aten.baddbmm.default: lambda args, out: _product(args[1], args[2]),
    torch.ops.aten.convolution.default: lambda args, out: _convolution(args[0], args[1], out),
}


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own gap
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total: int = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in _COUNTED:
            self.total += _COUNTED[func](args, out)
        return out


@torch.no_grad()
def count_multiply_adds(model: nn.Module, *inputs: Tensor) -> int:
    """Multiply-adds of ``model(*inputs)``, which are on the device of the model."""
    with _Counter() as counter:
        model(*inputs)
    total: int = counter.total
    return total


def count_parameters(model: nn.Module) -> int:
    """Numbers that training changes."""
    return sum(parameter.numel() for parameter in model.parameters())
