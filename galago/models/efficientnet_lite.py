"""EfficientNet-Lite: inverted residuals and nothing else (Tan and Le 2019, without squeezes and swish).

An inverted residual (Sandler et al. 2018) widens its channels, looks around in each channel for itself, and
narrows them again; it is added to its input where shape allows::

    x (B, C, H, W) -> 1x1, eC -> ReLU6 -> depthwise k x k, stride s -> ReLU6 -> 1x1, C' -> (+ x)

Lite nets were made for integers: ReLU6 bounds what a scale must span. They teach galago's eye, and their
first stages can be its stem (``SwinConfig.stem``), so that what the public weights know of edges, textures
and parts need not be learned from a few thousand photos.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from galago.models.network_config import NetworkConfig
from galago.models.normed import NormedConvolution

__all__ = [
    "EFFICIENTNET_LITE_PRESETS",
    "EfficientNetLite",
    "EfficientNetLiteConfig",
    "InvertedResidual",
    "mobile_stages",
    "stage_width",
]


class _Stage(NamedTuple):
    kernel: int
    stride: int
    expansion: int
    channels: int
    depth: int


STAGES = (
    _Stage(3, 1, 1, 16, 1),
    _Stage(3, 2, 6, 24, 2),
    _Stage(5, 2, 6, 40, 2),
    _Stage(3, 2, 6, 80, 3),
    _Stage(5, 1, 6, 112, 3),
    _Stage(5, 2, 6, 192, 4),
    _Stage(3, 1, 6, 320, 1),
)
STEM_CHANNELS, HEAD_CHANNELS = 32, 1280  # the same in every Lite net


@dataclass(frozen=True)
class EfficientNetLiteConfig(NetworkConfig):
    """Shape of the network; stored inside every checkpoint."""

    height: int = 224  # pixels
    width: int = 224
    num_classes: int = 1000
    width_factor: float = 1.0  # of the stages' channels
    depth_factor: float = 1.0  # of the stages' blocks, but for the first and the last stage
    dropout: float = 0.2  # before the classifier

    def __post_init__(self) -> None:
        self._check_counts()
        self._check_shares("dropout")
        for name in ("width_factor", "depth_factor"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.height % 32 or self.width % 32:
            raise ValueError(f"{self.width}x{self.height} pixels are no multiple of 32")


#: Factors of width and depth as published; the resolutions are the nearest multiples of 32.
EFFICIENTNET_LITE_PRESETS: dict[str, EfficientNetLiteConfig] = {
    "efficientnet-lite0": EfficientNetLiteConfig(),
    "efficientnet-lite1": EfficientNetLiteConfig(height=256, width=256, depth_factor=1.1),
    "efficientnet-lite2": EfficientNetLiteConfig(
        height=256, width=256, width_factor=1.1, depth_factor=1.2, dropout=0.3
    ),
    "efficientnet-lite3": EfficientNetLiteConfig(
        height=288, width=288, width_factor=1.2, depth_factor=1.4, dropout=0.3
    ),
    "efficientnet-lite4": EfficientNetLiteConfig(
        height=288, width=288, width_factor=1.4, depth_factor=1.8, dropout=0.3
    ),
}


def stage_width(stage: int, width_factor: float = 1.0) -> int:
    """Channels behind a stage (from 0): the nearest multiple of 8 that is at least nine tenths of it."""
    wanted = STAGES[stage].channels * width_factor
    width = max(8, int(wanted + 4) // 8 * 8)
    return width if width >= 0.9 * wanted else width + 8


class InvertedResidual(nn.Module):
    """One block: (B, in, H, W) -> (B, out, H / stride, W / stride)."""

    def __init__(self, num_in: int, num_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = num_in * expansion
        self.expand = NormedConvolution(num_in, inner, 1) if expansion > 1 else None
        self.depthwise = NormedConvolution(inner, inner, kernel, stride=stride, groups=inner)
        self.project = NormedConvolution(inner, num_out, 1)
        self.activation = nn.ReLU6()
        self.is_residual = stride == 1 and num_in == num_out

    def forward(self, x: Tensor) -> Tensor:
        hidden = x if self.expand is None else self.activation(self.expand(x))
        y: Tensor = self.project(self.activation(self.depthwise(hidden)))
        return x + y if self.is_residual else y


def mobile_stages(num_stages: int, width_factor: float = 1.0, depth_factor: float = 1.0) -> nn.Sequential:
    """Stem and first stages: images (B, 3, H, W) to maps, H / 16 behind five of them, H / 32 behind all.

    Raises:
        ValueError: there are no ``num_stages`` of them.
    """
    if not 1 <= num_stages <= len(STAGES):
        raise ValueError(f"num_stages must be 1 to {len(STAGES)}, got {num_stages}")
    modules: list[nn.Module] = [NormedConvolution(3, STEM_CHANNELS, 3, stride=2), nn.ReLU6()]
    num_in = STEM_CHANNELS
    for number, stage in enumerate(STAGES[:num_stages]):
        is_scaled = 0 < number < len(STAGES) - 1
        depth = math.ceil(stage.depth * depth_factor) if is_scaled else stage.depth
        num_out = stage_width(number, width_factor)
        for i in range(depth):
            stride = 1 if i else stage.stride
            modules.append(InvertedResidual(num_in, num_out, stage.kernel, stride, stage.expansion))
            num_in = num_out
    return nn.Sequential(*modules)


class EfficientNetLite(nn.Module):
    """Images in, scores of the classes out.

    Strided convolutions pad alike on both sides, where the published networks pad on one side; trained a
    little further at any resolution, the difference is gone.
    """

    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__()
        self.config = config
        self.body = mobile_stages(len(STAGES), config.width_factor, config.depth_factor)
        channels = stage_width(len(STAGES) - 1, config.width_factor)
        self.widen = NormedConvolution(channels, HEAD_CHANNELS, 1)
        self.activation = nn.ReLU6()
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(HEAD_CHANNELS, config.num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images (B, 3, H, W) -> unnormalised scores (B, num_classes).

        Raises:
            ValueError: they are no RGB images.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"expected images (B, 3, H, W), got {tuple(images.shape)}")
        pooled = self.activation(self.widen(self.body(images))).mean(dim=(2, 3))
        scores: Tensor = self.head(self.dropout(pooled))
        return scores
