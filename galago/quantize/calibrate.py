"""The calibration set: chunks of real streams with the caches that the float network had at that moment.

Ranges measured on chunks with empty or invented caches are wrong for every chunk but the first. So the float
graph runs over whole streams, and at random chunks everything that goes in is written down.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from galago.models.training.ear.corpus import SAMPLE_RATE_HZ, Corpus
from galago.quantize.compile_openvino import compile_graph, state_names
from galago.quantize.export import NEXT_PREFIX, STATE_PREFIX
from galago.quantize.oracle import Array, chunk_features

__all__ = ["CalibrationError", "CalibrationSet", "Stream", "draw_streams", "record"]


class CalibrationError(ValueError):
    """A calibration set cannot be made or read; the message names the file or the corpus."""


@dataclass(frozen=True)
class Stream:
    """Samples of one stream, float32 in [-1, 1] at 16 kHz, and the clips that it was put together from."""

    samples: Array = field(repr=False)
    clips: tuple[str, ...]


@dataclass(frozen=True)
class CalibrationSet:
    """Inputs of single steps, {"features": (1, F, M), "keep": (1,), "state.NAME": ...}, and their origin."""

    name: str
    samples: tuple[dict[str, Array], ...] = field(repr=False)
    origin: dict[str, Any]

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[dict[str, Array]]:
        return iter(self.samples)

    @property
    def sha256(self) -> str:
        """Of every array with its name: two reports that name the same hash saw the same data."""
        digest = hashlib.sha256()
        for sample in self.samples:
            for name in sorted(sample):
                digest.update(name.encode())
                digest.update(np.ascontiguousarray(sample[name]).tobytes())
        return digest.hexdigest()

    def split(self, num_held_out: int) -> tuple[CalibrationSet, CalibrationSet]:
        """(for calibration, held out): every k-th sample is held out: no range has seen it."""
        if not 0 < num_held_out < len(self):
            raise CalibrationError(f"{self.name}: cannot hold {num_held_out} of {len(self)} samples out")
        held = {i * len(self) // num_held_out for i in range(num_held_out)}
        kept = tuple(sample for i, sample in enumerate(self.samples) if i not in held)
        out = tuple(sample for i, sample in enumerate(self.samples) if i in held)
        return CalibrationSet(self.name, kept, self.origin), CalibrationSet(self.name, out, self.origin)

    def save(self, path: Path) -> None:
        """One ``.npz`` with an array a name (all samples stacked) and the origin as JSON."""
        arrays = {name: np.stack([sample[name] for sample in self.samples]) for name in self.samples[0]}
        note = json.dumps({"name": self.name, "sha256": self.sha256, "origin": self.origin})
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez(file, __note__=np.array(note), **arrays)  # type: ignore[arg-type]  # numpy's stub is narrow

    @classmethod
    def load(cls, path: Path) -> CalibrationSet:
        """Raises CalibrationError for anything but a set that :meth:`save` wrote, unchanged since."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                note = json.loads(str(stored["__note__"]))
                arrays = {name: stored[name] for name in stored.files if name != "__note__"}
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise CalibrationError(f"{path}: no calibration set: {error}") from error
        count = len(arrays["features"])
        samples = tuple({name: values[i] for name, values in arrays.items()} for i in range(count))
        loaded = cls(note["name"], samples, note["origin"])
        if loaded.sha256 != note["sha256"]:
            raise CalibrationError(f"{path}: sha256 differs from the one written with it")
        return loaded


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


def record(
    graph: ov.Model,
    streams: Iterable[Stream],
    *,
    num_samples: int,
    seed: int,
    name: str,
    lookahead_tokens: int = 0,
) -> CalibrationSet:
    """Run the float ``graph`` (explicit states) over ``streams`` and keep ``num_samples`` random steps.

    The first chunk of each stream, with ``keep`` = 0, is a candidate like every other.

    Raises:
        CalibrationError: the streams have fewer chunks than samples are wanted.
    """
    compiled = compile_graph(graph)
    request = compiled.create_infer_request()
    states = state_names(graph)
    shapes = {port.get_any_name(): list(port.shape) for port in compiled.inputs}
    chunk_tokens = shapes["features"][1] // 4
    rng = np.random.default_rng(seed)
    streams = list(streams)
    chunks = [chunk_features(s.samples, chunk_tokens, lookahead_tokens=lookahead_tokens) for s in streams]
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
