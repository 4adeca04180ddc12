"""A trained eye as an ONNX graph: one image in, its logits out.

    image (1, 3, height, width) ── eye ── logits (1, num_labels)

What BatchNorm does in evaluation is folded into the weights before, so that no engine has to find it, and
linear maps become convolutions, which costs engines less time (:mod:`galago.quantize.eye.convolutions`).
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from galago.models.normed import NormedConvolution, NormedLinear
from galago.models.swin import Swin
from galago.models.training.eye.networks import EyeNetwork
from galago.quantize.export import check_weights, write_onnx
from galago.quantize.eye.convolutions import ConvolutionalSwin

__all__ = ["export_onnx", "folded"]

Network = TypeVar("Network", bound=nn.Module)

INPUT, OUTPUT = "image", "logits"


def folded(model: Network) -> Network:
    """A copy in evaluation mode without any BatchNorm: linear maps and convolutions with biases instead."""
    plain = copy.deepcopy(model)
    plain.eval()
    for name, module in list(plain.named_modules()):
        replacement: nn.Module
        if isinstance(module, NormedLinear):
            replacement = module.folded()
        elif isinstance(module, NormedConvolution):
            convolution, norm = cast(nn.Conv2d, module[0]), cast(nn.BatchNorm2d, module[1])
            replacement = fuse_conv_bn_eval(convolution, norm)
        else:
            continue
        parent, _, child = name.rpartition(".")
        setattr(plain.get_submodule(parent), child, replacement)
    return plain


class _ImageGraph(nn.Module):
    """The network under the name by which the exporter's layers are called."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.model(image)
        return logits


def export_onnx(model: EyeNetwork, path: Path, *, as_written: bool = False) -> None:
    """Write the graph of ``model`` for single images of its height and width.

    Args:
        as_written: leave a Swin's linear maps as they are, as those of one with LayerNorm always are.

    Raises:
        ExportError: a weight is not finite.
    """
    check_weights(model)
    network: nn.Module = folded(model)
    if isinstance(network, Swin) and network.config.norm == "batch" and not as_written:
        network = ConvolutionalSwin(network)
    image = torch.zeros(1, 3, model.config.height, model.config.width)
    write_onnx(_ImageGraph(network), (image,), path, input_names=[INPUT], output_names=[OUTPUT])
