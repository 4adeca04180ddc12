"""A tiny Swin with what the device sizes have: convolutional stem, BatchNorm, a shifted window."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from galago.models.efficientnet_lite import EfficientNetLiteConfig
from galago.models.swin import SwinConfig
from galago.models.training.eye.labels import EyeDescription, EyeLabel, ImageFormat
from galago.models.training.eye.networks import EyeConfig, EyeNetwork, new_eye
from galago.models.training.eye.trainer import save_eye

LABELS = tuple(EyeLabel(name, "colour", name) for name in ("red", "green", "blue")) + (
    EyeLabel("seven", "number", "seven"),
)
DESCRIPTION = EyeDescription(
    LABELS, ImageFormat(32, 48, (0.5, 0.45, 0.4), (0.25, 0.25, 0.3)), temperature=1.5, accept_probability=0.2
)

#: How the tiny eye is packed; the last table is ``[accuracy]``.
RECIPE = """
schema_version = 1
role = "eye"
name = "tiny-eye"
version = "0.0.1"
description = "Sees nothing."
smoothing_half_life_ms = 250
limits = ["It has learned nothing."]

[calibration]
num_samples = 8
num_held_out = 4

[accuracy]
max_cost = 1.0
"""


CONFIG = SwinConfig(
    height=32,
    width=48,
    num_classes=len(LABELS),
    window=2,
    widths=(8, 16),
    depths=(2, 1),
    num_heads=(2, 4),
    norm="batch",
    activation="hard_swish",
    stem="conv",
    local_kernel=3,
)

#: Behind a mobile stem 4 x 6 tokens, and windows of 2 x 2, the second time shifted.
MOBILE = CONFIG.with_(height=64, width=96, stem="mobile", patch=16, widths=(8,), depths=(2,), num_heads=(2,))

#: What teaches an eye, and is packed like one.
TEACHER = EfficientNetLiteConfig(height=32, width=64, num_classes=len(LABELS))


def tiny_eye(config: EyeConfig = CONFIG) -> EyeNetwork:
    """Random weights of seed 3; what BatchNorm has measured is random too, so that folding matters."""
    torch.manual_seed(3)
    model = new_eye(config)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.3, 0.3)
                assert module.running_mean is not None and module.running_var is not None
                module.running_mean.uniform_(-0.3, 0.3)
                module.running_var.uniform_(0.5, 1.5)
    return model.eval()


def save_tiny_eye(folder: Path) -> Path:
    """A training run's folder with nothing but ``model.pt``."""
    folder.mkdir(parents=True, exist_ok=True)
    save_eye(folder / "model.pt", tiny_eye(), DESCRIPTION, step=5)
    return folder
