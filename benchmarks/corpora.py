"""Clips of the validation tars as float32 at 16 kHz.

The tars are no part of the repository: ``GALAGO_DATA`` names their folder, default ``../shared/data``
beside it. In each the first member is ``manifest.jsonl``, one JSON object a clip; the audio follows.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000

Audio = NDArray[np.float32]


class DataMissingError(FileNotFoundError):
    """A tar is not where ``GALAGO_DATA`` says."""


@dataclass(frozen=True)
class Clip:
    """One recording: ``samples`` are mono float32 in [-1, 1] at 16 kHz; ``fields`` the manifest's line."""

    corpus: str
    id: str
    text: str
    samples: Audio = field(repr=False)
    fields: dict[str, Any] = field(repr=False)

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ

    def sha256(self) -> str:
        """Of the samples as int16: names the clip in a cache, whatever happens to its file name."""
        return hashlib.sha256(to_int16(self.samples).tobytes()).hexdigest()


def data_dir() -> Path:
    """The folder of the tars."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("GALAGO_DATA", default))


def to_int16(samples: Audio) -> NDArray[np.int16]:
    """Round samples in [-1, 1] to 16 bits; what lies outside is clipped."""
    scaled = np.clip(np.rint(np.asarray(samples, np.float64) * 32768.0), -32768, 32767)
    return scaled.astype(np.int16)


def resample(samples: Audio, rate_hz: int) -> Audio:
    """Samples at ``rate_hz``, shape (n,), as samples at 16 kHz."""
    if rate_hz == SAMPLE_RATE_HZ:
        return samples
    import soxr

    return np.asarray(soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ, quality="HQ"), np.float32)


def read_clips(corpus: str, *splits: str, limit: int | None = None) -> Iterator[Clip]:
    """Yield the clips of ``corpus`` in ``splits``, in the tar's order.

    With ``limit``, that many, spread evenly over the whole split: its first clips are often one speaker's.

    Raises:
        DataMissingError: there is no such tar.
    """
    path = data_dir() / f"{corpus}.tar"
    if not path.is_file():
        raise DataMissingError(f"{path} is missing; GALAGO_DATA names the folder of the tars")
    import soundfile

    with tarfile.open(path) as tar:
        rows: dict[str, dict[str, Any]] = {}
        for member in tar:
            stream = tar.extractfile(member)
            if stream is None:
                continue
            if member.name == "manifest.jsonl":
                chosen = [r for r in map(json.loads, stream.read().splitlines()) if r["split"] in splits]
                if limit is not None and limit < len(chosen):
                    chosen = [chosen[i * len(chosen) // limit] for i in range(limit)]
                rows = {r["file"]: r for r in chosen}
            elif member.name in rows:
                row = rows[member.name]
                pcm, rate_hz = soundfile.read(io.BytesIO(stream.read()), dtype="float32", always_2d=True)
                samples = resample(np.ascontiguousarray(pcm.mean(axis=1)), rate_hz)
                yield Clip(corpus, row["id"], row.get("text") or "", samples, row)


def pad(samples: Audio, before_s: float, after_s: float) -> Audio:
    """``samples`` between digital silences."""
    before, after = round(before_s * SAMPLE_RATE_HZ), round(after_s * SAMPLE_RATE_HZ)
    return np.pad(samples, (before, after))
