"""Networks as ONNX graphs: static shapes, readable layer names, nothing of the machine inside."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

__all__ = ["NEXT_PREFIX", "STATE_PREFIX", "ExportError", "check_weights", "write_onnx"]

STATE_PREFIX = "state."
NEXT_PREFIX = "next."
OPSET_VERSION = 20  # what the exporter emits without converting: a conversion would rename nodes


class ExportError(RuntimeError):
    """A network cannot be exported; the message names the layer or the tensor."""


def check_weights(model: nn.Module) -> None:
    """Refuse a network with a weight that is not finite.

    Raises:
        ExportError: there is one; it is named.
    """
    for name, value in model.state_dict().items():
        if not torch.isfinite(value).all():
            raise ExportError(
                f"{name} holds a value that is not finite: this network cannot have been trained well"
            )


def write_onnx(
    graph: nn.Module,
    inputs: tuple[Any, ...],
    path: Path,
    *,
    input_names: Sequence[str],
    output_names: Sequence[str],
) -> None:
    """Export ``graph``, whose network is its attribute ``model``, for the shapes of ``inputs``.

    Nodes are named after their modules below ``model`` ("blocks.3.feed_forward1.expand/MatMul"), alike for
    every shape: a report can name a layer, and the graphs of two shapes can be laid beside each other.

    Raises:
        ExportError: torch gave no program.
    """
    with warnings.catch_warnings(), torch.no_grad():
        # torch warns about deprecated parts of its own exporter, which nobody here can mend.
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            graph.eval(),
            inputs,
            dynamo=True,
            opset_version=OPSET_VERSION,
            input_names=list(input_names),
            output_names=list(output_names),
            verbose=False,
        )
    if program is None:
        raise ExportError("torch.onnx.export gave no program")
    _name_nodes(program.model, input_names[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    program.save(path)


def _name_nodes(model: Any, first_parent: str) -> None:
    """Name every node after its module and drop what the exporter noted down about this machine."""
    seen: Counter[str] = Counter()
    parent = first_parent
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
