"""The letter-to-phone network as the native core reads it: one small file of int8 weights.

    python -m galago.quantize.g2p RUN/model.pt OUT

Weights of linear maps have a scale for each output, embeddings one for each letter; biases, norms, attention
distances and the depthwise convolution stay float32. The forward pass is float32 on widened weights: answers
differ from the network's only by the rounding of the weights. The layout is that of ``g2p.cc``.
"""

from __future__ import annotations

import argparse
import copy
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from galago.models.g2p import NUM_SYMBOLS, G2p

__all__ = ["pack_g2p", "rounded_g2p"]

_MAGIC = b"GG2P"
_VERSION = 1
_LARGEST = 127


def _scales(weight: Tensor) -> Tensor:
    """One scale for each row of a matrix; 1 for a row of zeros."""
    largest = weight.detach().abs().amax(dim=1)
    return torch.where(largest > 0, largest / _LARGEST, torch.ones_like(largest)).float()


def _rounded(weight: Tensor) -> Tensor:
    return torch.round(weight.detach() / _scales(weight)[:, None]).clamp(-_LARGEST, _LARGEST)


def _f32(values: Tensor) -> bytes:
    array: NDArray[np.float32] = values.detach().cpu().numpy().astype("<f4")
    return array.tobytes()


def _i8(values: Tensor) -> bytes:
    return values.to(torch.int8).contiguous().cpu().numpy().tobytes()


def _linear(linear: nn.Linear) -> bytes:
    """Scales and bias of each output, then the weights by input: a row of inputs is read at once."""
    return _f32(_scales(linear.weight)) + _f32(linear.bias) + _i8(_rounded(linear.weight).t())


def _norm(norm: nn.LayerNorm) -> bytes:
    return _f32(norm.weight) + _f32(norm.bias)


def pack_g2p(model: G2p, phones: Sequence[str]) -> bytes:
    """The file for a network and the phones of its labels from 1.

    Raises ValueError where the number of phones is not the network's.
    """
    config = model.config
    if len(phones) != config.num_phones:
        raise ValueError(f"{len(phones)} phones for a network of {config.num_phones}")
    names = "".join(phone + "\n" for phone in phones).encode()
    header = struct.pack(
        "<4s12I",
        _MAGIC,
        _VERSION,
        NUM_SYMBOLS,
        config.width,
        config.num_layers,
        config.num_heads,
        config.feed_forward,
        config.kernel,
        config.max_distance,
        config.slots,
        sum(1 << layer for layer in config.condition_after),
        config.num_phones,
        len(names),
    )
    parts = [header, names, _f32(_scales(model.embedding.weight)), _i8(_rounded(model.embedding.weight))]
    for module in model.blocks:
        block = cast(Any, module)
        parts += [
            _norm(block.attention_norm),
            _linear(block.attention.qkv),
            _linear(block.attention.out),
            _f32(block.attention.bias),
            _norm(block.convolution_norm),
            _f32(block.convolution.weight),
            _f32(block.convolution.bias),
            _norm(block.feed_forward_norm),
            _linear(block.expand),
            _linear(block.contract),
        ]
    parts += [_norm(model.norm), _linear(model.head), _linear(model.condition)]
    return b"".join(parts)


def rounded_g2p(model: G2p) -> G2p:
    """A copy with the weights that the file holds: what the native core computes with."""
    rounded = copy.deepcopy(model).eval()
    with torch.no_grad():
        for module in rounded.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                module.weight.copy_(_rounded(module.weight) * _scales(module.weight)[:, None])
    return rounded


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file of a run's ``model.pt`` and say how large it is."""
    from galago.models.training.g2p import load_g2p

    parser = argparse.ArgumentParser(description="The letter-to-phone network for the native core.")
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args(arguments)
    model, phones = load_g2p(args.model)
    data = pack_g2p(model, phones)
    args.out.write_bytes(data)
    print(f"{args.out}: {sum(p.numel() for p in model.parameters())} parameters, {len(data)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
