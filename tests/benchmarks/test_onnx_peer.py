"""The ONNX Runtime peer, on a graph that is a single linear layer with a memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.onnx_peer import GreedyText, OnnxEar, StreamingFeatures, chunks_of, quantise

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("kaldi_native_fbank")

CHUNK_FRAMES, NUM_MELS, NUM_OUTPUTS = 8, 80, 5


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """phone_log_probs = features @ W + keep * state; the new state is that sum; tokens are the same."""
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(1).normal(0, 0.02, (NUM_MELS, NUM_OUTPUTS)).astype(np.float32)
    out_shape = [1, CHUNK_FRAMES, NUM_OUTPUTS]

    def value(name: str, shape: list[int]) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    model = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("MatMul", ["features", "weights"], ["linear"]),
                helper.make_node("Mul", ["memory", "keep"], ["kept"]),
                helper.make_node("Add", ["linear", "kept"], ["phone_log_probs"]),
                helper.make_node("Identity", ["phone_log_probs"], ["token_log_probs"]),
                helper.make_node("Identity", ["phone_log_probs"], ["new_memory"]),
            ],
            "ear",
            [value("features", [1, CHUNK_FRAMES, NUM_MELS]), value("keep", [1]), value("memory", out_shape)],
            [value(name, out_shape) for name in ("phone_log_probs", "token_log_probs", "new_memory")],
            [numpy_helper.from_array(weights, "weights")],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=10,
    )
    path = tmp_path / "ear.onnx"
    onnx.save(model, path)
    return path


def _noise(seconds: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.random.default_rng(2).normal(0, 0.1, round(seconds * 16_000)).astype(np.float32)


def test_states_go_from_step_to_step_and_reset_forgets_them(graph: Path) -> None:
    ear = OnnxEar(graph)
    chunks = chunks_of(_noise(0.5), CHUNK_FRAMES)
    alone = []
    for chunk in chunks:
        ear.reset()
        alone.append(ear.step(chunk)[0].copy())
    ear.reset()
    chained = [ear.step(chunk)[0].copy() for chunk in chunks]
    assert len(chunks) == 6
    np.testing.assert_allclose(chained, np.cumsum(alone, axis=0), atol=1e-4)


def test_int8_is_calibrated_on_the_streams_real_states(graph: Path, tmp_path: Path) -> None:
    chunks = chunks_of(_noise(1.0), CHUNK_FRAMES)
    int8 = OnnxEar(quantise(graph, tmp_path / "int8.onnx", [chunks]))
    fp32 = OnnxEar(graph)
    for chunk in chunks:
        expected, found = fp32.step(chunk)[0], int8.step(chunk)[0]
    error = np.abs(found - expected).max()
    assert 0.0 < error < 0.05 * np.abs(expected).max()
    assert not list(tmp_path.glob("*.prepared.onnx"))


def test_features_come_in_whole_chunks_whatever_the_blocks(graph: Path) -> None:
    samples = _noise(0.4)
    features = StreamingFeatures()
    assert features.pop(1) is None
    found = []
    for begin in range(0, len(samples), 160):
        features.push(samples[begin : begin + 160])
        while (chunk := features.pop(CHUNK_FRAMES)) is not None:
            found.append(chunk)
    np.testing.assert_array_equal(found, chunks_of(samples, CHUNK_FRAMES))


def test_greedy_text_joins_repeats_across_chunks() -> None:
    tokens = ["<blank>", " ", "'", "a", "b"]
    text = GreedyText(tokens)
    for path in ([1, 3, 3], [3, 0, 3], [1, 1, 4]):
        text.advance(np.eye(5, dtype=np.float32)[path])
    assert text.text == "aa b"
