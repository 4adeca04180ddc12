"""What training with integers has heard and seen is what the int8 graph answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import torch

from galago.models.conformer import Conformer, ConformerConfig
from galago.models.fake_quantization import (
    FakeQuantizePolicy,
    insert_fake_quantization,
    learned_scales,
    observe_ranges,
    plain_state,
    stored_scales,
)
from galago.models.training.checkpoints import CheckpointError
from galago.models.training.eye.networks import new_eye
from galago.quantize.calibration import Array
from galago.quantize.compile_openvino import compile_graph, convert_onnx
from galago.quantize.ear.export import export_onnx as export_ear
from galago.quantize.eye.export import export_onnx as export_eye
from galago.quantize.integer_graph import quantize_graph
from galago.quantize.layers import quantized_layers
from galago.quantize.learned import checkpoint_scales, plan_of_learned
from galago.quantize.quantize import QuantizationConfig
from galago.quantize.quantizer import QuantizationError
from tests.quantize.eye.tiny import tiny_eye

CHUNK_TOKENS, NUM_CHUNKS = 4, 4


def frames() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(1, 4 * CHUNK_TOKENS * NUM_CHUNKS, 80, generator=generator) * 3.0 - 6.0


def trained_ear(*, learned: bool) -> Conformer:
    """A Conformer whose ranges are known; its weights are random, all biases too."""
    torch.manual_seed(7)
    model = Conformer(
        ConformerConfig(width=16, num_blocks=1, phone_block=1, left_context_tokens=8, lookahead_tokens=1)
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    policy = FakeQuantizePolicy(ignored=(r".*\.attention\.position",), learned=learned)
    count = torch.tensor([frames().shape[1]])
    insert_fake_quantization(model, policy, lambda net: net(frames(), count))
    observe_ranges(model, True)
    model.train()(frames(), count)
    observe_ranges(model, False)
    for name, parameter in model.named_parameters():
        if name.endswith("log_scale"):
            parameter.data -= 0.1  # as if learned: not what the extremes say
    return model.eval()


def in_torch(model: Conformer) -> Array:
    states, rows = model.initial_states(), []
    for number, chunk in enumerate(torch.split(frames(), 4 * CHUNK_TOKENS, dim=1)):
        _, tokens, states = model.forward_chunk(chunk, torch.tensor([float(number > 0)]), states)
        rows.append(tokens.detach().numpy())
    return np.concatenate(rows, axis=1)


@pytest.fixture(scope="module")
def ear_graph(tmp_path_factory: pytest.TempPathFactory) -> ov.Model:
    """The float graph of the plain network, whose weights no range changes."""
    model = trained_ear(learned=False)
    plain = Conformer(model.config)
    plain.load_state_dict(plain_state(model))
    path = tmp_path_factory.mktemp("ear") / "ear.onnx"
    export_ear(plain.eval(), CHUNK_TOKENS, path)
    return convert_onnx(path)


@pytest.mark.parametrize("learned", [False, True])
def test_an_ear_answers_in_int8_what_it_answered_in_training(learned: bool, ear_graph: ov.Model) -> None:
    model, graph = trained_ear(learned=learned), ear_graph
    scales = learned_scales(model)
    quantized = quantize_graph(graph, plan_of_learned(graph, scales, QuantizationConfig()))
    assert {name.partition("/")[0] for name in quantized_layers(quantized)} == set(scales)

    wanted = in_torch(model)
    answers = {}
    for kind, each in (("int8", quantized), ("float", graph)):
        request = compile_graph(each).create_infer_request()
        shapes = {port.get_any_name(): list(port.shape) for port in each.inputs}
        feed = {n: np.zeros(s, np.float32) for n, s in shapes.items() if n.startswith("state.")}
        rows = []
        for number, chunk in enumerate(torch.split(frames(), 4 * CHUNK_TOKENS, dim=1)):
            keep = np.full(1, float(number > 0), np.float32)
            request.infer({**feed, "features": chunk.numpy(), "keep": keep})
            rows.append(request.get_tensor("token_log_probs").data.copy())
            feed = {n: request.get_tensor(n.replace("state.", "next.")).data.copy() for n in feed}
        answers[kind] = np.concatenate(rows, axis=1)
    error, cost = (np.abs(answers[kind] - wanted).mean() for kind in ("int8", "float"))
    # Sums in another order put a value between two steps on the other side now and then: no more than that.
    assert error < 0.15 * cost and cost > 1e-4


def test_an_eye_answers_in_int8_what_it_answered_in_training(tmp_path: Path) -> None:
    """BatchNorm is folded into the weights before they are quantized, in training as in the graph."""
    model = tiny_eye()
    images = torch.randn(8, 3, 32, 48, generator=torch.Generator().manual_seed(2))
    insert_fake_quantization(model, FakeQuantizePolicy(), lambda net: net(images))
    model.train()(images)
    model.eval()
    plain = new_eye(model.config)
    plain.load_state_dict(plain_state(model))
    export_eye(plain.eval(), tmp_path / "eye.onnx")
    graph = convert_onnx(tmp_path / "eye.onnx")
    quantized = quantize_graph(graph, plan_of_learned(graph, learned_scales(model), QuantizationConfig()))
    errors, costs = [], []
    for image in images[:3]:
        with torch.no_grad():
            wanted = model(image[None]).numpy()
        inputs = {"image": image[None].numpy()}
        errors.append(np.abs(compile_graph(quantized)(inputs)["logits"] - wanted).mean())
        costs.append(np.abs(compile_graph(graph)(inputs)["logits"] - wanted).mean())
    assert np.mean(errors) < 0.25 * np.mean(costs) and np.mean(costs) > 1e-4

    scales = learned_scales(model)
    some = {name: scales[name] for name in ("head", "stages.0.0.expand")}
    plan = plan_of_learned(graph, some, QuantizationConfig(ignored_layers=("head/.*",)))
    assert [name.partition("/")[0] for name in plan.layers] == ["stages.0.0.expand"] and plan.is_learned
    with pytest.raises(QuantizationError, match="no_such.layer: was trained with integers"):
        plan_of_learned(graph, {"no_such.layer": scales["head"]}, QuantizationConfig())
    with pytest.raises(QuantizationError, match="4 scales for 8 output channels"):
        plan_of_learned(graph, {"stages.0.0.attention.out": scales["head"]}, QuantizationConfig())


def test_a_checkpoint_without_scales_was_trained_in_float(tmp_path: Path) -> None:
    torch.save({"model": {}}, tmp_path / "model.pt")
    assert checkpoint_scales(tmp_path / "model.pt") == {}
    stored = stored_scales(trained_ear(learned=False))
    torch.save({"model": {}, **stored}, tmp_path / "model.pt")
    assert "phone_head" in checkpoint_scales(tmp_path / "model.pt")
    del stored["quantization"]["phone_head"]["input_scale"]
    torch.save({"model": {}, **stored}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="no scales of this version: 'input_scale'"):
        checkpoint_scales(tmp_path / "model.pt")
