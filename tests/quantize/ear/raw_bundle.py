"""Tiny ears on raw samples, and a float bundle of one, without packing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openvino as ov
import torch

from galago.models.ctc_ear import CtcEar
from galago.models.ear import Ear
from galago.models.wav2vec2 import Wav2Vec2, Wav2Vec2Config
from galago.models.wav2vec2_ear import Wav2Vec2Ear, Wav2Vec2EarConfig
from galago.quantize.compile_openvino import make_stateful
from galago.quantize.ear.export import graph_shape
from tests.make_tiny_bundle import write_manifest

#: 320 samples a token, as published; causal, in samples as they are.
TINY: dict[str, Any] = {
    "width": 16,
    "num_blocks": 2,
    "num_heads": 2,
    "feed_forward_width": 24,
    "convolution_widths": (8,) * 7,
    "convolution_norm": "layer",
    "has_convolution_bias": True,
    "position_kernel_tokens": 6,
    "position_groups": 4,
    "position_lookahead_tokens": 0,
    "is_norm_first": True,
    "left_context_tokens": 12,
    "norm_horizon_tokens": 40,
}
#: As BASE is published: norms behind, statistics over time, normalised samples, positions that look ahead.
BASE: dict[str, Any] = {
    "convolution_norm": "group",
    "has_convolution_bias": False,
    "is_norm_first": False,
    "normalises_samples": True,
    "position_lookahead_tokens": 2,
}


def _scattered(model: Ear) -> Ear:
    for parameter in model.parameters():  # norms and biases too: nothing is trivially 0 or 1
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def two_heads(**changes: Any) -> Ear:
    torch.manual_seed(7)
    return _scattered(Wav2Vec2Ear(Wav2Vec2EarConfig(**{**TINY, "phone_block": 1, **changes})))


def characters_only(**changes: Any) -> Ear:
    torch.manual_seed(7)
    network = Wav2Vec2(Wav2Vec2Config(**{**TINY, "num_tokens": 5, **changes}))
    return _scattered(CtcEar(network, {"<blank>": 0, " ": 4, "a": 2, "b": 3}, voice_hold_tokens=6))


def write_bundle(folder: Path, model: Ear, graph: ov.Model, chunk_tokens: int) -> Path:
    """A bundle of the float ``graph`` (explicit states) for chunks of ``chunk_tokens``."""
    (folder / "ear").mkdir(parents=True)
    ov.save_model(make_stateful(graph), folder / "ear/f32.xml", compress_to_fp16=False)
    shape = graph_shape(model, chunk_tokens)
    ear = {
        "type": "streaming_ctc",
        "features": model.front_end.manifest_entry(),
        "subsampling_factor": model.front_end.frames_per_token,
        "tokens": list(model.tokens),
        "phones": list(model.phones),
        "phone_log_priors": [-1.0] * len(model.phones),
        "targets": [
            {
                "name": "openvino-f32",
                "engine": "openvino",
                "dtype": "f32",
                "model": "ear/f32.xml",
                "weights": "ear/f32.bin",
                "inference_precision": "f32",
                "stateful": True,
                "chunk_tokens": chunk_tokens,
                "chunk_frames": shape.chunk_frames,
                "left_context_tokens": shape.left_context_tokens,
                "lookahead_tokens": shape.lookahead_tokens,
                "inputs": {"features": "features", "keep": "keep"},
                "outputs": {"phone_log_probs": "phone_log_probs", "token_log_probs": "token_log_probs"},
                "states": [],
                "measured": {},
            }
        ],
    }
    manifest = {
        "schema_version": 1,
        "name": "raw",
        "version": "0.0.1",
        "license": "Apache-2.0",
        "languages": ["en-US"],
        "roles": {"ear": ear},
    }
    write_manifest(folder, manifest)
    return folder
