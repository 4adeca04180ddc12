"""A trained ear as a streaming ONNX graph: static shapes, named states, readable layer names.

The graph is ``forward_chunk`` with its states spelled out::

    features (1, 4n, 80) ┐                          ┌ phone_log_probs (1, n, 40)
    keep (1,)            ├──  forward_chunk  ──────┤ token_log_probs (1, n, 29)
    state.NAME           ┘                          └ next.NAME, shaped like state.NAME

Of a network with a decoder, ``rows`` (1, rows of the chunk, width) stand behind the two heads' answers; the
decoder itself is no part of the graph (:mod:`galago.quantize.ear.decoder_file`).
Frames and tokens are the network's: of raw samples, ``features`` are (1, n, 320).
Engines without states of their own run it as it is; the others turn each pair into a variable.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from galago.models.ear import Ear
from galago.quantize.export import NEXT_PREFIX, STATE_PREFIX, ExportError, check_weights, write_onnx

__all__ = ["GraphShape", "export_onnx", "graph_shape"]


@dataclass(frozen=True)
class GraphShape:
    """The fixed sizes of one streaming graph."""

    chunk_tokens: int
    left_context_tokens: int
    lookahead_tokens: int
    chunk_frames: int
    values_per_frame: int
    num_phones: int
    num_tokens: int
    states: dict[str, tuple[int, ...]]  # without prefix, in the order of the graph's inputs
    rows: tuple[int, int] | None = None  # of a chunk, and their width, for a decoder


def graph_shape(model: Ear, chunk_tokens: int) -> GraphShape:
    """The sizes of the graph that :func:`export_onnx` writes."""
    if chunk_tokens < 1:
        raise ExportError(f"chunk_tokens: expected 1 at least, found {chunk_tokens}")
    config, front_end = model.config, model.front_end
    return GraphShape(
        chunk_tokens=chunk_tokens,
        left_context_tokens=config.left_context_tokens,
        lookahead_tokens=config.lookahead_tokens,
        chunk_frames=chunk_tokens * front_end.frames_per_token,
        values_per_frame=front_end.values_per_frame,
        num_phones=config.num_phones,
        num_tokens=config.num_tokens,
        states={name: tuple(state.shape) for name, state in model.initial_states().items()},
        rows=model.row_shape(chunk_tokens),
    )


class _StreamingGraph(nn.Module):
    """``forward_chunk`` as a ``forward`` over flat lists, which is what an exporter can trace."""

    def __init__(self, model: Ear, *, has_rows: bool) -> None:
        super().__init__()
        self.model = model
        self.has_rows = has_rows
        self.names = list(model.initial_states())

    def forward(self, features: Tensor, keep: Tensor, states: list[Tensor]) -> tuple[Tensor, ...]:
        named = dict(zip(self.names, states, strict=True))
        if self.has_rows:
            phones, tokens, rows, new = self.model.forward_chunk_rows(features, keep, named)
            return (phones, tokens, rows, *new.values())
        phones, tokens, new = self.model.forward_chunk(features, keep, named)
        return (phones, tokens, *new.values())


def export_onnx(model: Ear, chunk_tokens: int, path: Path) -> GraphShape:
    """Write the streaming graph of ``model`` for chunks of ``chunk_tokens``.

    Raises:
        ExportError: chunk_tokens is no chunk, or a weight is not finite.
    """
    shape = graph_shape(model, chunk_tokens)
    check_weights(model)
    write_onnx(
        _StreamingGraph(model, has_rows=shape.rows is not None),
        (
            torch.zeros(1, shape.chunk_frames, shape.values_per_frame),
            torch.ones(1),
            list(model.initial_states().values()),
        ),
        path,
        input_names=["features", "keep", *(STATE_PREFIX + name for name in shape.states)],
        output_names=[
            "phone_log_probs",
            "token_log_probs",
            *(["rows"] if shape.rows is not None else []),
            *(NEXT_PREFIX + name for name in shape.states),
        ],
    )
    return shape
