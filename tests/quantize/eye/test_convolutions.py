"""The Swin of convolutions: answers of the one with linear maps, under the same names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from galago.models.swin import Swin, SwinConfig, WindowAttention
from galago.quantize.compile_openvino import convert_onnx
from galago.quantize.eye.convolutions import ConvolutionalSwin
from galago.quantize.eye.export import export_onnx, folded
from galago.quantize.layers import weighted_layers
from tests.quantize.eye.tiny import CONFIG, MOBILE, tiny_eye


def _modules(path: Path) -> list[str]:
    return [name.partition("/")[0] for name in weighted_layers(convert_onnx(path))]


@pytest.mark.parametrize("config", [CONFIG, MOBILE], ids=["conv", "mobile"])
def test_answers_are_those_of_the_linear_maps(config: SwinConfig) -> None:
    plain = folded(tiny_eye(config))
    assert isinstance(plain, Swin)
    shifts = [m.shift for m in plain.modules() if isinstance(m, WindowAttention)]
    assert any(shifts)  # windows over the image's edges, too
    assert plain.config.height != plain.config.width
    images = torch.randn(3, 3, config.height, config.width)
    with torch.no_grad():
        expected = tiny_eye(config)(images)
        torch.testing.assert_close(ConvolutionalSwin(plain)(images), expected, atol=1e-4, rtol=1e-4)


def test_no_linear_map_is_left_but_the_head() -> None:
    plain = folded(tiny_eye())
    assert isinstance(plain, Swin)
    network = ConvolutionalSwin(plain)
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
    model = Swin(CONFIG.with_(norm="layer")).eval()
    with pytest.raises(ValueError, match="norm = 'layer'"):
        ConvolutionalSwin(model)
    export_onnx(model, tmp_path / "eye.onnx")
    assert "stages.0.0.expand" in _modules(tmp_path / "eye.onnx")
