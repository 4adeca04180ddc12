"""The oracle: the ear in Python, as the native core must hear. Slow, short, and the one to believe.

Features by :class:`galago.models.features.LogMel`, the packed graph itself in OpenVINO, greedy text. Golden
vectors, accuracy before and after int8, and the parity tests of the native core come from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openvino as ov
import torch

from galago.models.features import LogMel
from galago.models.tokenizer import greedy_text
from galago.quantize.calibration import Array
from galago.quantize.compile_openvino import Precision, compile_graph, core, make_stateful, state_names

__all__ = ["Heard", "Oracle", "chunk_features", "greedy"]


class Heard(NamedTuple):
    """Natural-log probabilities of a whole stream; row j is the token of [640 j, 640 (j + 1)) samples."""

    phone_log_probs: Array  # (T, 40)
    token_log_probs: Array  # (T, 29)

    @property
    def text(self) -> str:
        return greedy(self.token_log_probs)


def greedy(token_log_probs: Array) -> str:
    """Best path of (T, num_tokens) as text."""
    return greedy_text(token_log_probs.argmax(axis=-1).tolist())


@dataclass(frozen=True)
class _Framing:
    window_samples: int
    hop_samples: int
    token_samples: int


def _framing(features: LogMel, chunk_frames: int, chunk_tokens: int) -> _Framing:
    config = features.config
    return _Framing(
        config.window_samples, config.hop_samples, config.hop_samples * chunk_frames // chunk_tokens
    )


def chunk_features(
    samples: Array, chunk_tokens: int, *, lookahead_tokens: int = 0, features: LogMel | None = None
) -> Array:
    """Log-mel of a stream in whole chunks, (num_chunks, 4 * chunk_tokens, num_mels).

    The tail is padded with zero samples: for the lookahead, to a whole chunk, for the last frame's window.
    """
    features = features or LogMel()
    config = features.config
    chunk_frames = 4 * chunk_tokens
    framing = _framing(features, chunk_frames, chunk_tokens)
    num_tokens = -(-len(samples) // framing.token_samples)
    num_chunks = -(-(num_tokens + lookahead_tokens) // chunk_tokens)
    num_samples = (
        num_chunks * chunk_frames * framing.hop_samples + framing.window_samples - framing.hop_samples
    )
    padded = np.zeros(num_samples, np.float32)
    padded[: len(samples)] = samples
    with torch.no_grad():
        frames = features(torch.from_numpy(padded)[None])[0].numpy()
    return np.ascontiguousarray(frames.reshape(num_chunks, chunk_frames, config.num_mels))


class Oracle:
    """A streaming graph that hears one stream after the other.

    Args:
        graph: with explicit states, already stateful, or the path of a packed ``.xml``.
        precision: of everything that is not int8.
        weights: for a path, the file of its constants.
    """

    def __init__(
        self,
        graph: ov.Model | Path,
        precision: Precision = "f32",
        *,
        weights: Path | None = None,
        lookahead_tokens: int = 0,
        num_threads: int = 1,
    ) -> None:
        if isinstance(graph, Path):
            graph = core().read_model(graph, weights or graph.with_suffix(".bin"))
        if state_names(graph):
            graph = make_stateful(graph)
        compiled = compile_graph(graph, precision, num_threads=num_threads)
        shape = list(compiled.input("features").shape)
        self.chunk_tokens = int(shape[1]) // 4
        self.lookahead_tokens = lookahead_tokens
        self._log_mel = LogMel()
        self._features = np.zeros(shape, np.float32)
        self._keep = np.zeros(1, np.float32)
        self.request: Any = compiled.create_infer_request()
        self.request.set_tensor("features", ov.Tensor(self._features, shared_memory=True))
        self.request.set_tensor("keep", ov.Tensor(self._keep, shared_memory=True))

    def reset(self) -> None:
        """Forget the stream before the next step."""
        self._keep[0] = 0.0

    def step(self, features: Array) -> tuple[Array, Array]:
        """Log-probabilities (chunk_tokens, num_phones) and (chunk_tokens, num_tokens) of the next chunk."""
        self._features[0] = features
        self.request.infer()
        self._keep[0] = 1.0
        phones = self.request.get_tensor("phone_log_probs").data[0].copy()
        tokens = self.request.get_tensor("token_log_probs").data[0].copy()
        return phones, tokens

    def hear(self, samples: Array) -> Heard:
        """A whole stream of samples (N,) in [-1, 1] at 16 kHz, chunk by chunk.

        Raises:
            ValueError: no sample, or one that is not finite.
        """
        if samples.ndim != 1 or len(samples) == 0 or not np.isfinite(samples).all():
            raise ValueError(f"expected finite samples of shape (N,), found shape {samples.shape}")
        delay = self.lookahead_tokens
        chunks = chunk_features(samples, self.chunk_tokens, lookahead_tokens=delay, features=self._log_mel)
        return self.hear_features(chunks, -(-len(samples) // 640))

    def hear_features(self, chunks: Array, num_tokens: int) -> Heard:
        """A whole stream of features (num_chunks, chunk_frames, num_mels), of which ``num_tokens`` count."""
        self.reset()
        rows = [self.step(chunk) for chunk in chunks]
        delay = self.lookahead_tokens
        kept = slice(delay, delay + num_tokens)
        return Heard(np.concatenate([r[0] for r in rows])[kept], np.concatenate([r[1] for r in rows])[kept])
