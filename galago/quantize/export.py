"""A trained Conformer as a streaming ONNX graph: static shapes, named states, readable layer names.

The graph is ``forward_chunk`` with its states spelled out::

    features (1, 4n, 80) ┐                          ┌ phone_log_probs (1, n, 40)
    keep (1,)            ├──  forward_chunk  ──────┤ token_log_probs (1, n, 29)
    state.NAME           ┘                          └ next.NAME, shaped like state.NAME

Engines without states of their own run it as it is; the others turn each pair into a variable.
"""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from galago.models.conformer import SUBSAMPLING_FACTOR, Conformer

__all__ = ["NEXT_PREFIX", "STATE_PREFIX", "ExportError", "GraphShape", "export_onnx", "graph_shape"]

STATE_PREFIX = "state."
NEXT_PREFIX = "next."
OPSET_VERSION = 20  # what the exporter emits without converting: a conversion would rename nodes


class ExportError(RuntimeError):
    """A network cannot be exported; the message names the layer or the tensor."""


@dataclass(frozen=True)
class GraphShape:
    """The fixed sizes of one streaming graph."""

    chunk_tokens: int
    left_context_tokens: int
    lookahead_tokens: int
    num_mels: int
    num_phones: int
    num_tokens: int
    states: dict[str, tuple[int, ...]]  # without prefix, in the order of the graph's inputs

    @property
    def chunk_frames(self) -> int:
        return self.chunk_tokens * SUBSAMPLING_FACTOR


def graph_shape(model: Conformer, chunk_tokens: int) -> GraphShape:
    """The sizes of the graph that :func:`export_onnx` writes."""
    if chunk_tokens < 1:
        raise ExportError(f"chunk_tokens: expected 1 at least, found {chunk_tokens}")
    config = model.config
    return GraphShape(
        chunk_tokens=chunk_tokens,
        left_context_tokens=config.left_context_tokens,
        lookahead_tokens=config.lookahead_tokens,
        num_mels=config.num_mels,
        num_phones=config.num_phones,
        num_tokens=config.num_tokens,
        states={name: tuple(state.shape) for name, state in model.initial_states().items()},
    )


class _StreamingGraph(nn.Module):
    """``forward_chunk`` as a ``forward`` over flat lists, which is what an exporter can trace."""

    def __init__(self, model: Conformer) -> None:
        super().__init__()
        self.model = model
        self.names = list(model.initial_states())

    def forward(self, features: Tensor, keep: Tensor, states: list[Tensor]) -> tuple[Tensor, ...]:
        phones, tokens, new = self.model.forward_chunk(
            features, keep, dict(zip(self.names, states, strict=True))
        )
        return (phones, tokens, *new.values())


def export_onnx(model: Conformer, chunk_tokens: int, path: Path) -> GraphShape:
    """Write the streaming graph of ``model`` for chunks of ``chunk_tokens`` (of 40 ms).

    Nodes are named after their modules ("blocks.3.feed_forward1.expand/MatMul"), alike for every chunk size:
    a report can name a layer, and the graphs of two chunk sizes can be laid beside each other.

    Raises:
        ExportError: chunk_tokens is no chunk, or a weight is not finite.
    """
    shape = graph_shape(model, chunk_tokens)
    for name, value in model.state_dict().items():
        if not torch.isfinite(value).all():
            raise ExportError(
                f"{name} holds a value that is not finite: this network cannot have been trained well"
            )
    graph = _StreamingGraph(model).eval()
    features = torch.zeros(1, shape.chunk_frames, shape.num_mels)
    states = list(model.initial_states().values())
    with warnings.catch_warnings(), torch.no_grad():
        # torch warns about deprecated parts of its own exporter, which nobody here can mend.
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            graph,
            (features, torch.ones(1), states),
            dynamo=True,
            opset_version=OPSET_VERSION,
            input_names=["features", "keep", *(STATE_PREFIX + name for name in shape.states)],
            output_names=[
                "phone_log_probs",
                "token_log_probs",
                *(NEXT_PREFIX + name for name in shape.states),
            ],
            verbose=False,
        )
    if program is None:
        raise ExportError("torch.onnx.export gave no program")
    _name_nodes(program.model)
    path.parent.mkdir(parents=True, exist_ok=True)
    program.save(path)
    return shape


def _name_nodes(model: Any) -> None:
    """Name every node after its module and drop what the exporter noted down about this machine."""
    seen: Counter[str] = Counter()
    parent = "features"
    for node in model.graph:
        module = _module_of(node)
        if module is None:
            module = parent  # in program order, what follows a layer belongs to the layer's owner
        else:
            parent = module.rpartition(".")[0] or module
        name = f"{module}/{node.op_type}"
        seen[name] += 1
        node.name = name if seen[name] == 1 else f"{name}_{seen[name]}"
        node.metadata_props.clear()
        node.doc_string = None
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    for value in model.graph.initializers.values():
        value.metadata_props.clear()
    for value in [*model.graph.inputs, *model.graph.outputs]:
        value.metadata_props.clear()


def _module_of(node: Any) -> str | None:
    scopes = node.metadata_props.get("pkg.torch.onnx.name_scopes")
    if scopes is None:
        return None
    # "['', 'model.blocks.0.feed_forward1', 'model.blocks.0.feed_forward1.expand', 'linear_1']"
    names = [name.strip().strip("'\"") for name in scopes.strip("[]").split(",")]
    modules = [name.removeprefix("model.") for name in names[:-1] if name.startswith("model.")]
    return modules[-1] if modules else None
