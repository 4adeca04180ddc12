"""The eye: Swin Transformer (Liu et al. 2021, "Hierarchical Vision Transformer using Shifted Windows").

Attention looks only inside windows of S x S tokens, so its cost grows with the area of the image and not with
the area's square. Every second block shifts the windows by S/2, so that what was a border becomes the
middle::

    block 0: windows        block 1: shifted by S/2    done as: roll up and left, plain windows,
    +-------+-------+       +---+-------+---+          attention under a mask, roll back
    |       |       |       |   |       |   |
    |       |       |       +---+-------+---+          +-------+-------+   A..D came from opposite
    +-------+-------+  ->   |   |       |   |    ->    |       |   | A |   edges of the image: the mask
    |       |       |       |   |       |   |          +-------+-------+   (``windows.shift_bias``)
    |       |       |       +---+-------+---+          | - - - | - + - |   keeps them from seeing what
    +-------+-------+       |   |       |   |          |   B   | C | D |   they now stand beside
                            +---+-------+---+          +-------+-------+

Between stages, *patch merging* halves height and width and doubles the channels: four neighbours are laid
side by side (4C) and projected (2C). Positions enter as a learned bias for each offset inside a window.

The device presets differ from the published ones where a small int8 network on little data wants it: a
convolutional stem and a 3x3 depthwise convolution in each block (nearness need not be learned from the
data), BatchNorm behind each linear map instead of LayerNorm before it (as in LeViT, Graham et al. 2021; it
folds into the weights, see :meth:`NormedLinear.folded`) and hard-swish or ReLU instead of GELU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from galago.models.efficientnet_lite import mobile_stages, stage_width
from galago.models.network_config import NetworkConfig
from galago.models.normed import NormedConvolution, NormedLinear
from galago.models.windows import join_windows, relative_position_index, shift_bias, split_windows

__all__ = ["SWIN_PRESETS", "Swin", "SwinConfig", "WindowAttention"]

ACTIVATIONS = {"gelu": nn.GELU, "hard_swish": nn.Hardswish, "relu": nn.ReLU}


MOBILE_STAGES, MOBILE_PATCH = 5, 16  # of EfficientNet-Lite0 as a stem, and the pixels of a token behind them


@dataclass(frozen=True)
class SwinConfig(NetworkConfig):
    """Shape of the network; stored inside every checkpoint.

    A stage whose map is no larger than a window has one window and no shift.
    """

    height: int = 224  # pixels
    width: int = 224
    num_classes: int = 1000
    patch: int = 4  # pixels along the side of a token of the first stage
    window: int = 7  # tokens along the side of a window
    widths: tuple[int, ...] = (96, 192, 384, 768)  # channels of each stage
    depths: tuple[int, ...] = (2, 2, 6, 2)
    num_heads: tuple[int, ...] = (3, 6, 12, 24)
    feed_forward_factor: float = 4.0
    norm: str = "layer"  # "batch": behind each linear map, to be folded
    activation: str = "gelu"
    stem: str = "patch"  # one cut into patches; "conv": three 3x3 convolutions; "mobile": see MobileStem
    local_kernel: int = 0  # side of a depthwise convolution at the start of each block; 0: none
    drop_path: float = 0.0  # stochastic depth of the last block; it rises linearly from 0 (Huang et al. 2016)
    head_width: int = 0  # 0: channels / heads; of a network whose heads were thinned out, what they had

    def __post_init__(self) -> None:
        self._freeze("widths", "depths", "num_heads")
        if not len(self.widths) == len(self.depths) == len(self.num_heads) > 0:
            raise ValueError("widths, depths and num_heads must name the same number of stages")
        for name in ("height", "width", "num_classes", "patch", "window"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name, known in (
            ("norm", ("layer", "batch")),
            ("activation", tuple(ACTIVATIONS)),
            ("stem", ("patch", "conv", "mobile")),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        if self.stem == "conv" and (self.patch != 4 or self.widths[0] % 4):
            raise ValueError(
                f"a convolutional stem needs patch 4 and a first width that 4 divides, "
                f"got {self.patch} and {self.widths[0]}"
            )
        if self.stem == "mobile" and self.patch != MOBILE_PATCH:
            raise ValueError(f"a mobile stem needs patch {MOBILE_PATCH}, got {self.patch}")
        if self.local_kernel < 0 or (self.local_kernel and self.local_kernel % 2 == 0):
            raise ValueError(f"local_kernel must be 0 or odd, got {self.local_kernel}")
        self._check_shares("drop_path")
        if self.head_width < 0:
            raise ValueError(f"head_width must be at least 0, got {self.head_width}")
        if self.feed_forward_factor <= 0:
            raise ValueError(f"feed_forward_factor must be positive, got {self.feed_forward_factor}")
        for channels, depth, heads in zip(self.widths, self.depths, self.num_heads, strict=True):
            if min(channels, depth, heads) < 1 or (self.head_width == 0 and channels % heads):
                raise ValueError(f"a stage of width {channels}, depth {depth} and {heads} heads cannot be")
        reduction = self.patch * 2 ** (len(self.widths) - 1)
        if self.height % reduction or self.width % reduction:
            raise ValueError(f"{self.width}x{self.height} pixels are no multiple of {reduction}")
        for height, width in self.resolutions:
            side = min(self.window, height, width)
            if height % side or width % side:
                raise ValueError(f"a map of {width}x{height} tokens cannot be cut into windows of {side}")

    @property
    def resolutions(self) -> tuple[tuple[int, int], ...]:
        """Tokens (down, across) of each stage."""
        h, w = self.height // self.patch, self.width // self.patch
        return tuple((h >> i, w >> i) for i in range(len(self.widths)))


def _published(channels: int, depths: tuple[int, ...], heads: int, **changes: Any) -> SwinConfig:
    widths, num_heads = (tuple(n << i for i in range(4)) for n in (channels, heads))
    return SwinConfig(widths=widths, depths=depths, num_heads=num_heads, **changes)


_LARGE_INPUT = {"height": 384, "width": 384, "window": 12}
_DEVICE: dict[str, Any] = {
    "height": 128,
    "width": 128,
    "window": 8,
    "norm": "batch",
    "activation": "hard_swish",
    "stem": "conv",
    "local_kernel": 3,
}

#: The published networks (table 7 of the paper) and two for devices, by their millions of parameters.
SWIN_PRESETS: dict[str, SwinConfig] = {
    "t": _published(96, (2, 2, 6, 2), 3),
    "s": _published(96, (2, 2, 18, 2), 3),
    "b": _published(128, (2, 2, 18, 2), 4),
    "l": _published(192, (2, 2, 18, 2), 6),
    "b-384": _published(128, (2, 2, 18, 2), 4, **_LARGE_INPUT),
    "l-384": _published(192, (2, 2, 18, 2), 6, **_LARGE_INPUT),
    "device-3m": SwinConfig(
        widths=(32, 64, 128, 256), depths=(1, 2, 6, 2), num_heads=(2, 4, 8, 16), **_DEVICE
    ),
    "device-8m": SwinConfig(
        widths=(48, 96, 192, 384), depths=(2, 2, 8, 2), num_heads=(3, 6, 12, 24), **_DEVICE
    ),
    "mobile-3m": SwinConfig(
        widths=(128, 256),
        depths=(2, 2),
        num_heads=(4, 8),
        patch=MOBILE_PATCH,
        **{**_DEVICE, "height": 160, "width": 160, "window": 10, "stem": "mobile"},
    ),
}


def _linear(
    config: SwinConfig, num_in: int, num_out: int, *, bias: bool = True, gain: float = 1.0
) -> nn.Module:
    if config.norm == "batch":
        return NormedLinear(num_in, num_out, gain=gain)
    return nn.Linear(num_in, num_out, bias=bias)


def _norm(config: SwinConfig, channels: int) -> nn.Module:
    return nn.LayerNorm(channels) if config.norm == "layer" else nn.Identity()


class DropPath(nn.Module):
    """Leave a whole residual branch out for a share of the images of a training batch."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.probability == 0.0:
            return x
        keep = x.new_empty(x.shape[0], *[1] * (x.ndim - 1)).bernoulli_(1.0 - self.probability)
        return x * keep / (1.0 - self.probability)


