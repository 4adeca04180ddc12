"""The Swin of convolutions: answers of the one with linear maps, under the same names."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn

from galago.models.swin import Swin, WindowAttention
from galago.quantize.compile_openvino import convert_onnx
from galago.quantize.eye.convolutions import ConvolutionalSwin
from galago.quantize.eye.export import export_onnx, folded
from galago.quantize.layers import weighted_layers
from tests.quantize.eye.tiny import tiny_eye


def _modules(path: Path) -> list[str]:
    return [name.partition("/")[0] for name in weighted_layers(convert_onnx(path))]


def test_answers_are_those_of_the_linear_maps() -> None:
    model = tiny_eye()
    plain = folded(model)
    shifts = [m.shift for m in plain.modules() if isinstance(m, WindowAttention)]
    assert any(shifts)  # windows over the image's edges, too
    assert plain.config.height != plain.config.width
    images = torch.randn(3, 3, 32, 48)
    with torch.no_grad():
        torch.testing.assert_close(ConvolutionalSwin(plain)(images), model(images), atol=1e-4, rtol=1e-4)


def test_no_linear_map_is_left_but_the_head() -> None:
    network = ConvolutionalSwin(folded(tiny_eye()))
    assert [name for name, m in network.named_modules() if isinstance(m, nn.Linear)] == ["head"]


def test_layers_are_called_after_the_same_modules(tmp_path: Path) -> None:
    model = tiny_eye()
    export_onnx(model, tmp_path / "convolutions.onnx")
    export_onnx(model, tmp_path / "written.onnx", as_written=True)
    found, written = _modules(tmp_path / "convolutions.onnx"), _modules(tmp_path / "written.onnx")
    assert "stages.0.1.attention.query_key_value" in found and "merging.0.reduction" in found
    products = [
        name for name in written if name.endswith(".attention")
    ]  # no weights; as constant folding has it
    assert [name for name in written if name not in products] == [n for n in found if n not in products]


def test_networks_with_layer_norm_stay_as_they_are(tmp_path: Path) -> None:
    config = dataclasses.replace(tiny_eye().config, norm="layer")
    model = Swin(config).eval()
    with pytest.raises(ValueError, match="norm = 'layer'"):
        ConvolutionalSwin(model)
    export_onnx(model, tmp_path / "eye.onnx")
    assert "stages.0.0.expand" in _modules(tmp_path / "eye.onnx")
