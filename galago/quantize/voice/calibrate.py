"""Calibration sets of a voice: sentences for the reader; for the speaker chunks of them, with their states.

The float networks read and speak whole sentences, and at random chunks everything that goes in is written
down. Some sentences are read higher or lower, louder or softer, because the ranges must hold for them too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import openvino as ov

from galago.quantize.calibration import Array, CalibrationError, CalibrationSet
from galago.quantize.compile_openvino import compile_graph, state_names
from galago.quantize.export import NEXT_PREFIX, STATE_PREFIX
from galago.quantize.voice.export import SpeakerShape
from galago.quantize.voice.oracle import Reader, frame_counts, reader_inputs, regulated, speaker_inputs
from galago.quantize.voice.sentences import Sentence

__all__ = ["reader_set", "speaker_set"]

_SHIFTS = 1.5  # the largest, in deviations
_SHIFTED_EVERY = 3  # sentences


def reader_set(name: str, sentences: Sequence[Sentence], num_phones: int, seed: int) -> CalibrationSet:
    """One sample a sentence, for the reader's graph of ``num_phones``."""
    samples = tuple(
        reader_inputs(sentence.phones, num_phones, pitch_shift=pitch, energy_shift=energy)
        for sentence, (pitch, energy) in zip(sentences, _shifts(len(sentences), seed), strict=True)
    )
    return CalibrationSet(name, samples, {"seed": seed, "sentences": [s.name for s in sentences]})


def speaker_set(
    name: str,
    graph: ov.Model,
    shape: SpeakerShape,
    reader: Reader,
    sentences: Sequence[Sentence],
    *,
    num_samples: int,
    seed: int,
) -> CalibrationSet:
    """Random chunks of ``sentences``, spoken by the float ``graph`` (explicit states), with their states.

    Raises:
        CalibrationError: the sentences have fewer chunks than are wanted.
    """
    regulated_rows = []
    for sentence, (pitch, energy) in zip(sentences, _shifts(len(sentences), seed), strict=True):
        rows, frames = reader.read(sentence.phones, pitch_shift=pitch, energy_shift=energy)
        counts = frame_counts(frames, sentence.phones) if sentence.counts is None else sentence.counts
        regulated_rows.append(regulated(rows, counts))
    total = sum(-(-(len(rows) + shape.delay_frames) // shape.chunk_frames) for rows in regulated_rows)
    if total < num_samples:
        raise CalibrationError(f"{name}: {num_samples} chunks wanted, the sentences have {total}")
    wanted = set(np.random.default_rng(seed).choice(total, size=num_samples, replace=False).tolist())
    steps = _steps(graph, shape, regulated_rows)
    samples = tuple(step for index, step in enumerate(steps) if index in wanted)
    origin = {
        "seed": seed,
        "chunk_frames": shape.chunk_frames,
        "sentences": [sentence.name for sentence in sentences],
    }
    return CalibrationSet(name, samples, origin)


def _shifts(count: int, seed: int) -> list[tuple[float, float]]:
    """Pitch and energy of each sentence."""
    drawn = np.random.default_rng((seed, 1)).uniform(-_SHIFTS, _SHIFTS, (count, 2))
    plain = (0.0, 0.0)
    return [plain if i % _SHIFTED_EVERY else (float(drawn[i, 0]), float(drawn[i, 1])) for i in range(count)]


def _steps(graph: ov.Model, shape: SpeakerShape, sentences: Sequence[Array]) -> Iterator[dict[str, Array]]:
    """Everything that goes into the graph with explicit states, step by step through regulated rows."""
    compiled = compile_graph(graph)
    request = compiled.create_infer_request()
    shapes = {port.get_any_name(): list(port.shape) for port in compiled.inputs}
    names = state_names(graph)
    for rows in sentences:
        states = {STATE_PREFIX + name: np.zeros(shapes[STATE_PREFIX + name], np.float32) for name in names}
        for inputs in speaker_inputs(rows, shape):
            step = {**inputs, **states}
            yield step
            request.infer(step)
            states = {STATE_PREFIX + n: request.get_tensor(NEXT_PREFIX + n).data.copy() for n in names}