class WindowAttention(nn.Module):
    """Self-attention inside windows: softmax(q k^T / sqrt(D) + B) v (the paper's equation 4).

    Args:
        channels, num_heads: C and the heads, of D = ``config.head_width`` or else C / num_heads.
        resolution: tokens (down, across) of the map.
        side: tokens along a window's side. shift: by how many tokens the windows are moved; 0: none.
    """

    position_index: Tensor
    shift_bias: Tensor | None

    def __init__(
        self,
        config: SwinConfig,
        channels: int,
        num_heads: int,
        resolution: tuple[int, int],
        side: int,
        shift: int,
    ) -> None:
        super().__init__()
        self.num_heads, self.resolution, self.side, self.shift = num_heads, resolution, side, shift
        self.head_width = config.head_width or channels // num_heads
        self.scale = self.head_width**-0.5
        inner = num_heads * self.head_width
        self.query_key_value = _linear(config, channels, 3 * inner)
        self.out = _linear(config, inner, channels, gain=0.0)
        self.position_bias = nn.Parameter(torch.zeros((2 * side - 1) ** 2, num_heads))
        self.register_buffer("position_index", relative_position_index(side), persistent=False)
        bias = shift_bias(*resolution, side, shift)[:, None] if shift else None  # (N, 1, S * S, S * S)
        self.register_buffer("shift_bias", bias, persistent=False)

    def bias(self) -> Tensor:
        """What is added to the scores, (1 or N, num_heads, S * S, S * S); constant once trained."""
        bias = self.position_bias[self.position_index].permute(2, 0, 1)[None]
        return bias if self.shift_bias is None else bias + self.shift_bias

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        H, W = self.resolution
        if self.shift:
            x = torch.roll(x, (-self.shift, -self.shift), (1, 2))
        windows = self.query_key_value(split_windows(x, self.side))  # (B * N, S * S, 3 * heads * D)
        T, C = windows.shape[1], windows.shape[2] // 3
        heads = windows.reshape(-1, T, 3, self.num_heads, self.head_width).permute(2, 0, 3, 1, 4)
        query, key, value = heads[0] * self.scale, heads[1], heads[2]  # (B * N, heads, T, D)
        scores = query @ key.transpose(-2, -1)
        if self.shift:
            N = H * W // T
            scores = (scores.reshape(-1, N, self.num_heads, T, T) + self.bias()).flatten(0, 1)
        else:
            scores = scores + self.bias()
        mixed = (torch.softmax(scores, dim=-1) @ value).transpose(1, 2).reshape(-1, T, C)
        y = join_windows(self.out(mixed), H, W)
        return torch.roll(y, (self.shift, self.shift), (1, 2)) if self.shift else y


