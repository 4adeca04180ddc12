"""A tiny Conformer, its exported graphs, and samples to feed it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino as ov
import torch

from galago.models.conformer import Conformer, ConformerConfig
from galago.quantize.calibration import Array
from galago.quantize.compile_openvino import convert_onnx
from galago.quantize.ear.export import export_onnx

CHUNKS = (8, 4, 16)
LOOKAHEADS = (0, 2)


def tiny_model(lookahead_tokens: int = 0) -> Conformer:
    """Random weights of seed 7; norms and biases random too, so that nothing is trivially 0 or 1."""
    torch.manual_seed(7)
    model = Conformer(
        ConformerConfig(
            width=32, num_blocks=2, phone_block=1, left_context_tokens=12, lookahead_tokens=lookahead_tokens
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def noise(num_samples: int, seed: int = 0) -> Array:
    """Noise whose level goes up and down, as speech does."""
    rng = np.random.default_rng(seed)
    level = 0.02 + 0.1 * np.abs(np.sin(np.arange(num_samples) / 4000.0))
    return (rng.normal(size=num_samples) * level).astype(np.float32)


class Exports:
    """Float graphs by (lookahead, chunk), made when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models = {lookahead: tiny_model(lookahead) for lookahead in LOOKAHEADS}
        self._graphs: dict[tuple[int, int], ov.Model] = {}

    def onnx(self, lookahead: int, chunk_tokens: int) -> Path:
        path = self.folder / f"{lookahead}-{chunk_tokens}.onnx"
        if not path.is_file():
            export_onnx(self.models[lookahead], chunk_tokens, path)
        return path

    def graph(self, lookahead: int, chunk_tokens: int) -> ov.Model:
        key = lookahead, chunk_tokens
        if key not in self._graphs:
            self._graphs[key] = convert_onnx(self.onnx(*key))
        return self._graphs[key]
