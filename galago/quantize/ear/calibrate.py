"""The calibration set: chunks of real streams with the caches that the float network had at that moment.

Ranges measured on chunks with empty or invented caches are wrong for every chunk but the first. So the float
graph runs over whole streams, and at random chunks everything that goes in is written down.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import openvino as ov

from galago.models.front_end import FrontEnd, LogMelFrontEnd
from galago.models.training.ear.corpus import SAMPLE_RATE_HZ, Corpus
from galago.quantize.calibration import Array, CalibrationError, CalibrationSet
from galago.quantize.compile_openvino import compile_graph, state_names
from galago.quantize.ear.oracle import chunk_features
from galago.quantize.ear.recipe import EarCalibration
from galago.quantize.export import NEXT_PREFIX, STATE_PREFIX

__all__ = ["Stream", "draw_streams", "recipe_streams", "record"]


@dataclass(frozen=True)
class Stream:
    """Samples of one stream, float32 in [-1, 1] at 16 kHz, and the clips that it was put together from."""

    samples: Array = field(repr=False)
    clips: tuple[str, ...]


def draw_streams(
    corpora: Sequence[Corpus],
    *,
    splits: Sequence[str],
    num_streams: int,
    stream_s: float,
    level_dbfs: tuple[float, float],
    seed: int,
) -> Iterator[Stream]:
    """Put clips of alternating corpora together into streams, with pauses, at random levels.

    Args:
        stream_s: shortest length of a stream.
        level_dbfs: RMS of each clip, drawn evenly from this range; pauses are digital silence.

    Raises:
        CalibrationError: a corpus has no clip in ``splits``.
    """
    rng = np.random.default_rng(seed)
    clips = {corpus.name: corpus.split(*splits) for corpus in corpora}
    for name, found in clips.items():
        if not found:
            raise CalibrationError(f"{name}: no clip in {', '.join(splits)}")
    for number in range(num_streams):
        corpus = corpora[number % len(corpora)]
        pieces: list[Array] = [np.zeros(rng.integers(0, SAMPLE_RATE_HZ // 2), np.float32)]
        names = []
        while sum(map(len, pieces)) < stream_s * SAMPLE_RATE_HZ:
            clip = clips[corpus.name][int(rng.integers(len(clips[corpus.name])))]
            samples = corpus.pcm(clip).astype(np.float32) / 32768.0
            rms = float(np.sqrt(np.mean(np.square(samples)))) if len(samples) else 0.0
            if rms < 1e-6:
                continue
            gain = 10.0 ** (rng.uniform(*level_dbfs) / 20.0) / rms
            pieces += [
                np.clip(samples * np.float32(gain), -1.0, 1.0),
                np.zeros(rng.integers(0, SAMPLE_RATE_HZ // 2), np.float32),
            ]
            names.append(f"{corpus.name}:{clip.id}")
        yield Stream(np.concatenate(pieces), tuple(names))


def recipe_streams(
    settings: EarCalibration, opened: Mapping[str, Corpus]
) -> tuple[list[Stream], list[Stream]]:
    """Streams with speech, and streams of noise; without corpora, white noise as the former.

    Raises:
        CalibrationError: a corpus has no clip in the wanted splits.
    """

    def draw(names: Sequence[str], splits: Sequence[str], num_streams: int) -> list[Stream]:
        return list(
            draw_streams(
                [opened[name] for name in names],
                splits=splits,
                num_streams=num_streams,
                stream_s=settings.stream_s,
                level_dbfs=settings.level_dbfs,
                seed=settings.seed,
            )
        )

    if settings.corpora:
        noise = (
            draw(settings.noise, settings.noise_splits, settings.num_noise_streams) if settings.noise else []
        )
        return draw(settings.corpora, settings.splits, settings.num_streams), noise
    rng = np.random.default_rng(settings.seed)
    num_samples = int(settings.stream_s * SAMPLE_RATE_HZ)
    white = (rng.normal(size=(settings.num_streams, num_samples)) * 0.05).astype(np.float32)
    return [Stream(samples, ("white noise",)) for samples in white], []


def record(
    graph: ov.Model,
    streams: Iterable[Stream],
    *,
    num_samples: int,
    seed: int,
    name: str,
    lookahead_tokens: int = 0,
    front_end: FrontEnd | None = None,
) -> CalibrationSet:
    """Run the float ``graph`` (explicit states) over ``streams`` and keep ``num_samples`` random steps.

    The first chunk of each stream, with ``keep`` = 0, is a candidate like every other.

    Args:
        lookahead_tokens, front_end: the network's; by default none, and log-mel energies.

    Raises:
        CalibrationError: the streams have fewer chunks than samples are wanted.
    """
    compiled = compile_graph(graph)
    request = compiled.create_infer_request()
    states = state_names(graph)
    shapes = {port.get_any_name(): list(port.shape) for port in compiled.inputs}
    front_end = front_end or LogMelFrontEnd()
    chunk_tokens = shapes["features"][1] // front_end.frames_per_token
    rng = np.random.default_rng(seed)
    streams = list(streams)
    chunks = [
        chunk_features(s.samples, chunk_tokens, lookahead_tokens=lookahead_tokens, front_end=front_end)
        for s in streams
    ]
    total = sum(map(len, chunks))
    if total < num_samples:
        raise CalibrationError(f"{name}: {num_samples} samples wanted, the streams have {total} chunks")
    wanted = set(rng.choice(total, size=num_samples, replace=False).tolist())
    samples: list[dict[str, Array]] = []
    index = 0
    for stream in chunks:
        feed = {STATE_PREFIX + s: np.zeros(shapes[STATE_PREFIX + s], np.float32) for s in states}
        feed["keep"] = np.zeros(1, np.float32)
        for chunk in stream:
            feed["features"] = chunk[None]
            if index in wanted:
                samples.append({key: value.copy() for key, value in feed.items()})
            index += 1
            request.infer(feed)
            feed = {STATE_PREFIX + s: request.get_tensor(NEXT_PREFIX + s).data.copy() for s in states}
            feed["keep"] = np.ones(1, np.float32)
    origin = {
        "chunk_tokens": chunk_tokens,
        "seed": seed,
        "num_streams": len(streams),
        "clips": [clip for stream in streams for clip in stream.clips],
    }
    return CalibrationSet(name, tuple(samples), origin)