class SwinBlock(nn.Module):
    """Attention inside windows and a feed-forward network, each added to its input: (B, H, W, C) in, out."""

    def __init__(self, config: SwinConfig, stage: int, number: int, drop_path: float) -> None:
        super().__init__()
        channels, resolution = config.widths[stage], config.resolutions[stage]
        side = min(config.window, *resolution)
        shift = side // 2 if number % 2 and side < max(resolution) else 0
        hidden = round(config.feed_forward_factor * channels)
        kernel = config.local_kernel
        self.local = (
            NormedConvolution(channels, channels, kernel, groups=channels, gain=0.0) if kernel else None
        )
        self.attention_norm = _norm(config, channels)
        self.attention = WindowAttention(config, channels, config.num_heads[stage], resolution, side, shift)
        self.feed_forward_norm = _norm(config, channels)
        self.expand = _linear(config, channels, hidden)
        self.activation = ACTIVATIONS[config.activation]()
        self.project = _linear(config, hidden, channels, gain=0.0)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        if self.local is not None:
            x = x + self.local(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        x = x + self.drop_path(self.attention(self.attention_norm(x)))
        hidden = self.activation(self.expand(self.feed_forward_norm(x)))
        return x + self.drop_path(self.project(hidden))  # type: ignore[no-any-return]


class PatchMerging(nn.Module):
    """Four neighbours side by side, projected: (B, H, W, C) -> (B, H / 2, W / 2, C of the next stage)."""

    def __init__(self, config: SwinConfig, stage: int) -> None:
        super().__init__()
        self.norm = _norm(config, 4 * config.widths[stage])
        self.reduction = _linear(config, 4 * config.widths[stage], config.widths[stage + 1], bias=False)

    def forward(self, x: Tensor) -> Tensor:
        # The order of the published weights: down before across.
        corners = (x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2])
        y: Tensor = self.reduction(self.norm(torch.cat(corners, dim=-1)))
        return y


