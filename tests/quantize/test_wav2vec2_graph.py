"""The stream of wav2vec 2.0 as a graph of OpenVINO: the numbers of the whole in torch, chunk by chunk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from galago.models.wav2vec2 import Wav2Vec2
from galago.quantize.compile_openvino import compile_graph, convert_onnx
from galago.quantize.export import write_onnx
from tests.models.test_wav2vec2 import BASE, STEP, network, speech, whole

CHUNK_TOKENS = 4
NUM_CHUNKS = 500


class StreamingGraph(nn.Module):
    """``forward_chunk`` over flat lists, which an exporter can trace."""

    def __init__(self, model: Wav2Vec2) -> None:
        super().__init__()
        self.model, self.names = model, list(model.initial_states())

    def forward(self, samples: Tensor, keep: Tensor, states: list[Tensor]) -> tuple[Tensor, ...]:
        scores, new = self.model.forward_chunk(samples, keep, dict(zip(self.names, states, strict=True)))
        return (scores, *new.values())


@torch.no_grad()
@pytest.mark.parametrize("changes", [{}, {**BASE, "has_position_norm": True}], ids=["large", "base"])
def test_the_exported_stream_is_the_whole(changes: dict[str, Any], tmp_path: Path) -> None:
    model = network(**changes)
    states = model.initial_states()
    names, lag = list(states), model.config.position_lookahead_tokens
    inputs = (torch.zeros(1, STEP * CHUNK_TOKENS), torch.ones(1), list(states.values()))
    write_onnx(
        StreamingGraph(model),
        inputs,
        tmp_path / "stream.onnx",
        input_names=["samples", "keep", *names],
        output_names=["log_probs", *(f"next.{name}" for name in names)],
    )
    request = compile_graph(convert_onnx(tmp_path / "stream.onnx")).create_infer_request()
    x = speech(STEP * CHUNK_TOKENS * NUM_CHUNKS)
    remembered = [state.numpy() for state in states.values()]
    rows = []
    for chunk in torch.split(x, STEP * CHUNK_TOKENS, dim=1):
        found = request.infer([chunk.numpy(), torch.ones(1).numpy(), *remembered])
        values = [found[i].copy() for i in range(1 + len(names))]
        rows.append(torch.from_numpy(values[0]))
        remembered = values[1:]
    expected = whole(model, x, CHUNK_TOKENS)
    assert float((torch.cat(rows, dim=1)[:, lag:] - expected[:, :-lag]).abs().max()) <= 1e-4
