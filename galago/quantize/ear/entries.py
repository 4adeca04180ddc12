"""Entries of a bundle's manifest, from what was exported and measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from galago.models.ear import Ear
from galago.quantize.compile_openvino import Precision
from galago.quantize.ear.export import GraphShape
from galago.quantize.ear.recipe import EarPackRecipe

__all__ = ["LEXICON", "graph_name", "role_entry", "target_entry", "target_name", "weights_name"]

LEXICON = "lexicon.gz"


def target_name(chunk_tokens: int, dtype: str) -> str:
    return f"openvino-{dtype}-chunk{chunk_tokens}"


def graph_name(chunk_tokens: int, dtype: str) -> str:
    return f"ear/{dtype}-chunk{chunk_tokens}.xml"


def weights_name(dtype: str) -> str:
    return f"ear/{dtype}.bin"


def target_entry(
    shape: GraphShape, dtype: str, precision: Precision, measured: Mapping[str, Any]
) -> dict[str, Any]:
    """One graph: what the core needs to open it, and what was measured."""
    return {
        "name": target_name(shape.chunk_tokens, dtype),
        "engine": "openvino",
        "dtype": dtype,
        "model": graph_name(shape.chunk_tokens, dtype),
        "weights": weights_name(dtype),
        "inference_precision": precision,
        "stateful": True,
        "chunk_tokens": shape.chunk_tokens,
        "chunk_frames": shape.chunk_frames,
        "left_context_tokens": shape.left_context_tokens,
        "lookahead_tokens": shape.lookahead_tokens,
        "inputs": {"features": "features", "keep": "keep"},
        "outputs": {"phone_log_probs": "phone_log_probs", "token_log_probs": "token_log_probs"},
        "states": [{"name": n, "shape": list(size), "dtype": "f32"} for n, size in shape.states.items()],
        "measured": dict(measured),
    }


def role_entry(
    recipe: EarPackRecipe,
    model: Ear,
    priors: Sequence[float],
    targets: Sequence[dict[str, Any]],
    *,
    lexicon: bool,
) -> dict[str, Any]:
    """The ear: its features, alphabets and settings, over all its targets."""
    return {
        "type": "streaming_ctc",
        "features": model.front_end.manifest_entry(),
        "subsampling_factor": model.front_end.frames_per_token,
        "tokens": list(model.tokens),
        "phones": list(model.phones),
        "phone_log_priors": list(priors),
        **({"lexicon": LEXICON} if lexicon else {}),
        "targets": list(targets),
        "decoding": recipe.decoding,
        "voice_activity": recipe.voice_activity,
        "endpoint": recipe.endpoint,
        "grammar": recipe.grammar,
    }
