"""What a corpus is read from: a tar with a manifest, a JSONL manifest, or a folder of audio with texts.

Each yields rows (a dict with at least ``id``, ``file`` and ``split``) with the bytes of their audio file, and
each has a fingerprint, by which a decoded copy knows whether it was made from this source or from another.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from galago.models.training.errors import TrainingError

__all__ = ["AUDIO_SUFFIXES", "IMAGE_SUFFIXES", "CorpusError", "Row", "fingerprint", "read_rows"]

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
MANIFEST = "manifest.jsonl"
Row = dict[str, Any]


class CorpusError(TrainingError, ValueError):
    """A corpus cannot be read; the message names the file and the line."""


def read_rows(path: Path, *, suffixes: tuple[str, ...] = AUDIO_SUFFIXES) -> Iterator[tuple[Row, bytes]]:
    """The rows of the corpus at ``path`` with the bytes of their files.

    Args:
        suffixes: which files of a folder are looked at.

    Raises:
        CorpusError: nothing there, no manifest, a bad line, a file that is named but missing.
    """
    if not path.exists():
        raise CorpusError(f"{path}: no such corpus")
    if path.is_dir():
        return _rows_of_folder(path, suffixes)
    if path.suffix == ".tar":
        return _rows_of_tar(path)
    if path.suffix in (".jsonl", ".json"):
        return _rows_of_jsonl(path)
    raise CorpusError(f"{path}: neither a folder, a .tar nor a .jsonl manifest")


def fingerprint(path: Path) -> dict[str, Any]:
    """What tells this source from another: where it is, its size, the SHA-256 of its manifest.

    The place alone decides nothing: the same corpus may be moved. A folder has no manifest; the names and
    sizes of its files stand for it.
    """
    digest = hashlib.sha256()
    if path.is_dir():
        sizes = [
            (str(p.relative_to(path)), p.stat().st_size)
            for p in _files_of_folder(path, (*AUDIO_SUFFIXES, ".txt"))
        ]
        num_bytes = sum(size for _, size in sizes)
        digest.update(json.dumps(sizes).encode())
    else:
        num_bytes = path.stat().st_size
        if path.suffix == ".tar":
            with _open_tar(path) as tar:
                digest.update(_manifest_of_tar(tar, path))
        else:
            digest.update(path.read_bytes())
    return {"path": str(path.resolve()), "size_bytes": num_bytes, "sha256": digest.hexdigest()}


def _parse_manifest(data: bytes, where: str) -> Iterator[tuple[int, Row]]:
    """Line numbers and rows. Lines end with a line feed only: U+2028 may stand inside a transcript."""
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{where}: is not UTF-8 (byte {error.start})") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise CorpusError(f"{where}:{number}: no JSON: {error}") from error
        if not isinstance(row, dict):
            raise CorpusError(f"{where}:{number}: expected an object, got {line.strip()[:40]!r}")
        file = row.get("file", row.get("audio_filepath"))
        if not isinstance(file, str):
            raise CorpusError(f"{where}:{number}: a line needs 'file' (or 'audio_filepath'), a text")
        if not isinstance(row.get("text"), str | None):
            raise CorpusError(f"{where}:{number}: 'text' must be a text, got {row['text']!r}")
        yield number, {"id": file, "split": "train", **row, "file": file}


def _open_tar(path: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(path, "r:")
    except (tarfile.TarError, OSError) as error:
        raise CorpusError(f"{path}: no readable tar: {error}") from error


def _plain_name(member: tarfile.TarInfo) -> str:
    return posixpath.normpath(member.name)  # tar writes ./NAME where it was given a folder


def _read_member(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> bytes:
    stream = tar.extractfile(member)
    if stream is None:
        raise CorpusError(f"{path}: {member.name} is no file")
    try:
        return stream.read()
    except (tarfile.TarError, OSError) as error:
        raise CorpusError(f"{path}: {member.name}: {error}") from error


def _manifest_of_tar(tar: tarfile.TarFile, path: Path) -> bytes:
    try:
        for member in tar:  # it is the first in a tar that was made for training
            if _plain_name(member) == MANIFEST:
                return _read_member(tar, member, path)
    except tarfile.TarError as error:
        raise CorpusError(f"{path}: {error}") from error
    raise CorpusError(f"{path}: holds no {MANIFEST}")


def _rows_of_tar(path: Path) -> Iterator[tuple[Row, bytes]]:
    with _open_tar(path) as tar:
        waiting: dict[str, tuple[int, Row]] = {}
        where = f"{path}:{MANIFEST}"
        for number, row in _parse_manifest(_manifest_of_tar(tar, path), where):
            file = posixpath.normpath(row["file"])
            if file in waiting:
                raise CorpusError(f"{where}:{number}: {row['file']} is named a second time")
            waiting[file] = number, row
        try:
            members = tar.getmembers()
        except tarfile.TarError as error:
            raise CorpusError(f"{path}: {error}") from error
        for member in members:
            if member.isfile() and (found := waiting.pop(_plain_name(member), None)) is not None:
                yield found[1], _read_member(tar, member, path)
        for number, row in waiting.values():
            raise CorpusError(f"{where}:{number}: {row['file']} is not in the tar")


def _rows_of_jsonl(path: Path) -> Iterator[tuple[Row, bytes]]:
    for number, row in _parse_manifest(path.read_bytes(), str(path)):
        audio = path.parent / row["file"]
        if not audio.is_file():
            raise CorpusError(f"{path}:{number}: no file {audio}")
        yield row, audio.read_bytes()


def _files_of_folder(path: Path, suffixes: tuple[str, ...]) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.suffix.lower() in suffixes and p.is_file())


def _rows_of_folder(path: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[Row, bytes]]:
    for audio in _files_of_folder(path, suffixes):
        name = str(audio.relative_to(path))
        row: Row = {"id": name, "file": name, "split": "train", "speaker": audio.parent.name, "text": None}
        text = audio.with_suffix(".txt")
        if text.is_file():
            try:
                row["text"] = text.read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                raise CorpusError(f"{text}: is not UTF-8 (byte {error.start})") from error
        yield row, audio.read_bytes()
