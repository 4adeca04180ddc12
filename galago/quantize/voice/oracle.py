"""The oracle: the voice in Python, as the native core must speak. What golden sentences are compared with.

Phones by a reader's graph to rows and frames, rows repeated, chunks of them through the speaker's graph with
the noise of :mod:`galago.quantize.voice.noise`; the lag is taken out of what is heard.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from galago.quantize.calibration import Array
from galago.quantize.compile_openvino import Precision, compile_graph, core, make_stateful, state_names
from galago.quantize.voice.export import (
    ENERGY_SHIFT,
    FRAMES,
    KEEP,
    NOISE,
    PHONES,
    PITCH_SHIFT,
    ROWS,
    SAMPLES,
    VALID,
    SpeakerShape,
)
from galago.quantize.voice.noise import frame_noise
from galago.runtime.language.voice_phones import MARKS

__all__ = [
    "FRAMES_PER_PHONE_MAX",
    "Counts",
    "Reader",
    "Speaker",
    "Spoken",
    "VoiceOracle",
    "frame_counts",
    "reader_inputs",
    "regulated",
    "speaker_inputs",
]

FRAMES_PER_PHONE_MAX = 200  # 2 s: no phone is longer, and a broken duration must not speak for an hour
Counts = NDArray[np.int64]


class Spoken(NamedTuple):
    """A sentence as it was spoken."""

    samples: Array  # (sum(counts) * hop_samples,)
    counts: Counts  # (P,) frames
    rows: Array  # (P, C)


def frame_counts(frames: Array, phones: Sequence[int], *, rate: float = 1.0) -> Counts:
    """Whole frames of each phone or mark, as `docs/bundles.md` says: a sound lasts one at least."""
    rounded = np.floor(frames / np.float32(rate) + np.float32(0.5)).astype(np.int64)
    is_sound = np.asarray(phones) > len(MARKS)
    counts: Counts = np.clip(np.maximum(rounded, is_sound), 0, FRAMES_PER_PHONE_MAX)
    return counts


def regulated(rows: Array, counts: Counts) -> Array:
    """Row i of ``rows`` (P, C) repeated ``counts[i]`` times."""
    return np.repeat(rows, counts, axis=0)


def _opened(graph: ov.Model | Path, weights: Path | None) -> ov.Model:
    if not isinstance(graph, Path):
        return graph
    return core().read_model(graph, weights or graph.with_suffix(".bin"))


class Reader:
    """Reads sentences with graphs of several static numbers of phones, the smallest that has room.

    Args:
        graphs: models, or paths of packed ``.xml`` files, by their number of phones.
        weights: for paths, the file of their constants.
    """

    def __init__(
        self,
        graphs: Mapping[int, ov.Model | Path],
        precision: Precision = "f32",
        *,
        weights: Path | None = None,
        num_threads: int = 1,
    ) -> None:
        self.requests: dict[int, Any] = {}
        for num_phones in sorted(graphs):
            model = _opened(graphs[num_phones], weights)
            compiled = compile_graph(model, precision, num_threads=num_threads)
            self.requests[num_phones] = compiled.create_infer_request()

    def read(
        self, phones: Sequence[int], *, pitch_shift: float = 0.0, energy_shift: float = 0.0
    ) -> tuple[Array, Array]:
        """Rows (P, C) and frames (P,) of a sentence given as rows of the alphabet.

        Raises:
            ValueError: no phone, or more than the largest graph has room for.
        """
        num_phones = next((size for size in self.requests if size >= len(phones)), None)
        if not len(phones) or num_phones is None:
            raise ValueError(f"{len(phones)} phones; sentences have 1 to {max(self.requests)}")
        request = self.requests[num_phones]
        request.infer(reader_inputs(phones, num_phones, pitch_shift=pitch_shift, energy_shift=energy_shift))
        rows, frames = (request.get_tensor(name).data[0, : len(phones)].copy() for name in (ROWS, FRAMES))
        return rows, frames


def reader_inputs(
    phones: Sequence[int], num_phones: int, *, pitch_shift: float = 0.0, energy_shift: float = 0.0
) -> dict[str, Array]:
    """What goes into a reader's graph of ``num_phones``."""
    padded = np.zeros((1, num_phones), np.float32)
    padded[0, : len(phones)] = phones
    spoken = (padded > 0).astype(np.float32)
    return {
        PHONES: padded,
        PITCH_SHIFT: spoken * np.float32(pitch_shift),
        ENERGY_SHIFT: spoken * np.float32(energy_shift),
    }


def speaker_inputs(rows: Array, shape: SpeakerShape, noise_seed: int = 0) -> Iterator[dict[str, Array]]:
    """What goes into a speaker's graph, chunk by chunk, for regulated ``rows`` (T, C); without states."""
    size = shape.chunk_frames
    num_chunks = -(-(len(rows) + shape.delay_frames) // size)
    padded = np.zeros((num_chunks * size, shape.row_width), np.float32)
    padded[: len(rows)] = rows
    valid = (np.arange(len(padded)) < len(rows)).astype(np.float32)
    for begin in range(0, len(padded), size):
        chunk = slice(begin, begin + size)
        yield {
            ROWS: padded[None, chunk],
            VALID: valid[None, chunk],
            NOISE: frame_noise(begin, size, shape.num_bins, noise_seed)[None],
            KEEP: np.full(1, float(begin > 0), np.float32),
        }


class Speaker:
    """Speaks regulated rows with a streaming graph.

    Args:
        graph: with explicit states, already stateful, or the path of a packed ``.xml``.
        weights: for a path, the file of its constants.
    """

    def __init__(
        self,
        graph: ov.Model | Path,
        shape: SpeakerShape,
        precision: Precision = "f32",
        *,
        weights: Path | None = None,
        noise_seed: int = 0,
        num_threads: int = 1,
    ) -> None:
        model = _opened(graph, weights)
        if state_names(model):
            model = make_stateful(model)
        self.shape, self.noise_seed = shape, noise_seed
        self.request: Any = compile_graph(model, precision, num_threads=num_threads).create_infer_request()

    def chunks(self, rows: Array) -> Iterator[Array]:
        """The samples of rows (T, C) as they come: all together T * hop_samples, the lag taken out."""
        hop = self.shape.hop_samples
        late, left = self.shape.delay_frames * hop, len(rows) * hop
        for inputs in speaker_inputs(rows, self.shape, self.noise_seed):
            self.request.infer(inputs)
            samples = self.request.get_tensor(SAMPLES).data[0]
            heard = samples[min(late, len(samples)) :][:left].copy()
            late, left = max(0, late - len(samples)), left - len(heard)
            if len(heard):
                yield heard

    def speak(self, rows: Array) -> Array:
        """The samples of rows (T, C), (T * hop_samples,)."""
        return np.concatenate([np.zeros(0, np.float32), *self.chunks(rows)])


class VoiceOracle:
    """A reader and a speaker: phones in, samples out."""

    def __init__(self, reader: Reader, speaker: Speaker) -> None:
        self.reader, self.speaker = reader, speaker

    def speak(self, phones: Sequence[int], *, counts: Counts | None = None, rate: float = 1.0) -> Spoken:
        """A sentence, with the reader's durations or those that are given.

        Args:
            phones: rows of the alphabet.
        """
        rows, frames = self.reader.read(phones)
        counts = frame_counts(frames, phones, rate=rate) if counts is None else counts
        return Spoken(self.speaker.speak(regulated(rows, counts)), counts, rows)
