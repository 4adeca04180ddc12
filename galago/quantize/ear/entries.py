"""Entries of a bundle's manifest, from what was exported and measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from galago.models.ear import Ear
from galago.quantize.compile_openvino import Precision
from galago.quantize.ear.export import GraphShape
from galago.quantize.ear.recipe import EarPackRecipe

__all__ = ["LEXICON", "Names", "network_entry", "role_entry", "target_entry"]

LEXICON = "lexicon.gz"


@dataclass(frozen=True)
class Names:
    """What the graphs of one of an ear's networks, and their files, are called in a bundle.

    Args:
        dtype: "int8" or "f32".
        mark: which of the networks it is, see :class:`galago.quantize.ear.recipe.PassRecipe`.
    """

    dtype: str
    mark: str = ""

    def target(self, chunk_tokens: int) -> str:
        return f"openvino-{self.dtype}-{self.mark}chunk{chunk_tokens}"

    def graph(self, chunk_tokens: int) -> str:
        return f"ear/{self.mark}{self.dtype}-chunk{chunk_tokens}.xml"

    @property
    def weights(self) -> str:
        return f"ear/{self.mark}{self.dtype}.bin"

    @property
    def decoder(self) -> str:
        return f"ear/{self.mark}decoder.bin"


def target_entry(
    shape: GraphShape, names: Names, precision: Precision, measured: Mapping[str, Any]
) -> dict[str, Any]:
    """One graph: what the core needs to open it, and what was measured."""
    rows = {} if shape.rows is None else {"chunk_rows": shape.rows[0], "row_width": shape.rows[1]}
    return {
        "name": names.target(shape.chunk_tokens),
        "engine": "openvino",
        "dtype": names.dtype,
        "model": names.graph(shape.chunk_tokens),
        "weights": names.weights,
        "inference_precision": precision,
        "stateful": True,
        "chunk_tokens": shape.chunk_tokens,
        "chunk_frames": shape.chunk_frames,
        "left_context_tokens": shape.left_context_tokens,
        "lookahead_tokens": shape.lookahead_tokens,
        "inputs": {"features": "features", "keep": "keep"},
        **rows,
        "outputs": {
            "phone_log_probs": "phone_log_probs",
            "token_log_probs": "token_log_probs",
            **({"rows": "rows"} if rows else {}),
        },
        "states": [{"name": n, "shape": list(size), "dtype": "f32"} for n, size in shape.states.items()],
        "measured": dict(measured),
    }


def network_entry(
    model: Ear, priors: Sequence[float], targets: Sequence[dict[str, Any]], decoder: str | None = None
) -> dict[str, Any]:
    """One network: what it hears, what it says by itself, its graphs and the file of its decoder."""
    return {
        "features": model.front_end.manifest_entry(),
        "subsampling_factor": model.front_end.frames_per_token,
        "phone_log_priors": list(priors),
        **({} if decoder is None else {"decoder": decoder}),
        "targets": list(targets),
    }


def role_entry(
    recipe: EarPackRecipe,
    model: Ear,
    network: Mapping[str, Any],
    second_pass: Mapping[str, Any] | None,
    *,
    lexicon: bool,
) -> dict[str, Any]:
    """The ear: its network and, where there is one, that of its second pass; their alphabets; settings."""
    return {
        "type": "streaming_ctc",
        "tokens": list(model.tokens),
        "phones": list(model.phones),
        **network,
        **({"lexicon": LEXICON} if lexicon else {}),
        **({} if second_pass is None else {"second_pass": dict(second_pass)}),
        "decoding": recipe.decoding,
        "voice_activity": recipe.voice_activity,
        "endpoint": recipe.endpoint,
        "grammar": recipe.grammar,
    }
