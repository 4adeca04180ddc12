"""Entries of a bundle's manifest, from what was exported and measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from galago.models.conformer import SUBSAMPLING_FACTOR
from galago.models.features import LogMelConfig
from galago.models.tokenizer import PHONES, TOKENS
from galago.quantize.compile_openvino import Precision
from galago.quantize.ear.export import GraphShape
from galago.quantize.ear.recipe import EarPackRecipe

__all__ = ["LEXICON", "WEIGHTS", "graph_name", "role_entry", "target_entry", "target_name"]

WEIGHTS = "ear/int8.bin"
LEXICON = "lexicon.gz"


def target_name(chunk_tokens: int) -> str:
    return f"openvino-int8-chunk{chunk_tokens}"


def graph_name(chunk_tokens: int) -> str:
    return f"ear/int8-chunk{chunk_tokens}.xml"


def target_entry(shape: GraphShape, precision: Precision, measured: Mapping[str, Any]) -> dict[str, Any]:
    """One graph: what the core needs to open it, and what was measured."""
    return {
        "name": target_name(shape.chunk_tokens),
        "engine": "openvino",
        "dtype": "int8",
        "model": graph_name(shape.chunk_tokens),
        "weights": WEIGHTS,
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
    recipe: EarPackRecipe, priors: Sequence[float], targets: Sequence[dict[str, Any]], *, lexicon: bool
) -> dict[str, Any]:
    """The ear: its features, alphabets and settings, over all its targets."""
    return {
        "type": "streaming_ctc",
        "features": {"type": "kaldi_log_mel", **asdict(LogMelConfig())},
        "subsampling_factor": SUBSAMPLING_FACTOR,
        "tokens": list(TOKENS),
        "phones": list(PHONES),
        "phone_log_priors": list(priors),
        **({"lexicon": LEXICON} if lexicon else {}),
        "targets": list(targets),
        "decoding": recipe.decoding,
        "voice_activity": recipe.voice_activity,
        "endpoint": recipe.endpoint,
        "grammar": recipe.grammar,
    }
