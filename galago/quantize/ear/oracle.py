"""The oracle: the ear in Python, as the native core must hear. Slow, short, and the one to believe.

Frames by the network's :class:`galago.models.front_end.FrontEnd`, the packed graph itself in OpenVINO, greedy
text. Golden vectors, accuracy before and after int8, and the parity tests of the native core come from here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openvino as ov
import torch

from galago.models.ear import Ear, EarOutput
from galago.models.front_end import FrontEnd, LogMelFrontEnd
from galago.models.moonshine_ear import MoonshineEar
from galago.models.tokenizer import TOKENS, greedy_text
from galago.quantize.calibration import Array
from galago.quantize.compile_openvino import Precision, compile_graph, core, make_stateful, state_names

__all__ = ["Heard", "Oracle", "chunk_features", "greedy"]


class Heard(NamedTuple):
    """Natural-log probabilities of a whole stream; row j is the token of samples [n j, n (j + 1)), n being
    the front end's ``token_samples``."""

    phone_log_probs: Array  # (T, num_phones)
    token_log_probs: Array  # (T, num_tokens)
    tokens: tuple[str, ...] = TOKENS
    rows: Array | None = None  # (T', width) of the encoder, where the graph has them
    model: Ear | None = None  # with the decoder that writes of them
    chunk_tokens: int | None = None  # that they came in

    @property
    def text(self) -> str:
        """What the decoder writes, where there is one, or the characters of the best path."""
        if self.rows is None or not isinstance(self.model, MoonshineEar):
            return greedy(self.token_log_probs, self.tokens)
        phones, tokens, rows = (
            torch.from_numpy(of)[None] for of in (self.phone_log_probs, self.token_log_probs, self.rows)
        )
        output = EarOutput(phones, tokens, torch.tensor([tokens.shape[1]]), rows)
        return self.model.written(output, self.chunk_tokens)[0]


def greedy(token_log_probs: Array, tokens: tuple[str, ...] = TOKENS) -> str:
    """Best path of (T, num_tokens) as text."""
    return greedy_text(token_log_probs.argmax(axis=-1).tolist(), tokens)


def chunk_features(
    samples: Array, chunk_tokens: int, *, lookahead_tokens: int = 0, front_end: FrontEnd | None = None
) -> Array:
    """Frames of a stream in whole chunks, (num_chunks, frames of chunk_tokens, values_per_frame).

    The tail is padded with zero samples: for the lookahead, to a whole chunk, for the last frame's window.

    Args:
        front_end: by default log-mel energies.
    """
    front_end = front_end or LogMelFrontEnd()
    chunk_frames = front_end.frames_per_token * chunk_tokens
    num_tokens = -(-len(samples) // front_end.token_samples)
    num_chunks = -(-(num_tokens + lookahead_tokens) // chunk_tokens)
    padded = np.zeros(front_end.num_samples(num_chunks * chunk_frames), np.float32)
    padded[: len(samples)] = samples
    with torch.no_grad():
        frames = front_end(torch.from_numpy(padded)[None])[0].numpy()
    return np.ascontiguousarray(frames.reshape(num_chunks, chunk_frames, front_end.values_per_frame))


class Oracle:
    """A streaming graph that hears one stream after the other.

    Args:
        graph: with explicit states, already stateful, or the path of a packed ``.xml``.
        precision: of everything that is not int8.
        weights: for a path, the file of its constants.
        model: the network of the graph, which tells its front end, its lookahead and its tokens; by default
            a Conformer's without lookahead.
    """

    def __init__(
        self,
        graph: ov.Model | Path,
        precision: Precision = "f32",
        *,
        weights: Path | None = None,
        model: Ear | None = None,
        lookahead_tokens: int = 0,
        num_threads: int = 1,
    ) -> None:
        if isinstance(graph, Path):
            graph = core().read_model(graph, weights or graph.with_suffix(".bin"))
        if state_names(graph):
            graph = make_stateful(graph)
        compiled = compile_graph(graph, precision, num_threads=num_threads)
        shape = list(compiled.input("features").shape)
        self._has_rows = any("rows" in port.names for port in compiled.outputs)
        self.model = model
        self.front_end: FrontEnd = LogMelFrontEnd() if model is None else model.front_end
        self.lookahead_tokens = lookahead_tokens if model is None else model.config.lookahead_tokens
        self.chunk_tokens = int(shape[1]) // self.front_end.frames_per_token
        self._tokens = TOKENS if model is None else model.tokens
        self._features = np.zeros(shape, np.float32)
        self._keep = np.zeros(1, np.float32)
        self.request: Any = compiled.create_infer_request()
        self.request.set_tensor("features", ov.Tensor(self._features, shared_memory=True))
        self.request.set_tensor("keep", ov.Tensor(self._keep, shared_memory=True))

    @property
    def chunk_ms(self) -> int:
        return self.chunk_tokens * self.front_end.token_ms

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

    def _rows(self) -> Array:
        """The encoder's of the last step."""
        rows: Array = self.request.get_tensor("rows").data[0].copy()
        return rows

    def hear(self, samples: Array) -> Heard:
        """A whole stream of samples (N,) in [-1, 1] at 16 kHz, chunk by chunk.

        Raises:
            ValueError: no sample, or one that is not finite.
        """
        if samples.ndim != 1 or len(samples) == 0 or not np.isfinite(samples).all():
            raise ValueError(f"expected finite samples of shape (N,), found shape {samples.shape}")
        delay = self.lookahead_tokens
        chunks = chunk_features(samples, self.chunk_tokens, lookahead_tokens=delay, front_end=self.front_end)
        return self.hear_features(chunks, -(-len(samples) // self.front_end.token_samples))

    def hear_features(self, chunks: Array, num_tokens: int) -> Heard:
        """A whole stream of frames as :func:`chunk_features` makes them, of which ``num_tokens`` count."""
        self.reset()
        heads: list[tuple[Array, Array]] = []
        rows: list[Array] = []
        for chunk in chunks:
            heads.append(self.step(chunk))
            if self._has_rows:
                rows.append(self._rows())
        delay = self.lookahead_tokens
        kept = slice(delay, delay + num_tokens)
        phones, tokens = (np.concatenate([row[head] for row in heads])[kept] for head in (0, 1))
        if not rows:
            return Heard(phones, tokens, self._tokens)
        num_rows = -(-num_tokens * rows[0].shape[0] // self.chunk_tokens)
        kept_rows = np.concatenate(rows)[:num_rows]
        return Heard(phones, tokens, self._tokens, kept_rows, self.model, self.chunk_tokens)
