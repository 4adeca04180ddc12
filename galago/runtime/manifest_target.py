"""One graph of a role, as its manifest entry tells it: what the targets of all roles have."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from galago.runtime.manifest_keys import Keys

__all__ = ["GraphTarget", "graph_fields"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphTarget:
    """A graph, the engine it is for, and what was measured when it was packed."""

    name: str
    engine: str
    dtype: str
    model: str
    weights: str | None
    inference_precision: str | None
    measured: Mapping[str, Any]


def graph_fields(keys: Keys, files: Container[str]) -> dict[str, Any]:
    """The fields of a `GraphTarget`, checked.

    Raises:
        CorruptError: one is missing or wrong, or a file of the graph is not listed.
    """
    weights = keys.optional_text("weights")
    keys.listed("model", keys.text("model"), files)
    if weights is not None:
        keys.listed("weights", weights, files)
    return {
        "name": keys.text("name"),
        "engine": keys.text("engine"),
        "dtype": keys.text("dtype"),
        "model": keys.text("model"),
        "weights": weights,
        "inference_precision": keys.optional_text("inference_precision"),
        "measured": keys.object("measured", required=False).document,
    }
