"""A folded Swin whose linear maps are convolutions: the same answers, in the order that int8 engines keep.

Swin is written with channels last, (B, H, W, C), and linear maps; its depthwise convolutions want channels
first. An engine that is given that changes the order of the whole map twice in a block, cuts patch merging
out with four strided slices, and corrects the zero points of linear maps in a pass of its own. Here the map
stays (B, C, H, W) from the stem to the head::

    x ──┬── depthwise 3x3 ── + ──┬── 1x1 ── windows ── softmax(q k^T + B) v ── 1x1 ── + ──┬── 1x1 ── 1x1 ── +
        └────────────────────┘   └────────────────────────────────────────────────────┘   └─────────────────┘

    patch merging: a 2x2 convolution of stride 2; its kernel holds the four corners' columns

Biases, zero points, activations and the sums of the residual branches then go along with the convolutions.
Modules keep their names, so plans, reports and scales that training has found fit both forms.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from galago.models.swin import PatchMerging, Swin, SwinBlock, WindowAttention

__all__ = ["ConvolutionalSwin"]


class ConvolutionalSwin(nn.Module):
    """The network of a device preset for export: images (B, 3, height, width) -> logits (B, num_classes).

    Args:
        model: without BatchNorm (see :func:`galago.quantize.eye.export.folded`) and without LayerNorm, which
            wants its channels last. It is not changed, and shares its constants.

    Raises:
        ValueError: ``model`` has LayerNorms.
    """

    def __init__(self, model: Swin) -> None:
        super().__init__()
        if model.config.norm != "batch":
            raise ValueError(f"norm = {model.config.norm!r}: only BatchNorm folds into convolutions")
        self.embedding = nn.ModuleDict({"cut": model.embedding.cut})
        self.stages = nn.ModuleList(
            nn.Sequential(*(_Block(cast(SwinBlock, block)) for block in cast(nn.Sequential, stage)))
            for stage in model.stages
        )
        self.merging = nn.ModuleList(_Merging(cast(PatchMerging, merging)) for merging in model.merging)
        self.head = model.head

    def forward(self, images: Tensor) -> Tensor:
        x = self.embedding["cut"](images)
        for number, stage in enumerate(self.stages):
            x = self.merging[number - 1](x) if number else x
            x = stage(x)
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
        return logits


def _pointwise(linear: nn.Module) -> nn.Conv2d:
    linear = cast(nn.Linear, linear)
    convolution = nn.Conv2d(linear.in_features, linear.out_features, 1)
    with torch.no_grad():
        convolution.weight.copy_(linear.weight[:, :, None, None])
        convolution.bias.copy_(linear.bias)  # type: ignore[union-attr]
    return convolution


class _Attention(nn.Module):
    """:class:`~galago.models.swin.WindowAttention`, (B, C, H, W) -> (B, C, H, W)."""

    bias: Tensor

    def __init__(self, attention: WindowAttention) -> None:
        super().__init__()
        self.num_heads, self.head_width = attention.num_heads, attention.head_width
        self.resolution, self.side, self.shift = attention.resolution, attention.side, attention.shift
        self.scale = attention.scale
        self.query_key_value = _pointwise(attention.query_key_value)
        self.out = _pointwise(attention.out)
        self.register_buffer("bias", attention.bias().detach(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        (H, W), S, heads, D = self.resolution, self.side, self.num_heads, self.head_width
        down, across, T = H // S, W // S, S * S
        if self.shift:
            x = torch.roll(x, (-self.shift, -self.shift), (2, 3))
        # Engines keep an int8 map with its channels last, so that this permutation moves nothing.
        y = self.query_key_value(x).permute(0, 2, 3, 1)
        cells = y.reshape(-1, down, S, across, S, 3, heads, D).permute(5, 0, 1, 3, 6, 2, 4, 7)
        query, key, value = cells.reshape(3, -1, down * across, heads, T, D)
        scores = (query * self.scale) @ key.transpose(-2, -1) + self.bias
        mixed = torch.softmax(scores, dim=-1) @ value  # (B, N, heads, T, D)
        cells = mixed.reshape(-1, down, across, heads, S, S, D).permute(0, 1, 4, 2, 5, 3, 6)
        z: Tensor = self.out(cells.reshape(-1, H, W, heads * D).permute(0, 3, 1, 2))
        return torch.roll(z, (self.shift, self.shift), (2, 3)) if self.shift else z


class _Block(nn.Module):
    """:class:`~galago.models.swin.SwinBlock`, (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, block: SwinBlock) -> None:
        super().__init__()
        self.local = block.local
        self.attention = _Attention(block.attention)
        self.expand, self.project = _pointwise(block.expand), _pointwise(block.project)
        self.activation = block.activation

    def forward(self, x: Tensor) -> Tensor:
        if self.local is not None:
            x = x + self.local(x)
        x = x + self.attention(x)
        return x + self.project(self.activation(self.expand(x)))  # type: ignore[no-any-return]


class _Merging(nn.Module):
    """:class:`~galago.models.swin.PatchMerging`, (B, C, H, W) -> (B, C of the next stage, H / 2, W / 2)."""

    def __init__(self, merging: PatchMerging) -> None:
        super().__init__()
        linear = cast(nn.Linear, merging.reduction)
        channels = linear.in_features // 4
        self.reduction = nn.Conv2d(channels, linear.out_features, 2, stride=2)
        with torch.no_grad():
            corners = linear.weight.reshape(-1, 4, channels)  # down before across, as PatchMerging lays them
            kernel = corners.reshape(-1, 2, 2, channels).permute(0, 3, 2, 1)  # (out, in, down, across)
            self.reduction.weight.copy_(kernel)
            self.reduction.bias.copy_(linear.bias)  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.reduction(x)
        return y
