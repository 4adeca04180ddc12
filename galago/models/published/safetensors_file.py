"""Reading safetensors files: a JSON header of names, types, shapes and byte ranges, and the bytes.

    8 bytes, little-endian length of the header | header | data

A file comes from anywhere, so nothing in it is believed: every range must lie inside the file, be as long as
its shape says, and meet no other one.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from galago.models.training.checkpoints import CheckpointError

__all__ = ["read_safetensors"]

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_MAX_HEADER_BYTES = 100_000_000  # as the format's own library allows


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _header(path: Path, data: bytes) -> dict[str, Any]:
    try:
        header = json.loads(data.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: the header is no JSON object: {error}") from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{path}: the header is no JSON object")
    header.pop("__metadata__", None)
    return header


def _entry(path: Path, name: str, entry: Any, num_bytes: int) -> tuple[torch.dtype, list[int], int, int]:
    """Type, shape, first and last byte of a tensor, checked against each other."""
    try:
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        sizes = [*shape, begin, end]
    except (TypeError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path}: {name}: no dtype, shape and data_offsets") from error
    if dtype not in tuple(_DTYPES):
        raise CheckpointError(f"{path}: {name}: unknown type {dtype!r}; known are {', '.join(_DTYPES)}")
    if any(type(size) is not int or size < 0 for size in sizes):
        raise CheckpointError(f"{path}: {name}: shape {shape} and bytes {begin} to {end} are no counts")
    wanted = math.prod(shape) * _DTYPES[dtype].itemsize
    if end > num_bytes or end - begin != wanted:
        raise CheckpointError(
            f"{path}: {name}: bytes {begin} to {end} of {num_bytes} are not the {wanted} of {dtype} {shape}"
        )
    return _DTYPES[dtype], list(shape), begin, end


def _tensor(data: NDArray[np.uint8], dtype: torch.dtype, shape: list[int]) -> Tensor:
    """A copy, which outlives the file and begins where its type may begin."""
    if not len(data):
        return torch.empty(shape, dtype=dtype)
    return torch.from_numpy(np.array(data)).view(dtype).reshape(shape)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file by its name, in the type it has there, on the CPU.

    Raises:
        CheckpointError: no such file, or one that contradicts itself; the message names file and tensor.
    """
    try:
        file = np.memmap(path, np.uint8, "r")
    except (OSError, ValueError) as error:  # ValueError: an empty file
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    if len(file) < 8:
        raise CheckpointError(f"{path}: {len(file)} bytes are no safetensors file")
    length = int.from_bytes(file[:8].tobytes(), "little")
    if length > min(_MAX_HEADER_BYTES, len(file) - 8):
        raise CheckpointError(f"{path}: a header of {length} bytes in a file of {len(file)}")
    header = _header(path, file[8 : 8 + length].tobytes())
    data = file[8 + length :]
    entries = {name: _entry(path, name, entry, len(data)) for name, entry in header.items()}
    last, last_name = 0, ""
    for name, (_, _, begin, end) in sorted(entries.items(), key=lambda item: item[1][2:]):
        if begin < last:
            raise CheckpointError(f"{path}: {name} and {last_name} share bytes")
        last, last_name = end, name
    return {
        name: _tensor(data[begin:end], dtype, shape) for name, (dtype, shape, begin, end) in entries.items()
    }