class MobileStem(nn.Module):
    """Five stages of EfficientNet-Lite0, projected: images (B, 3, H, W) -> (B, width, H / 16, W / 16).

    Early layers learn the same from any photos, and windows pay where maps are small: so convolutions with
    public weights come first and windows after them (as in CoAtNet, Dai et al. 2021, and TinyViT, Wu et al.
    2022).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = mobile_stages(MOBILE_STAGES)
        self.project = NormedConvolution(stage_width(MOBILE_STAGES - 1), width, 1)

    def forward(self, images: Tensor) -> Tensor:
        y: Tensor = self.project(self.body(images))
        return y


class PatchEmbedding(nn.Module):
    """Images (B, 3, H, W) to the tokens of the first stage, (B, H / patch, W / patch, C)."""

    def __init__(self, config: SwinConfig) -> None:
        super().__init__()
        width = config.widths[0]
        if config.stem == "conv":
            self.cut: nn.Module = nn.Sequential(
                NormedConvolution(3, width // 2, 3, stride=2),
                ACTIVATIONS[config.activation](),
                NormedConvolution(width // 2, width // 2, 3),
                ACTIVATIONS[config.activation](),
                NormedConvolution(width // 2, width, 3, stride=2),
            )
        elif config.stem == "mobile":
            self.cut = MobileStem(width)
        else:
            self.cut = nn.Conv2d(3, width, config.patch, config.patch)
        self.norm = _norm(config, width)

    def forward(self, images: Tensor) -> Tensor:
        tokens: Tensor = self.norm(self.cut(images).permute(0, 2, 3, 1))
        return tokens


class Swin(nn.Module):
    """Images in, scores of the classes out; :meth:`features` for what stands on the stages instead.

    Height and width are fixed by the configuration, so masks and position indices are constants of the graph.
    """

    def __init__(self, config: SwinConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = PatchEmbedding(config)
        total, first = sum(config.depths), 0
        stages = []
        for stage, depth in enumerate(config.depths):
            rates = [config.drop_path * (first + i) / max(1, total - 1) for i in range(depth)]
            stages.append(nn.Sequential(*(SwinBlock(config, stage, i, rates[i]) for i in range(depth))))
            first += depth
        self.stages = nn.ModuleList(stages)
        self.merging = nn.ModuleList([PatchMerging(config, i) for i in range(len(config.depths) - 1)])
        self.norm = _norm(config, config.widths[-1])
        self.head = nn.Linear(config.widths[-1], config.num_classes)
        if config.norm == "layer":  # under a BatchNorm such small weights would turn too fast
            self.apply(_initialise)

    def features(self, images: Tensor) -> list[Tensor]:
        """The map of each stage, (B, C_i, H_i, W_i), finest first; the last one before its norm.

        Args:
            images: (B, 3, height, width), normalised.

        Raises:
            ValueError: another height or width than the configuration's.
        """
        return [x.permute(0, 3, 1, 2) for x in self._maps(images)]

    def _maps(self, images: Tensor) -> list[Tensor]:
        config = self.config
        if images.shape[1:] != (3, config.height, config.width):
            raise ValueError(
                f"expected images (B, 3, {config.height}, {config.width}), got {tuple(images.shape)}"
            )
        maps = []
        x = self.embedding(images)
        for number, stage in enumerate(self.stages):
            x = self.merging[number - 1](x) if number else x
            x = stage(x)
            maps.append(x)
        return maps

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images (B, 3, height, width) -> unnormalised scores (B, num_classes)."""
        logits: Tensor = self.head(self.norm(self._maps(images)[-1]).mean(dim=(1, 2)))
        return logits


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, WindowAttention):
        nn.init.trunc_normal_(module.position_bias, std=0.02)
