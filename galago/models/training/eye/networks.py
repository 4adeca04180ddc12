"""What an eye can be made of: a Swin, or an EfficientNet-Lite that teaches one."""

from __future__ import annotations

from typing import TypeAlias

from galago.models.efficientnet_lite import (
    EFFICIENTNET_LITE_PRESETS,
    EfficientNetLite,
    EfficientNetLiteConfig,
)
from galago.models.swin import SWIN_PRESETS, Swin, SwinConfig

__all__ = ["EYE_PRESETS", "KINDS", "EyeConfig", "EyeNetwork", "kind_of", "new_eye"]

EyeNetwork: TypeAlias = Swin | EfficientNetLite
EyeConfig: TypeAlias = SwinConfig | EfficientNetLiteConfig

EYE_PRESETS: dict[str, EyeConfig] = {**SWIN_PRESETS, **EFFICIENTNET_LITE_PRESETS}

#: Configurations by the name that a checkpoint has for their network.
KINDS: dict[str, type[EyeConfig]] = {"swin": SwinConfig, "efficientnet-lite": EfficientNetLiteConfig}


def new_eye(config: EyeConfig) -> EyeNetwork:
    """A network of this shape with random weights."""
    return Swin(config) if isinstance(config, SwinConfig) else EfficientNetLite(config)


def kind_of(network: EyeNetwork) -> str:
    """Its key in :data:`KINDS`."""
    return "swin" if isinstance(network, Swin) else "efficientnet-lite"
