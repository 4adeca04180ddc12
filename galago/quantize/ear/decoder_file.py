"""The attention decoder of an ear as the file that the native core reads where it lies.

All numbers little-endian; behind the header each array begins at a multiple of 64 bytes::

    u32  magic, version, width, blocks, heads, feed-forward width, rotary width, pieces
    f32  epsilon of the norms
    u32  bytes of names; the pieces' names, a line feed behind each
    embedding
    of each block: norm; query, key, value, out to the pieces; norm; the same to the rows;
                   norm; expand, its bias; project, its bias
    norm

Norms and biases are float32. Matrices are blocks of four-bit integers, see ``group_matrix.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from galago.models.grouped_integers import GROUP_INPUTS, grouped
from galago.models.piece_decoder import PieceDecoder, PieceDecoderBlock
from galago.models.pieces import Pieces
from galago.quantize.export import ExportError

__all__ = ["decoder_bytes", "write_decoder"]

MAGIC, VERSION = 0x43445047, 1  # "GPDC"
ALIGNMENT = 64
BLOCK_OUTPUTS = 16
OFFSET = 8  # of an integer in its half of a byte


def matrix_bytes(weight: Tensor) -> bytes:
    """A matrix (outputs, inputs) as blocks of 16 outputs, which hold groups of 32 inputs.

    Raises:
        ExportError: the outputs are no multiple of 16 or the inputs none of 32, or a weight is not finite.
    """
    outputs, inputs = weight.shape
    if outputs % BLOCK_OUTPUTS or inputs % GROUP_INPUTS:
        raise ExportError(f"a matrix of {outputs} x {inputs} is not made of blocks of 16 x 32")
    if not bool(torch.isfinite(weight).all()):
        raise ExportError("a weight of the decoder is not finite")
    found = grouped(weight)
    # (block, output, group, line, half, four inputs) -> (block, group, line, output, four inputs, half)
    shape = (outputs // BLOCK_OUTPUTS, BLOCK_OUTPUTS, inputs // GROUP_INPUTS, 4, 2, 4)
    integers = (found.integers.numpy().astype(np.int16) + OFFSET).astype(np.uint8).reshape(shape)
    low, high = np.moveaxis(integers, 4, 0)
    pairs = (low | high << 4).astype(np.uint8).transpose(0, 2, 3, 1, 4).reshape(shape[0], shape[2], -1)
    scales = found.scales.reshape(shape[0], BLOCK_OUTPUTS, shape[2]).transpose(1, 2).contiguous()
    halves = scales.to(torch.bfloat16).view(torch.uint8).numpy().reshape(shape[0], shape[2], -1)
    return np.concatenate([halves, pairs], axis=2).tobytes()


def _float_bytes(values: Tensor) -> bytes:
    return values.detach().float().numpy().astype("<f4").tobytes()


def _attention(attention: nn.Module) -> list[bytes]:
    return [matrix_bytes(getattr(attention, name).weight) for name in ("query", "key", "value", "out")]


def decoder_bytes(decoder: PieceDecoder, pieces: Pieces) -> bytes:
    """The file of a decoder.

    Raises:
        ExportError: sizes that do not fit the file's blocks, a weight that is not finite, a name with a line
            feed.
    """
    config = decoder.config
    if any("\n" in name for name in pieces.names):
        raise ExportError("a piece's name has a line feed")
    names = "".join(f"{name}\n" for name in pieces.names).encode("utf-8")
    sizes = (
        MAGIC,
        VERSION,
        config.width,
        config.num_blocks,
        config.num_heads,
        config.feed_forward_width,
        config.rotary_width,
        config.num_pieces,
    )
    header = struct.pack("<8IfI", *sizes, config.layer_norm_eps, len(names)) + names
    arrays: list[bytes] = [matrix_bytes(decoder.embedding.weight)]
    for block in decoder.blocks:
        assert isinstance(block, PieceDecoderBlock)  # a ModuleList forgets what it holds
        arrays += [_float_bytes(block.attention_norm.weight), *_attention(block.attention)]
        arrays += [_float_bytes(block.rows_norm.weight), *_attention(block.rows_attention)]
        arrays.append(_float_bytes(block.feed_forward_norm.weight))
        for linear in (block.expand, block.project):
            arrays += [matrix_bytes(linear.weight), _float_bytes(linear.bias)]
    arrays.append(_float_bytes(decoder.norm.weight))
    return _aligned([header, *arrays])


def _aligned(parts: Sequence[bytes]) -> bytes:
    """One behind the other, each at a multiple of 64 bytes; nothing behind the last."""
    padded = [part + bytes(-len(part) % ALIGNMENT) for part in parts[:-1]]
    return b"".join([*padded, parts[-1]])


def write_decoder(path: Path, decoder: PieceDecoder, pieces: Pieces) -> int:
    """Write the file of a decoder; returns its size in bytes.

    Raises:
        ExportError: see :func:`decoder_bytes`. OSError: it cannot be written.
    """
    data = decoder_bytes(decoder, pieces)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return len(data)
