"""Speech corpora: read once from tars, folders or JSONL manifests, kept as flat 16 kHz PCM.

A corpus on disk is two files, so that an epoch is sequential reads and no decoder runs twice::

    NAME.pcm     int16 little-endian, mono, 16 kHz, every clip after the other
    NAME.jsonl   a line a clip: id, split, speaker, words, begin_samples, num_samples, label

Both are written under a temporary name and renamed at the end: a killed run leaves nothing half-made.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galago.models.training.transcripts import UnspeakableTextError, normalise

__all__ = ["SAMPLE_RATE_HZ", "Clip", "Corpus", "CorpusError", "import_corpus"]

SAMPLE_RATE_HZ = 16_000
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")


class CorpusError(ValueError):
    """A corpus cannot be read; the message names the file and the line."""


@dataclass(frozen=True)
class Clip:
    """One recording. ``words`` is ``None`` where the text is unknown, empty where nothing is said."""

    id: str
    split: str
    speaker: str | None
    words: list[str] | None
    begin_samples: int
    num_samples: int
    label: str | None = None
    age: int | None = None

    @property
    def duration_s(self) -> float:
        return self.num_samples / SAMPLE_RATE_HZ


class Corpus:
    """A corpus on disk: ``clips`` and, through :meth:`pcm`, their samples (memory-mapped)."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.folder = folder
        index, samples = folder / f"{name}.jsonl", folder / f"{name}.pcm"
        if not index.is_file() or not samples.is_file():
            raise CorpusError(f"{folder}: no corpus {name!r} (expected {index.name} and {samples.name})")
        self.clips = [Clip(**json.loads(line)) for line in index.read_text(encoding="utf-8").splitlines()]
        self._pcm: NDArray[np.int16] = np.memmap(samples, dtype="<i2", mode="r")
        if self.clips and self.clips[-1].begin_samples + self.clips[-1].num_samples != len(self._pcm):
            raise CorpusError(f"{samples}: {len(self._pcm)} samples, the index says otherwise")

    def split(self, *names: str) -> list[Clip]:
        return [clip for clip in self.clips if clip.split in names]

    def pcm(self, clip: Clip) -> NDArray[np.int16]:
        """Samples of ``clip``: int16, shape (num_samples,), 16 kHz."""
        return self._pcm[clip.begin_samples : clip.begin_samples + clip.num_samples]


class CorpusWriter:
    """Appends clips to a new corpus; :meth:`close` makes it visible under its name, all at once."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._paths = [(folder / f".{name}{s}.part", folder / f"{name}{s}") for s in (".pcm", ".jsonl")]
        self._pcm = open(self._paths[0][0], "wb")
        self._index = open(self._paths[1][0], "w", encoding="utf-8")
        self._num_samples = 0

    def add(
        self,
        pcm: NDArray[np.int16],
        *,
        id: str,
        split: str,
        speaker: str | None,
        words: list[str] | None,
        label: str | None = None,
        age: int | None = None,
    ) -> None:
        clip = Clip(id, split, speaker, words, self._num_samples, len(pcm), label, age)
        self._pcm.write(pcm.astype("<i2").tobytes())
        self._index.write(json.dumps(asdict(clip)) + "\n")
        self._num_samples += len(pcm)

    def close(self) -> None:
        self._pcm.close()
        self._index.close()
        for part, final in self._paths:
            os.replace(part, final)


def decode(data: bytes, where: str) -> NDArray[np.int16]:
    """Decode a file's bytes to int16 at 16 kHz, mixed down to mono and resampled where needed.

    Raises:
        CorpusError: libsndfile cannot read it; the message names ``where``.
    """
    import soundfile
    import soxr

    try:
        pcm, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise CorpusError(f"{where}: {error}") from error
    mono = pcm.mean(axis=1)
    if rate != SAMPLE_RATE_HZ:
        mono = soxr.resample(mono, rate, SAMPLE_RATE_HZ, quality="HQ")
    return np.clip(np.rint(mono * 32768.0), -32768, 32767).astype(np.int16)


def _rows_of_tar(path: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    with tarfile.open(path) as tar:
        rows: dict[str, dict[str, Any]] = {}
        for member in tar:
            stream = tar.extractfile(member)
            if stream is None:
                continue
            data = stream.read()
            if member.name == "manifest.jsonl":
                rows = {row["file"]: row for row in map(json.loads, data.decode("utf-8").splitlines())}
            elif member.name in rows:
                yield rows[member.name], data


def _rows_of_jsonl(path: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            file = row["file"] if "file" in row else row["audio_filepath"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise CorpusError(f"{path}:{number}: a line needs 'file' (or 'audio_filepath'): {error!r}") from error
        audio = path.parent / file
        if not audio.is_file():
            raise CorpusError(f"{path}:{number}: no file {audio}")
        yield {"id": str(file), "split": "train", **row}, audio.read_bytes()


def _rows_of_folder(path: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    for audio in sorted(p for p in path.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES):
        text = audio.with_suffix(".txt")
        row = {"id": str(audio.relative_to(path)), "split": "train", "speaker": audio.parent.name}
        row["text"] = text.read_text(encoding="utf-8") if text.is_file() else None
        yield row, audio.read_bytes()


def _rows(path: Path) -> Iterable[tuple[dict[str, Any], bytes]]:
    if path.is_dir():
        return _rows_of_folder(path)
    if path.suffix == ".tar":
        return _rows_of_tar(path)
    if path.suffix in (".jsonl", ".json"):
        return _rows_of_jsonl(path)
    raise CorpusError(f"{path}: neither a folder, a .tar nor a .jsonl manifest")


def import_corpus(path: Path, folder: Path, *, name: str | None = None, speech: bool = True) -> Corpus:
    """Decode everything at ``path`` into ``folder`` once; a later call with the same name only opens it.

    Args:
        path: a tar with ``manifest.jsonl``, a JSONL manifest (``file``, ``text``, ``speaker``, ``split``),
            or a folder of audio files with a ``.txt`` beside each.
        folder: where ``NAME.pcm`` and ``NAME.jsonl`` are kept.
        name: the corpus's name, by default the stem of ``path``.
        speech: false where ``text`` is no transcript (sound events): every clip then has no words.

    Raises:
        CorpusError: ``path`` is missing or a file of it cannot be decoded.
    """
    from tqdm import tqdm

    name = name or path.stem
    if (folder / f"{name}.jsonl").is_file() and (folder / f"{name}.pcm").is_file():
        return Corpus(folder, name)
    if not path.exists():
        raise CorpusError(f"{path}: no such corpus")
    writer = CorpusWriter(folder, name)
    for row, data in tqdm(_rows(path), desc=f"decode {name}", unit="clip", mininterval=2.0):
        label = row.get("label")
        words: list[str] | None = None
        if not speech or str(label or "").startswith("_background"):
            words = []
        elif label != "_other_" and row.get("text") is not None:
            try:
                words = normalise(row["text"])
            except UnspeakableTextError:
                words = None  # kept for noise-robustness and evaluation by ear, never as a transcript
        age = row.get("age")
        writer.add(
            decode(data, f"{path}:{row['id']}"),
            id=str(row["id"]),
            split=str(row.get("split", "train")),
            speaker=row.get("speaker"),
            words=words,
            label=label,
            age=age if isinstance(age, int) else None,
        )
    writer.close()
    return Corpus(folder, name)
