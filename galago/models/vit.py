"""ViT (Dosovitskiy et al. 2021) and DeiT (Touvron et al. 2021): an image as one sequence of patches.

Every patch looks at every other one, so the cost of attention grows with the square of the image's area;
that is what Swin's windows avoid (``benchmarks/attention_cost.py`` measures both)::

    image ──► patches of 16 x 16 ──► linear ──► [class] [distillation] p0 p1 ... pN  + positions
                                                   │          │
    pre-norm blocks: attention, feed-forward       ▼          ▼
                                                 head   distillation head       (averaged when not training)

DeiT's distillation token learns from a teacher's label as the class token learns from the true one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.attention import attend
from galago.models.network_config import NetworkConfig
from galago.models.positions import resized_vit_state

__all__ = ["VIT_PRESETS", "Vit", "VitConfig", "VitOutput"]

LAYER_NORM_EPS = 1e-6  # of the published weights


@dataclass(frozen=True)
class VitConfig(NetworkConfig):
    """Shape of the network; stored inside every checkpoint."""

    height: int = 224  # pixels
    width: int = 224
    num_classes: int = 1000
    patch: int = 16  # pixels along the side of a token
    channels: int = 768
    depth: int = 12
    num_heads: int = 12
    feed_forward_factor: int = 4
    is_distilled: bool = False  # with a distillation token and its head
    head_width: int = 0  # 0: channels / heads; of a network whose heads were thinned out, what they had

    def __post_init__(self) -> None:
        self._check_counts("head_width")
        if self.head_width == 0 and self.channels % self.num_heads:
            raise ValueError(f"{self.channels} channels are not divisible by {self.num_heads} heads")
        if self.height % self.patch or self.width % self.patch:
            raise ValueError(f"{self.width}x{self.height} pixels are no multiple of the patch, {self.patch}")

    @property
    def grid(self) -> tuple[int, int]:
        """Patches (down, across)."""
        return self.height // self.patch, self.width // self.patch

    @property
    def num_tokens(self) -> int:
        """Tokens before the patches: the class token and, where there is one, the distillation token."""
        return 2 if self.is_distilled else 1


_SMALL = VitConfig(channels=384, num_heads=6)
_LARGE = VitConfig(channels=1024, depth=24, num_heads=16)

#: ViT's table 1 and DeiT's table 1.
VIT_PRESETS: dict[str, VitConfig] = {
    "b16": VitConfig(),
    "b16-384": VitConfig(height=384, width=384),
    "l16": _LARGE,
    "l16-384": _LARGE.with_(height=384, width=384),
    "deit-s": _SMALL,
    "deit-b": VitConfig(),
    "deit-s-distilled": _SMALL.with_(is_distilled=True),
    "deit-b-distilled": VitConfig(is_distilled=True),
}


class VitOutput(NamedTuple):
    """Unnormalised scores of the two heads, (B, num_classes) each; twice the same where there is one."""

    logits: Tensor
    distillation_logits: Tensor


class VitBlock(nn.Module):
    """LayerNorm and attention, LayerNorm and feed-forward, each added to its input: (B, T, C) in and out."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        channels = config.channels
        self.num_heads = config.num_heads
        self.head_width = config.head_width or channels // config.num_heads
        inner = self.num_heads * self.head_width
        self.attention_norm = nn.LayerNorm(channels, LAYER_NORM_EPS)
        self.query_key_value = nn.Linear(channels, 3 * inner)
        self.out = nn.Linear(inner, channels)
        self.feed_forward_norm = nn.LayerNorm(channels, LAYER_NORM_EPS)
        self.expand = nn.Linear(channels, config.feed_forward_factor * channels)
        self.project = nn.Linear(config.feed_forward_factor * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        B, T, _ = x.shape
        packed = self.query_key_value(self.attention_norm(x))
        heads = packed.reshape(B, T, 3, self.num_heads, self.head_width).permute(2, 0, 3, 1, 4)
        mixed, _ = attend(heads[0], heads[1], heads[2])  # (B, H, T, D)
        x = x + self.out(mixed.transpose(1, 2).reshape(B, T, -1))
        return x + self.project(F.gelu(self.expand(self.feed_forward_norm(x))))  # type: ignore[no-any-return]


class Vit(nn.Module):
    """Images in, scores of the classes out. Height and width are fixed by the configuration."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Conv2d(3, config.channels, config.patch, config.patch)
        rows, columns = config.grid
        self.tokens = nn.Parameter(torch.zeros(1, config.num_tokens, config.channels))
        self.positions = nn.Parameter(torch.zeros(1, config.num_tokens + rows * columns, config.channels))
        self.blocks = nn.Sequential(*(VitBlock(config) for _ in range(config.depth)))
        self.norm = nn.LayerNorm(config.channels, LAYER_NORM_EPS)
        self.head = nn.Linear(config.channels, config.num_classes)
        self.distillation_head = (
            nn.Linear(config.channels, config.num_classes) if config.is_distilled else None
        )
        for parameter in (self.tokens, self.positions):
            nn.init.trunc_normal_(parameter, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def encode(self, images: Tensor) -> Tensor:
        """Normalised images (B, 3, height, width) -> tokens (B, num_tokens + N, C), the special ones first.

        Raises:
            ValueError: another height or width than the configuration's.
        """
        config = self.config
        if images.shape[1:] != (3, config.height, config.width):
            raise ValueError(
                f"expected images (B, 3, {config.height}, {config.width}), got {tuple(images.shape)}"
            )
        patches = self.embedding(images).flatten(2).transpose(1, 2)  # (B, N, C)
        tokens = self.tokens.expand(images.shape[0], -1, -1)
        encoded: Tensor = self.norm(self.blocks(torch.cat([tokens, patches], dim=1) + self.positions))
        return encoded

    def forward_heads(self, images: Tensor) -> VitOutput:
        """The scores of both heads, as training with a teacher wants them."""
        encoded = self.encode(images)
        logits = self.head(encoded[:, 0])
        if self.distillation_head is None:
            return VitOutput(logits, logits)
        return VitOutput(logits, self.distillation_head(encoded[:, 1]))

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images (B, 3, height, width) -> (B, num_classes), the mean where there are two heads."""
        output = self.forward_heads(images)
        if self.distillation_head is None:
            return output.logits
        return (output.logits + output.distillation_logits) / 2

    def at_resolution(self, height: int, width: int) -> Vit:
        """The same network for images of another size, its positions interpolated (paper, section 3.2)."""
        config = self.config.with_(height=height, width=width)
        other = Vit(config)
        state = resized_vit_state(
            self.state_dict(), self.config.grid, config.grid, num_tokens=config.num_tokens
        )
        other.load_state_dict(state)
        return other.train(self.training)
