"""A second network for the tiny ear, which hears samples: whoever speaks, it spells "a".

A token is loud where the mean magnitude of its 640 samples is above that of noise: then the phone is AA and
the character "a", else SIL and blank.  So what is final is told from what is partial at a glance.  The graph
is stateful as all ears are: the level of the token before counts for a tenth.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.make_tiny_bundle import PHONES, SAMPLE_RATE_HZ, TOKEN_SAMPLES, TOKENS

CHUNK_TOKENS = 12
TARGET = f"openvino-f32-second-chunk{CHUNK_TOKENS}"
TEXT = "a"
_THRESHOLD = 0.03  # mean magnitude from which a token is loud; a chord has 0.1
_STEEPNESS = 400.0  # nats for each 1.0 of it
_NOW, _BEFORE = 0.9, 0.1


def add_tiny_second_pass(
    root: Path, audio: npt.NDArray[np.float32]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Write the graph and what it makes of `audio`; return ``ear.second_pass`` and its golden entry."""
    stem = f"ear/second-f32-chunk{CHUNK_TOKENS}"
    model = _save_graph(root / f"{stem}.xml")
    phones, tokens = run_graph(model, audio)
    names = {head: f"golden/second-chunk{CHUNK_TOKENS}.{head}.f32" for head in ("phones", "tokens")}
    (root / names["phones"]).write_bytes(phones.astype("<f4").tobytes())
    (root / names["tokens"]).write_bytes(tokens.astype("<f4").tobytes())
    second_pass = {
        "features": {"type": "raw_samples", "sample_rate_hz": SAMPLE_RATE_HZ, "hop_samples": TOKEN_SAMPLES},
        "subsampling_factor": 1,
        "phone_log_priors": [round(float(np.log(1 / len(PHONES))), 6)] * len(PHONES),
        "targets": [
            {
                "name": TARGET,
                "engine": "openvino",
                "dtype": "f32",
                "model": f"{stem}.xml",
                "weights": f"{stem}.bin",
                "inference_precision": "f32",
                "stateful": True,
                "chunk_tokens": CHUNK_TOKENS,
                "chunk_frames": CHUNK_TOKENS,
                "left_context_tokens": 1,
                "lookahead_tokens": 0,
                "inputs": {"features": "features", "keep": "keep"},
                "outputs": {"phone_log_probs": "phone_log_probs", "token_log_probs": "token_log_probs"},
                "states": [{"name": "before", "shape": [1, 1, 1], "dtype": "f32"}],
                "measured": {"step_ms_p50": 0.2, "board": "any"},
            }
        ],
    }
    golden = {
        "role": "ear",
        "target": TARGET,
        "audio": "golden/audio.f32",
        "num_samples": len(audio),
        "phone_log_probs": names["phones"],
        "token_log_probs": names["tokens"],
        "num_tokens": len(phones),
        "tolerance": 0.01,
        "text": TEXT,
    }
    return second_pass, [golden]


def run_graph(
    model: Any, samples: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Log-probabilities of both heads over a whole stream, chunk by chunk, its tail filled with zeros."""
    import openvino as ov

    request = (
        ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    )
    num_tokens = -(-len(samples) // TOKEN_SAMPLES)
    num_chunks = -(-num_tokens // CHUNK_TOKENS)
    padded = np.zeros(num_chunks * CHUNK_TOKENS * TOKEN_SAMPLES, np.float32)
    padded[: len(samples)] = samples
    rows: dict[str, list[npt.NDArray[np.float32]]] = {"phone_log_probs": [], "token_log_probs": []}
    for i, chunk in enumerate(padded.reshape(num_chunks, 1, CHUNK_TOKENS, TOKEN_SAMPLES)):
        outputs = request.infer({"features": chunk, "keep": np.array([1.0 if i else 0.0], np.float32)})
        for name, values in rows.items():
            values.append(outputs[name][0].copy())
    phones, tokens = (np.concatenate(values)[:num_tokens] for values in rows.values())
    return phones, tokens


def _save_graph(path: Path) -> Any:
    """Build the streaming graph, save it beside its weights, return the ``openvino.Model``."""
    import openvino as ov
    from openvino import opset13 as ops

    f32 = np.float32
    features = ops.parameter([1, CHUNK_TOKENS, TOKEN_SAMPLES], f32, name="features")
    keep = ops.parameter([1], f32, name="keep")
    level = ops.reduce_mean(ops.abs(features), np.array([2]), True)  # (1, chunk_tokens, 1)
    before = ops.read_value(ops.constant(np.zeros((1, 1, 1), f32)), "before", f32, [1, 1, 1])
    kept = ops.multiply(before, ops.reshape(keep, np.array([1, 1, 1]), False))
    joined = ops.concat([kept, level], 1)
    axis, step, end = np.array([1]), np.array([1]), np.array([CHUNK_TOKENS])
    previous = ops.slice(joined, np.array([0]), end, step, axis)
    assign = ops.assign(ops.slice(joined, end, end + 1, step, axis), "before")
    heard = ops.add(ops.multiply(level, f32(_NOW)), ops.multiply(previous, f32(_BEFORE)))
    loud = ops.multiply(ops.subtract(heard, f32(_THRESHOLD)), f32(_STEEPNESS))

    results = []
    for name, symbols, symbol in (("phone_log_probs", PHONES, "AA"), ("token_log_probs", TOKENS, "a")):
        weight, bias = np.zeros((1, len(symbols)), f32), np.full(len(symbols), -20.0, f32)
        weight[0, symbols.index(symbol)] = 1.0
        bias[[0, symbols.index(symbol)]] = 0.0
        logits = ops.add(ops.matmul(loud, ops.constant(weight), False, False), ops.constant(bias))
        log_probs = ops.log_softmax(logits, 2)
        log_probs.output(0).get_tensor().set_names({name})
        results.append(ops.result(log_probs, name=f"{name}/result"))
    for parameter in (features, keep):
        parameter.output(0).get_tensor().set_names({parameter.get_friendly_name()})
    model = ov.Model(results, [assign], [features, keep], "tiny_second_pass")
    ov.save_model(model, path, compress_to_fp16=False)
    return model
