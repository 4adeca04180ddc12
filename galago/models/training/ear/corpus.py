"""Speech corpora: read once from tars, folders or JSONL manifests, kept as flat 16 kHz PCM.

A corpus on disk is three files, so that an epoch is sequential reads and no decoder runs twice::

    NAME.pcm           int16 little-endian, mono, 16 kHz, every clip after the other
    NAME.jsonl         a line a clip: id, split, speaker, words, begin_samples, num_samples, label
    NAME.source.json   what it was made from; another source of the same name is refused

They are written under temporary names and renamed at the end: a killed run leaves nothing half-made.
"""

from __future__ import annotations

import io
import json
import os
import types
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galago.models.training.ear.transcripts import UnspeakableTextError, normalise
from galago.models.training.sources import CorpusError, Row, fingerprint, read_rows

__all__ = [
    "SAMPLE_RATE_HZ",
    "Clip",
    "Corpus",
    "CorpusError",
    "CorpusWriter",
    "decode",
    "import_corpus",
    "refuse_other_source",
]

SAMPLE_RATE_HZ = 16_000


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
    """A corpus on disk: ``clips`` and, through :meth:`pcm`, their samples (memory-mapped).

    Raises:
        CorpusError: no corpus of this name, or index and samples do not fit together.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.folder = folder
        index, samples = folder / f"{name}.jsonl", folder / f"{name}.pcm"
        if not index.is_file() or not samples.is_file():
            raise CorpusError(f"{folder}: no corpus {name!r} (expected {index.name} and {samples.name})")
        self.clips: list[Clip] = []
        for number, line in enumerate(index.read_text(encoding="utf-8").rstrip("\n").split("\n"), 1):
            try:
                self.clips.append(Clip(**json.loads(line)))
            except (json.JSONDecodeError, TypeError) as error:
                raise CorpusError(f"{index}:{number}: describes no clip: {error}") from error
        end = self.clips[-1].begin_samples + self.clips[-1].num_samples
        if samples.stat().st_size != end * 2:
            raise CorpusError(f"{samples}: {samples.stat().st_size // 2} samples, the index says {end}")
        self._pcm: NDArray[np.int16] = np.memmap(samples, dtype="<i2", mode="r")

    def split(self, *names: str) -> list[Clip]:
        return [clip for clip in self.clips if clip.split in names]

    def pcm(self, clip: Clip) -> NDArray[np.int16]:
        """Samples of ``clip``: int16, shape (num_samples,), 16 kHz."""
        return self._pcm[clip.begin_samples : clip.begin_samples + clip.num_samples]


class CorpusWriter:
    """Appends clips to a new corpus; :meth:`close` makes it visible under its name, all at once.

    As a context manager it closes where all went well and leaves nothing behind where it did not.
    """

    def __init__(self, folder: Path, name: str, *, source: dict[str, Any] | None = None) -> None:
        """``source`` is what :func:`refuse_other_source` will compare."""
        folder.mkdir(parents=True, exist_ok=True)
        self._name = name
        self._paths = [
            (folder / f".{name}{suffix}.part", folder / f"{name}{suffix}")
            for suffix in (".pcm", ".source.json", ".jsonl")  # the index last: with it, the corpus is there
        ]
        self._source = source or {}
        self._ids: set[str] = set()
        self._num_samples = 0
        self._pcm = open(self._paths[0][0], "wb")
        self._index = open(self._paths[2][0], "w", encoding="utf-8")

    def __enter__(self) -> CorpusWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abandon()

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
        """Append one clip: int16 samples at 16 kHz, shape (num_samples,).

        Raises:
            CorpusError: a clip of this id is there already.
        """
        if id in self._ids:
            raise CorpusError(f"{self._name}: two clips have the id {id!r}")
        self._ids.add(id)
        clip = Clip(id, split, speaker, words, self._num_samples, len(pcm), label, age)
        self._pcm.write(pcm.astype("<i2").tobytes())
        self._index.write(json.dumps(asdict(clip)) + "\n")
        self._num_samples += len(pcm)

    def close(self) -> None:
        """Make the corpus visible.

        Raises:
            CorpusError: no clip was added.
        """
        if not self._ids:
            self.abandon()
            raise CorpusError(f"{self._name}: holds no clip")
        self._pcm.close()
        self._index.close()
        self._paths[1][0].write_text(json.dumps(self._source, indent=1) + "\n", encoding="utf-8")
        for part, final in self._paths:
            os.replace(part, final)

    def abandon(self) -> None:
        """Drop everything that was written."""
        self._pcm.close()
        self._index.close()
        for part, _ in self._paths:
            part.unlink(missing_ok=True)


def refuse_other_source(folder: Path, name: str, source: dict[str, Any]) -> None:
    """Compare what corpus ``name`` was made from with ``source``; only keys that both have count.

    A corpus without a record is taken as it is: nothing is known against it.

    Raises:
        CorpusError: it was made from something else; the message says what to do.
    """
    path = folder / f"{name}.source.json"
    if not path.is_file():
        return
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        different = [key for key in source if key != "path" and key in stored and stored[key] != source[key]]
    except (UnicodeDecodeError, json.JSONDecodeError, TypeError) as error:
        raise CorpusError(f"{path}: is damaged ({error}); delete {name}.* in {folder}") from error
    if different:
        made_from, wanted = stored.get("path", "something else"), source.get("path", name)
        raise CorpusError(
            f"{folder / name}.pcm was made from {made_from}, and {wanted} differs in {', '.join(different)}: "
            f"delete {name}.* there to make it again, or choose another name"
        )


def decode(data: bytes, where: str) -> NDArray[np.int16]:
    """Decode a file's bytes to int16 at 16 kHz, mixed down to mono and resampled where needed.

    Raises:
        CorpusError: libsndfile cannot read it, or it holds no samples or such as are no numbers; the message
            names ``where``.
    """
    import soundfile
    import soxr

    try:
        pcm, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise CorpusError(f"{where}: {error}") from error
    mono = pcm.mean(axis=1) if len(pcm) else pcm[:, 0]
    if not np.isfinite(mono).all():
        raise CorpusError(f"{where}: sample {int(np.argmin(np.isfinite(mono)))} is NaN or infinite")
    if rate != SAMPLE_RATE_HZ:
        mono = soxr.resample(mono, rate, SAMPLE_RATE_HZ, quality="HQ")
    if not len(mono):
        raise CorpusError(f"{where}: holds no samples")
    quantized: NDArray[np.int16] = np.clip(np.rint(mono * 32768.0), -32768, 32767).astype(np.int16)
    return quantized


def _words_of(row: Row, speech: bool) -> list[str] | None:
    label = str(row.get("label") or "")
    if not speech or label.startswith("_background"):
        return []
    if label == "_other_" or row.get("text") is None:
        return None
    try:
        return normalise(row["text"])
    except UnspeakableTextError:
        return None  # kept for evaluation by ear, never as a transcript


def import_corpus(path: Path, folder: Path, *, name: str | None = None, speech: bool = True) -> Corpus:
    """Decode everything at ``path`` into ``folder`` once; a later call with the same name only opens it.

    Args:
        path: a tar with ``manifest.jsonl``, a JSONL manifest (``file``, ``text``, ``speaker``, ``split``),
            or a folder of audio files with a ``.txt`` beside each.
        folder: where the decoded copy is kept.
        name: the corpus's name, by default the stem of ``path`` (of its folder, for a ``manifest.jsonl``).
        speech: false where ``text`` is no transcript (sound events): every clip then has no words.

    Raises:
        CorpusError: ``path`` is missing, its manifest is wrong, a file of it cannot be decoded, or the copy
            of this name was made from another source.
    """
    from tqdm import tqdm

    name = name or (path.resolve().parent.name if path.stem == "manifest" else path.stem)
    if (folder / f"{name}.jsonl").is_file() and (folder / f"{name}.pcm").is_file():
        if path.exists():  # a source that is gone cannot differ
            refuse_other_source(folder, name, {**fingerprint(path), "speech": speech})
        return Corpus(folder, name)
    rows = read_rows(path)
    with CorpusWriter(folder, name, source={**fingerprint(path), "speech": speech}) as writer:
        for row, data in tqdm(rows, desc=f"decode {name}", unit="clip", mininterval=2.0):
            age, label, speaker = row.get("age"), row.get("label"), row.get("speaker")
            writer.add(
                decode(data, f"{path}:{row['file']}"),
                id=str(row["id"]),
                split=str(row["split"]),
                speaker=None if speaker is None else str(speaker),
                words=_words_of(row, speech),
                label=None if label is None else str(label),
                age=age if isinstance(age, int) else None,
            )
    return Corpus(folder, name)
