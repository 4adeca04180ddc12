"""The exported graph against torch, chained over hundreds of chunks."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from galago.quantize.compile_openvino import make_stateful
from galago.quantize.ear.export import export_onnx, graph_shape
from galago.quantize.ear.oracle import Oracle
from galago.quantize.export import ExportError
from tests.quantize.ear.tiny import CHUNKS, LOOKAHEADS, Exports, tiny_model

NUM_CHAINED = 500


@pytest.mark.parametrize("lookahead", LOOKAHEADS)
@pytest.mark.parametrize("chunk_tokens", CHUNKS)
def test_the_float_graph_follows_torch_for_500_chunks(
    exports: Exports, lookahead: int, chunk_tokens: int
) -> None:
    """Stateful, states inside the engine, against the states that torch hands from chunk to chunk."""
    model = exports.models[lookahead]
    oracle = Oracle(exports.graph(lookahead, chunk_tokens))
    rng = np.random.default_rng(3)
    states = model.initial_states()
    worst = 0.0
    with torch.no_grad():
        for number in range(NUM_CHAINED):
            features = rng.normal(-6.0, 4.0, (4 * chunk_tokens, 80)).astype(np.float32)
            keep = torch.tensor([1.0 if number else 0.0])
            phones, tokens, states = model.forward_chunk(torch.from_numpy(features)[None], keep, states)
            found_phones, found_tokens = oracle.step(features)
            worst = max(
                worst,
                float(np.abs(found_phones - phones[0].numpy()).max()),
                float(np.abs(found_tokens - tokens[0].numpy()).max()),
            )
    assert worst <= 1e-4


@pytest.mark.parametrize("lookahead", LOOKAHEADS)
def test_keep_zero_forgets_everything(exports: Exports, lookahead: int) -> None:
    oracle = Oracle(exports.graph(lookahead, 8))
    rng = np.random.default_rng(4)
    chunks = rng.normal(-6.0, 4.0, (6, 32, 80)).astype(np.float32)
    fresh = [oracle.step(chunk) for chunk in chunks[3:]]
    for chunk in chunks[:3]:
        oracle.step(chunk)
    carried = oracle.step(chunks[3])
    oracle.reset()
    again = [oracle.step(chunk) for chunk in chunks[3:]]
    np.testing.assert_array_equal(np.stack([a[0] for a in fresh]), np.stack([a[0] for a in again]))
    np.testing.assert_array_equal(np.stack([a[1] for a in fresh]), np.stack([a[1] for a in again]))
    assert np.abs(carried[0] - fresh[0][0]).max() > 1e-3  # else nothing was there to forget


def test_names_and_shapes_are_those_of_the_network(exports: Exports) -> None:
    graph = exports.graph(2, 8)
    shape = graph_shape(exports.models[2], 8)
    inputs = {port.get_any_name(): tuple(port.shape) for port in graph.inputs}
    outputs = {port.get_any_name(): tuple(port.shape) for port in graph.outputs}
    states = exports.models[2].initial_states()
    assert inputs == {
        "features": (1, 32, 80),
        "keep": (1,),
        **{f"state.{name}": tuple(state.shape) for name, state in states.items()},
    }
    assert outputs == {
        "phone_log_probs": (1, 8, 40),
        "token_log_probs": (1, 8, 29),
        **{f"next.{name}": tuple(state.shape) for name, state in states.items()},
    }
    assert list(shape.states) == list(states)
    assert shape.chunk_frames == 32


def test_layers_are_named_after_modules_alike_for_every_chunk(exports: Exports) -> None:
    names = []
    for chunk_tokens in (8, 4):
        graph = exports.graph(0, chunk_tokens)
        names.append(
            [n.get_friendly_name() for n in graph.get_ordered_ops() if n.get_type_name() == "MatMul"]
        )
    assert names[0] == names[1]
    assert "blocks.1.feed_forward1.expand/MatMul" in names[0]
    assert all(re.fullmatch(r"[a-z0-9_.]+/MatMul(_\d)?", name) for name in names[0])


def test_an_export_tells_nothing_about_the_machine(exports: Exports) -> None:
    data = exports.onnx(0, 8).read_bytes()
    for trace in (b"/conformer.py", b".venv", b"stack_trace", str(Path.cwd()).encode()):
        assert trace not in data


def test_positions_are_projected_before_run_time(exports: Exports) -> None:
    """The graph holds one product with ready positions for each block, not the projection itself."""
    graph = exports.graph(0, 8)
    assert not [n for n in graph.get_ordered_ops() if "attention.position" in n.get_friendly_name()]


def test_states_become_variables(exports: Exports) -> None:
    stateful = make_stateful(exports.graph(0, 8))
    assert [port.get_any_name() for port in stateful.inputs] == ["features", "keep"]
    assert len(stateful.get_sinks()) == len(exports.models[0].initial_states())
    assert len(exports.graph(0, 8).get_sinks()) == 0  # the graph that was given is left alone


def test_broken_weights_are_refused_by_name(tmp_path: Path) -> None:
    model = tiny_model()
    with torch.no_grad():
        model.blocks[1].feed_forward1.expand.weight[0, 0] = float("nan")  # type: ignore[union-attr, operator]
    with pytest.raises(ExportError, match=r"blocks\.1\.feed_forward1\.expand\.weight"):
        export_onnx(model, 8, tmp_path / "broken.onnx")
    assert not (tmp_path / "broken.onnx").exists()


def test_a_chunk_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="chunk_tokens"):
        export_onnx(tiny_model(), 0, tmp_path / "empty.onnx")
