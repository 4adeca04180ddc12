"""EfficientNet-Lite's weights: the numbers of the package that they were published with, from random ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from galago.models.checkpoint import import_file, load_network
from galago.models.efficientnet_lite import EfficientNetLite
from galago.models.published.command import main
from galago.models.published.efficientnet_lite import installed_weights
from galago.models.training.checkpoints import CheckpointError
from galago.models.training.eye.teachers import load_teacher

SIDE = 33  # every strided convolution sees an odd side, where padding on one side and on both are the same


def published(folder: Path, number: int) -> tuple[nn.Module, Path]:
    """The package's network with random weights, and the file that they are in."""
    from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-untyped]

    torch.manual_seed(number)
    network = EfficientNet.from_name(f"efficientnet-lite{number}", image_size=SIDE)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.001, 0.4)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, 0.5, 1.5)
    torch.save(network.state_dict(), folder / "weights.pth")
    return network.eval(), folder / "weights.pth"


@pytest.mark.parametrize("number", [0, 2])
@torch.no_grad()
def test_the_same_numbers_as_their_package(number: int, tmp_path: Path) -> None:
    theirs, path = published(tmp_path, number)
    assert main([str(path), "-o", str(tmp_path / "model.pt")]) == 0
    stored = load_network(tmp_path / "model.pt")
    assert isinstance(stored.network, EfficientNetLite) and stored.kind == "efficientnet-lite"
    assert stored.source["architecture"] == "EfficientNet-Lite" and len(stored.details["labels"]) == 1000
    # In float64: twenty blocks of random weights blow the rounding up, and it is not what is compared.
    images = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(7)).double()
    expected = theirs.double()(images)
    assert float(expected.std()) > 0.05  # they say something
    difference = (stored.network.double()(images) - expected).abs().max()
    assert float(difference) <= 1e-4 * float(expected.abs().max())
    image = load_teacher(tmp_path / "model.pt").image
    assert image.mean[0] == pytest.approx(127 / 255) and image.std[0] == pytest.approx(128 / 255)


def _without_a_tensor(state: dict[str, Any]) -> None:
    del state["_fc.bias"]


def _with_another_shape(state: dict[str, Any]) -> None:
    state["_blocks.3._bn1.weight"] = torch.zeros(7)


def _with_one_more(state: dict[str, Any]) -> None:
    state["_extra.weight"] = torch.zeros(1)


def _of_another_width(state: dict[str, Any]) -> None:
    state["_blocks.15._project_conv.weight"] = torch.zeros(7, 1152, 1, 1)


def _of_another_network(state: dict[str, Any]) -> None:
    state.clear()
    state["blocks.0.weight"] = torch.zeros(1)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without_a_tensor, "weights.pth: missing: _fc.bias"),
        (_with_another_shape, r"wrongly shaped: _blocks.3._bn1.weight is \(7,\), not \(144,\)"),
        (_with_one_more, "left over: _extra.weight"),
        (_of_another_width, "no EfficientNet-Lite has 16 blocks, the last 7 wide"),
        (_of_another_network, "weights.pth: holds no weights of EfficientNet-Lite"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(
    spoil: Callable[[dict[str, Tensor]], None], message: str, tmp_path: Path
) -> None:
    _, path = published(tmp_path, 0)
    state = torch.load(path, weights_only=True)
    spoil(state)
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=message):
        import_file(path)


def test_a_name_stands_for_the_file_in_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "efficientnet_lite3_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('its code is not run')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(CheckpointError, match="holds 0 files of weights"):
        installed_weights("efficientnet-lite3")
    (package / "models" / "a.pth").write_bytes(b"torn")
    assert installed_weights("efficientnet-lite3") == package / "models" / "a.pth"
    assert main(["efficientnet-lite3", "-o", str(tmp_path / "x.pt")]) == 2
    assert "a.pth: cannot be read" in capsys.readouterr().err
    assert main(["efficientnet-lite4", "-o", str(tmp_path / "x.pt")]) == 2
    assert "pip install efficientnet_lite4_pytorch_model" in capsys.readouterr().err
