"""What importers share: the tensors that they ask for by name, and what they hand over."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from galago.models.training.checkpoints import CheckpointError

__all__ = ["Imported", "TensorReader"]

_NAMED_AT_MOST = 20


@dataclass(frozen=True)
class Imported:
    """A network with published weights.

    Attributes:
        kind: the key of ``galago.models.checkpoint.NETWORKS``.
        network: in evaluation mode, in float32; its ``config`` rebuilds it.
        details: what else the folder says, as JSON values: tokens, labels, how inputs are prepared.
    """

    kind: str
    network: nn.Module
    details: Mapping[str, Any] = field(default_factory=dict)


class TensorReader:
    """Copies published tensors into a network and keeps account of them.

    Problems are gathered, so that :meth:`finish` names all of them at once.

    Args:
        tensors: by their published names.
        where: what messages begin with.
    """

    def __init__(self, tensors: Mapping[str, Tensor], where: str) -> None:
        self.where = where
        self._left = dict(tensors)
        self._missing: list[str] = []
        self._wrong: list[str] = []

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def take(self, name: str, shape: Sequence[int]) -> Tensor:
        """A tensor in float32 (whole numbers as they are); zeros where it is missing or of another shape."""
        tensor = self._left.pop(name, None)
        if tensor is None:
            self._missing.append(name)
        elif tuple(tensor.shape) != tuple(shape):
            self._wrong.append(f"{name} is {tuple(tensor.shape)}, not {tuple(shape)}")
        else:
            return tensor.float() if tensor.is_floating_point() else tensor
        return torch.zeros(tuple(shape))

    @torch.no_grad()
    def copy(self, name: str, into: Tensor) -> None:
        """Fill a parameter or a buffer."""
        into.copy_(self.take(name, into.shape))

    def module(self, name: str, module: nn.Module) -> None:
        """Fill a module's own parameters and buffers, which have the same names there: linear maps, norms."""
        for key, value in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            self.copy(f"{name}.{key}", value)

    def modules(self, prefix: str, pairs: Mapping[str, nn.Module]) -> None:
        """Fill several modules, by their names behind ``prefix``."""
        for name, module in pairs.items():
            self.module(f"{prefix}{name}", module)

    @torch.no_grad()
    def stacked(self, names: Sequence[str], module: nn.Module) -> None:
        """Fill a linear map with the rows of several, which stand apart there."""
        for key, value in module.named_parameters(recurse=False):
            part = (value.shape[0] // len(names), *value.shape[1:])
            value.copy_(torch.cat([self.take(f"{name}.{key}", part) for name in names]))

    @torch.no_grad()
    def weight_normed(self, name: str, module: nn.Conv1d, *, dim: int) -> None:
        """Fill a convolution whose weight stands there as length and direction (Salimans and Kingma 2016).

        Args:
            dim: the axis along which lengths differ.
        """
        length, direction = f"{name}.weight_g", f"{name}.weight_v"  # before torch 2's parametrizations
        if length not in self:
            length, direction = (f"{name}.parametrizations.weight.original{i}" for i in (0, 1))
        axes = [axis for axis in range(3) if axis != dim]
        shape = [size if axis == dim else 1 for axis, size in enumerate(module.weight.shape)]
        lengths, weight = self.take(length, shape), self.take(direction, module.weight.shape)
        norm = torch.linalg.vector_norm(weight, dim=axes, keepdim=True)
        module.weight.copy_(weight * (lengths / norm.clamp_min(torch.finfo(norm.dtype).tiny)))
        if module.bias is not None:
            self.copy(f"{name}.bias", module.bias)

    def leave(self, pattern: str) -> None:
        """Leave out what galago has no use for: names whose start the regular expression matches."""
        for name in [name for name in self._left if re.match(pattern, name)]:
            del self._left[name]

    def finish(self) -> None:
        """Check that everything was there and that nothing is left.

        Raises:
            CheckpointError: tensors that are missing, of another shape, or left over, by their names.
        """
        problems = []
        for what, names in (
            ("missing", self._missing),
            ("wrongly shaped", self._wrong),
            ("left over", sorted(self._left)),
        ):
            if names:
                more = f" and {len(names) - _NAMED_AT_MOST} more" if len(names) > _NAMED_AT_MOST else ""
                problems.append(f"{what}: {', '.join(names[:_NAMED_AT_MOST])}{more}")
        if problems:
            raise CheckpointError(f"{self.where}: {'; '.join(problems)}")
