"""Linear maps and convolutions with a BatchNorm behind them, which folds into their weights once trained."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

__all__ = ["NormedConvolution", "NormedLinear"]


class NormedLinear(nn.Module):
    """A linear map and a BatchNorm over its outputs: (..., in) -> (..., out)."""

    def __init__(self, num_in: int, num_out: int, *, gain: float = 1.0) -> None:
        super().__init__()
        self.linear = nn.Linear(num_in, num_out, bias=False)
        self.norm = nn.BatchNorm1d(num_out)
        nn.init.constant_(self.norm.weight, gain)

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x)
        normed: Tensor = self.norm(y.reshape(-1, y.shape[-1]))
        return normed.reshape(y.shape)

    def folded(self) -> nn.Linear:
        """One linear map that does the same in evaluation: W' = diag(g / s) W, b' = b - m g / s."""
        mean, variance = cast(Tensor, self.norm.running_mean), cast(Tensor, self.norm.running_var)
        scale = self.norm.weight / torch.sqrt(variance + self.norm.eps)
        plain = nn.Linear(self.linear.in_features, self.linear.out_features)
        with torch.no_grad():
            plain.weight.copy_(self.linear.weight * scale[:, None])
            plain.bias.copy_(self.norm.bias - mean * scale)
        return plain


class NormedConvolution(nn.Sequential):
    """A convolution with BatchNorm, "same" padding: (B, in, H, W) -> (B, out, H / stride, W / stride)."""

    def __init__(
        self, num_in: int, num_out: int, kernel: int, *, stride: int = 1, groups: int = 1, gain: float = 1.0
    ) -> None:
        convolution = nn.Conv2d(num_in, num_out, kernel, stride, kernel // 2, groups=groups, bias=False)
        norm = nn.BatchNorm2d(num_out)
        nn.init.constant_(norm.weight, gain)
        super().__init__(convolution, norm)
