"""Moonshine's encoder: the numbers of transformers' class, and the integers of a graph of ONNX Runtime."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from galago.models.checkpoint import import_file, import_folder, load_network
from galago.models.moonshine import MOONSHINE_PRESETS, MoonshineConfig, MoonshineEncoder
from galago.models.published.command import main
from galago.models.published.moonshine import installed_moonshine
from galago.models.training.checkpoints import CheckpointError
from tests.models.published.folders import change_json, make_published
from tests.models.test_wav2vec2 import speech

MOONSHINE: dict[str, Any] = {
    "hidden_size": 24,
    "intermediate_size": 32,
    "encoder_num_hidden_layers": 2,
    "decoder_num_hidden_layers": 1,
    "encoder_num_attention_heads": 2,
    "decoder_num_attention_heads": 2,
    "vocab_size": 50,
}
NANO = MoonshineConfig(width=24, num_blocks=2, num_heads=2, feed_forward_width=32, rotary_width=10)


@torch.no_grad()
def test_the_same_numbers_as_transformers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = make_published(tmp_path, "Moonshine", suffix="ForConditionalGeneration", **MOONSHINE)
    assert main([str(tmp_path), "-o", str(tmp_path / "model.pt")]) == 0
    assert "moonshine of MoonshineForConditionalGeneration, 0.0 M parameters" in capsys.readouterr().out
    stored = load_network(tmp_path / "model.pt")
    assert isinstance(stored.network, MoonshineEncoder)
    assert stored.network.config == NANO  # 10 of 12 channels: 0.9 of them, cut
    for num_samples in (895, 1279, 4000, 16_000):
        samples = speech(num_samples, batch=2)
        expected = theirs.model.encoder(samples).last_hidden_state
        found, num_rows = stored.network(samples, torch.full((2,), num_samples))
        assert found.shape == expected.shape and num_rows.tolist() == [expected.shape[1]] * 2
        assert float((found - expected).abs().max()) <= 1e-5
    assert float(expected.std()) > 0.3  # they say something


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder_hidden_act": "relu"}, 'encoder_hidden_act is "relu"; galago knows "gelu"'),
        ({"attention_bias": True}, "attention_bias is true; galago knows false"),
        ({"encoder_num_key_value_heads": 1}, "encoder_num_key_value_heads is 1; galago knows 2"),
        ({"rope_parameters": {"rope_type": "linear"}}, 'rope_type is "linear"; galago knows "default"'),
        ({"rope_parameters": {"rope_theta": 5e5}}, "rope_theta is 500000.0; galago knows 10000.0"),
        ({"rope_parameters": {"partial_rotary_factor": 0.8}}, "rotary_width 9 is no even part of 12"),
        ({"rope_parameters": None}, "rope_parameters must be dict, got None"),
        ({"encoder_num_hidden_layers": 1}, "left over: model.encoder.layers.1.input_layernorm.weight"),
        ({"encoder_num_hidden_layers": 3}, "missing: model.encoder.layers.2.self_attn.q_proj.weight"),
        ({"intermediate_size": 40}, r"layers.0.mlp.fc1.weight is \(32, 24\), not \(40, 24\)"),
        (
            {"encoder_num_attention_heads": 5, "encoder_num_key_value_heads": 5},
            "width 24 must be even and a multiple of num_heads 5",
        ),
    ],
)
def test_what_galago_has_not_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    make_published(tmp_path, "Moonshine", suffix="ForConditionalGeneration", **MOONSHINE)
    change_json(tmp_path / "config.json", **changes)
    with pytest.raises(CheckpointError, match=message):
        import_folder(tmp_path)


def test_older_folders_have_no_table_of_rotations(tmp_path: Path) -> None:
    make_published(tmp_path, "Moonshine", suffix="ForConditionalGeneration", **MOONSHINE)
    older = {"rope_parameters": {}, "rope_theta": 10_000, "partial_rotary_factor": 0.7}
    change_json(tmp_path / "config.json", **older)
    network = import_folder(tmp_path).network
    assert isinstance(network, MoonshineEncoder) and network.config.rotary_width == 8


def linear_maps(network: MoonshineEncoder) -> dict[str, Tensor]:
    """Weights (outputs, inputs) that a published graph holds as integers, by the name of their node."""
    return {
        f"/{node.replace('.', '/')}/MatMul_quant": weight
        for node, weight in published_weights(network).items()
        if ".self_attn." in node or ".mlp." in node
    }


def published_weights(network: MoonshineEncoder) -> dict[str, Tensor]:
    """Weights by their published names, without ``.weight``."""
    weights = {f"conv{i + 1}": c.weight for i, c in enumerate(network.stem.convolutions)}
    parts = {
        "attention.query": "self_attn.q_proj",
        "attention.key": "self_attn.k_proj",
        "attention.value": "self_attn.v_proj",
        "attention.out": "self_attn.o_proj",
        "attention_norm": "input_layernorm",
        "feed_forward_norm": "post_attention_layernorm",
        "expand": "mlp.fc1",
        "project": "mlp.fc2",
    }
    for i, block in enumerate(network.blocks):
        weights |= {f"layers.{i}.{there}": block.get_submodule(here).weight for here, there in parts.items()}
    return {**weights, "layer_norm": network.norm.weight}  # type: ignore[dict-item]


def write_graph(
    path: Path, network: MoonshineEncoder, *, without: str = "", linear: str = "/layers"
) -> dict[str, np.ndarray[Any, Any]]:
    """A graph with this network's weights, named as the published one, and what its integers stand for.

    Its nodes have the inputs that are weights, and add up to nothing of use. Biases of linear maps and norms
    are zero. ``without`` is a constant that is left out; ``linear`` what linear maps' nodes begin with.
    """
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    nodes: list[Any] = []
    constants: dict[str, np.ndarray[Any, Any]] = {}
    stand_for: dict[str, np.ndarray[Any, Any]] = {}

    def node(kind: str, name: str, inputs: list[str], domain: str = "") -> None:
        kept = ["" if one == without else one for one in inputs]
        nodes.append(helper.make_node(kind, kept, [f"{name}_output_0"], name=name, domain=domain))

    def constant(name: str, value: Tensor | np.ndarray[Any, Any]) -> str:
        constants[name] = value.detach().numpy() if isinstance(value, Tensor) else np.asarray(value)
        return name

    for i, convolution in enumerate(network.stem.convolutions):
        name = f"conv{i + 1}"
        inputs = [f"x_{name}", constant(f"{name}.weight_add_tensor", convolution.weight)]  # type: ignore[arg-type]
        if convolution.bias is not None:
            inputs.append(constant(f"{name}.bias", convolution.bias))  # type: ignore[arg-type]
        node("Conv", f"/{name}/Conv", inputs)
    norm = network.stem.group_norm
    assert norm is not None
    node("Mul", "/groupnorm/Mul", ["x", constant("onnx::Mul_2080", norm.weight[:, None])])
    node("Add", "/groupnorm/Add", ["x", constant("onnx::Add_2081", norm.bias[:, None])])
    for number, (name, weight) in enumerate(linear_maps(network).items()):
        values = weight.detach().numpy().T
        zero = np.array(120 + number % 10, dtype=np.uint8)
        scale = np.array(np.abs(values).max() / 110.0, dtype=np.float32)
        base = f"onnx::MatMul_{2000 + number}"
        integers = np.clip(np.round(values / scale) + zero, 0, 255).astype(np.uint8)
        stand_for[name] = (integers.astype(np.float32) - np.float32(zero)) * scale
        inputs = [f"x_{values.shape[0]}", constant(f"{base}_quantized", integers)]
        inputs += [constant(f"{base}_scale", scale), constant(f"{base}_zero_point", zero)]
        if "/mlp/" in name:
            key = name[1:].removesuffix("/MatMul_quant").replace("/", ".")
            inputs.append(constant(f"{key}.bias", np.full(values.shape[1], 0.25, dtype=np.float32)))
        node("DynamicQuantizeMatMul", name.replace("/layers", linear, 1), inputs, "com.microsoft")
    for name, weight in published_weights(network).items():
        if name.endswith("norm"):
            layer = f"/{name.replace('.', '/')}/LayerNormalization"
            node("LayerNormalization", layer, ["x_24", constant(f"{name}.weight", weight)])
    width = network.config.width
    shapes = {
        "x": [1, width, 50],
        "x_conv1": [1, 1, 500],
        "x_conv2": [1, width, 50],
        "x_conv3": [1, 2 * width, 50],
        f"x_{width}": [1, 5, width],
        f"x_{network.config.feed_forward_width}": [1, 5, network.config.feed_forward_width],
    }
    floating = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info(name, floating, shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info(n.output[0], floating, None) for n in nodes],
        [numpy_helper.from_array(v, n) for n, v in constants.items() if n != without],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.save_model_format", "ORT")
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return stand_for


@pytest.fixture
def nano(monkeypatch: pytest.MonkeyPatch) -> MoonshineEncoder:
    """A network of random weights, of a size that counts as published."""
    monkeypatch.setitem(MOONSHINE_PRESETS, "nano", NANO)
    torch.manual_seed(5)
    network = MoonshineEncoder(NANO)
    for parameter in network.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return network.eval()


def test_a_graph_of_onnx_runtime_is_what_its_integers_stand_for(
    nano: MoonshineEncoder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_for = write_graph(tmp_path / "encoder_model.ort", nano)
    assert main([str(tmp_path / "encoder_model.ort"), "-o", str(tmp_path / "model.pt")]) == 0
    assert "moonshine of Moonshine, 0.0 M parameters" in capsys.readouterr().out
    stored = load_network(tmp_path / "model.pt")
    assert isinstance(stored.network, MoonshineEncoder) and stored.network.config == NANO
    assert list(stored.source["sha256"]) == ["encoder_model.ort"]
    found = linear_maps(stored.network)
    assert len(found) == len(stand_for) == 12
    for name, expected in stand_for.items():
        assert np.array_equal(found[name].detach().numpy(), expected.T), name
    ours = stored.network.state_dict()
    for name, value in nano.state_dict().items():
        if value.ndim != 2:  # all but linear maps is in float there
            is_linear_bias = name.endswith(("expand.bias", "project.bias"))
            torch.testing.assert_close(ours[name], torch.full_like(value, 0.25) if is_linear_bias else value)


def test_graphs_that_do_not_fit_are_refused_by_name(nano: MoonshineEncoder, tmp_path: Path) -> None:
    path = tmp_path / "encoder_model.ort"
    write_graph(path, nano, without="conv3.bias")
    with pytest.raises(CheckpointError, match="encoder_model.ort: missing: conv3.bias$"):
        import_file(path)
    write_graph(path, nano, linear="/decoder")
    with pytest.raises(CheckpointError, match="missing: layers.0.self_attn.q_proj.*left over: decoder.0.mlp"):
        import_file(path)
    write_graph(path, nano, without="onnx::MatMul_2003_zero_point")
    with pytest.raises(CheckpointError, match="onnx::MatMul_2003_quantized has no scale and zero point"):
        import_file(path)
    write_graph(path, MoonshineEncoder(NANO.with_(num_blocks=3)))
    with pytest.raises(CheckpointError, match="encoder_model.ort: no published Moonshine has 3 blocks, 24"):
        import_file(path)
    write_graph(path, MoonshineEncoder(NANO.with_(feed_forward_width=40)))
    with pytest.raises(CheckpointError, match=r"layers.0.mlp.fc1.weight is \(40, 24\), not \(32, 24\)"):
        import_file(path)


def test_a_file_that_is_no_graph_is_refused_by_name(nano: MoonshineEncoder, tmp_path: Path) -> None:
    path = tmp_path / "encoder_model.ort"
    write_graph(path, nano)
    whole = path.read_bytes()
    for contents in (b"", whole[:6], whole[: len(whole) // 2], whole[:40], b"ORTM" + whole, b"\0" * 500):
        path.write_bytes(contents)
        with pytest.raises(CheckpointError, match="encoder_model.ort: is no graph of ONNX Runtime"):
            import_file(path)


def test_onnx_runtime_is_asked_for_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "encoder_model.ort"
    path.write_bytes(b"anything")
    for module in [name for name in sys.modules if name.split(".")[0] == "onnxruntime"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(CheckpointError, match=r"encoder_model.ort: .* pip install onnxruntime$"):
        import_file(path)


def test_a_name_stands_for_the_graph_in_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert main(["moonshine-tiny", "-o", str(tmp_path / "x.pt")]) == 2
    assert "pip install moonshine-voice" in capsys.readouterr().err
    package = tmp_path / "moonshine_voice"
    (package / "assets" / "tiny-en").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('its code is not run')\n")
    with pytest.raises(CheckpointError, match="encoder_model.ort: is not in this version of moonshine-voice"):
        installed_moonshine()
    (package / "assets" / "tiny-en" / "encoder_model.ort").write_bytes(b"torn")
    assert installed_moonshine() == package / "assets" / "tiny-en" / "encoder_model.ort"
