"""An eye packed alone and into a bundle that hears: the runtime's reader, and its bytes, must agree."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from galago.models.training.eye.labels import EyeLabel
from galago.models.training.eye.networks import EyeConfig
from galago.models.training.eye.trainer import save_eye
from galago.quantize import command
from galago.quantize.compile_openvino import convert_onnx
from galago.quantize.eye.export import export_onnx, folded
from galago.quantize.eye.golden import draw_picture
from galago.quantize.eye.oracle import EyeOracle, network_input
from galago.quantize.layers import weighted_layers
from galago.runtime.bundle_folder import check_files
from galago.runtime.manifest import read_manifest
from tests.make_tiny_bundle import make_tiny_bundle
from tests.quantize.eye.tiny import (
    CONFIG,
    DESCRIPTION,
    LABELS,
    MOBILE,
    RECIPE,
    TEACHER,
    save_tiny_eye,
    tiny_eye,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_tiny_eye(tmp_path_factory.mktemp("eye"))
    (folder / "eye.pack.toml").write_text(RECIPE)
    return folder


def packed(run: Path, *options: str) -> int:
    return command.main([str(run), "--recipe", str(run / "eye.pack.toml"), "--no-timing", *options])


@pytest.fixture(scope="module")
def bundle(run: Path) -> Path:
    assert packed(run, "-o", str(run / "bundle")) == 0
    return run / "bundle"


def digests(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("config", [CONFIG, MOBILE, TEACHER], ids=["conv", "mobile", "teacher"])
def test_folding_leaves_no_norm_and_the_same_logits(config: EyeConfig) -> None:
    model = tiny_eye(config)
    plain = folded(model)
    assert not [m for m in plain.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    image = torch.randn(2, 3, config.height, config.width)
    with torch.no_grad():
        torch.testing.assert_close(plain(image), model(image), atol=1e-4, rtol=1e-4)
    assert any(isinstance(m, nn.BatchNorm2d) for m in model.modules())  # the one that was given is left alone


@pytest.mark.parametrize(
    ("config", "layer"),
    [
        (CONFIG, "stages.0.1.attention.query_key_value"),
        (MOBILE, "embedding.cut.body.4.depthwise"),
        (TEACHER, "body.4.depthwise"),
    ],
    ids=["conv", "mobile", "teacher"],
)
def test_the_graph_follows_torch(config: EyeConfig, layer: str, tmp_path: Path) -> None:
    model = tiny_eye(config)
    export_onnx(model, tmp_path / "eye.onnx")
    graph = convert_onnx(tmp_path / "eye.onnx")
    picture = draw_picture(100, 90)
    image = dataclasses.replace(DESCRIPTION.image, height=config.height, width=config.width)
    with torch.no_grad():
        expected = model(torch.from_numpy(network_input(image, picture)))[0].numpy()
    found = EyeOracle(graph, image).logits(picture)
    # ONNX Runtime answers like torch to 1e-6; OpenVINO's f32 kernels for so few channels do not.
    np.testing.assert_allclose(found, expected, atol=1e-3, rtol=1e-3)
    assert any(name.startswith(layer) for name in weighted_layers(graph)), weighted_layers(graph)


def test_the_manifest_says_what_the_eye_is(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    check_files(bundle, manifest)
    eye = manifest.eye
    assert manifest.ear is None and eye is not None
    assert (manifest.name, manifest.languages, manifest.description) == ("tiny-eye", (), "Sees nothing.")
    assert [(known.name, known.group, known.coarse) for known in eye.labels] == [
        (label.name, label.group, label.coarse) for label in LABELS
    ]
    assert (eye.image.width, eye.image.height, eye.image.mean) == (48, 32, (0.5, 0.45, 0.4))
    assert (eye.temperature, eye.accept_probability, eye.smoothing_half_life_ms) == (1.5, 0.2, 250)
    assert [target.dtype for target in eye.targets] == ["int8"]


def test_the_golden_picture_is_what_the_packed_files_answer(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    (golden,) = manifest.golden_images
    picture = np.fromfile(bundle / golden.image, np.uint8).reshape(golden.height, golden.width, 3)
    assert golden.width > 48 and golden.height > 32
    logits = EyeOracle(bundle / "eye/int8.xml", DESCRIPTION.image).logits(picture)
    np.testing.assert_allclose(np.fromfile(bundle / golden.logits, "<f4"), logits, atol=1e-4)
    assert golden.label == LABELS[int(logits.argmax())].name


def test_layers_are_int8_but_not_the_products_inside_attention(run: Path, bundle: Path) -> None:
    report = json.loads((run / "pack/report.json").read_text())
    names = [layer["name"] for layer in report["quantization"]["layers"]]
    # Stem 3, three blocks of 1 convolution and 4 linear maps, merging, head.
    assert len(names) == 3 + 3 * 5 + 1 + 1
    assert not [name for name in names if "attention/MatMul" in name]
    assert 0.0 < report["targets"]["openvino-int8"]["divergence"]["kl_nats"] < 0.1
    card = (bundle / "MODEL_CARD.md").read_text()
    assert "It has learned nothing." in card and "step 5" in card and "$" not in card
    assert "data:image/png;base64," in (run / "pack/report.html").read_text()


def test_an_eye_goes_into_a_bundle_that_hears(run: Path, bundle: Path, tmp_path: Path) -> None:
    both = make_tiny_bundle(tmp_path / "both")
    before, ear = digests(both), json.loads((both / "manifest.json").read_text())["roles"]["ear"]
    assert packed(run, "--into", str(both)) == 0

    manifest = read_manifest(both)
    assert manifest.ear is not None and manifest.eye is not None
    assert (manifest.name, manifest.languages) == ("galago-tiny", ("en-US",))
    assert manifest.description == "Hears chords: for tests only. Sees nothing."
    assert json.loads((both / "manifest.json").read_text())["roles"]["ear"] == ear
    after, alone = digests(both), digests(bundle)
    for name in before.keys() - {"manifest.json", "MODEL_CARD.md"}:
        assert after[name] == before[name]
    for name in ("eye/int8.xml", "eye/int8.bin", "golden/image.logits.f32"):
        assert after[name] == alone[name]  # and packing twice gives the same bytes
    assert packed(run, "--into", str(both)) == 0  # once more: the eye is exchanged
    assert digests(both) == after


def test_what_cannot_be_packed_is_said(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = str(tmp_path / "bundle")

    def complaint(change: tuple[str, str]) -> str:
        recipe = tmp_path / "changed.pack.toml"
        recipe.write_text(RECIPE.replace(*change))
        assert command.main([str(run), "-o", output, "--recipe", str(recipe)]) == 1
        return capsys.readouterr().err

    assert "names no albums" in complaint(("num_samples", 'splits = ["train"]\nnum_samples'))
    assert "lost.png: no image" in complaint(("num_samples", 'images = ["lost.png"]\nnum_samples'))
    assert "num_samples: must be at least 1" in complaint(("num_samples = 8", "num_samples = 0"))
    assert "role: must be one of ear, eye" in complaint(('role = "eye"', 'role = "nose"'))
    twins = tmp_path / "twins"
    twins.mkdir()
    labels = (*LABELS[:3], EyeLabel("red", "number", "red"))
    save_eye(twins / "model.pt", tiny_eye(), type(DESCRIPTION)(labels, DESCRIPTION.image))
    assert command.main([str(twins), "-o", output, "--recipe", str(run / "eye.pack.toml")]) == 1
    assert "two labels are called 'red'" in capsys.readouterr().err
    assert not Path(output).exists()
