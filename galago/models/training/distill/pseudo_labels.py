"""Pseudo-labels on disk: what a teacher was sure of, as a corpus or an album that a recipe reads.

    SOURCE (tar, JSONL, folder) ──► a role labels each file ──► OUTPUT/manifest.jsonl
                                                                OUTPUT/files/     what stood in a tar
                                                                OUTPUT/report.json

Only labels above a confidence are kept (Lee 2013; for speech Kahn et al. 2020, for images Xie et al. 2020):
a student believes what it is told, a wrong label as much as a right one.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galago.models.training.sources import CorpusError, Row, read_rows

__all__ = ["Verdict", "most_confident", "unlabelled", "write_pseudo_labels"]


@dataclass(frozen=True)
class Verdict:
    """What becomes of one file.

    Attributes:
        row, data: of the source.
        label: what is written into the manifest beside ``file``; None: the file is left out.
        reason: why it is left out.
        confidence: (0, 1], of a label.
    """

    row: Row
    data: bytes
    label: Mapping[str, Any] | None
    confidence: float = 0.0
    reason: str = ""


def unlabelled(
    source: Path, suffixes: tuple[str, ...], splits: tuple[str, ...] = ()
) -> Iterator[tuple[Row, bytes]]:
    """The files of a source, whatever is known of them; of these splits, or of all.

    Raises:
        CorpusError: as ``read_rows`` says.
    """
    return (
        (row, data)
        for row, data in read_rows(source, suffixes=suffixes)
        if not splits or row["split"] in splits
    )


def most_confident(verdicts: Iterable[Verdict], key: str, num_each: int) -> list[Verdict]:
    """Of each value of ``label[key]`` the ``num_each`` labels that are surest; the others are left out.

    Without it a teacher's favourites outnumber everything else (Xie et al. 2020, section 3).
    """
    everything = list(verdicts)
    order = sorted(range(len(everything)), key=lambda i: -everything[i].confidence)
    counts: Counter[Any] = Counter()
    for i in order:
        verdict = everything[i]
        if verdict.label is None:
            continue
        counts[verdict.label[key]] += 1
        if counts[verdict.label[key]] > num_each:
            everything[i] = Verdict(verdict.row, verdict.data, None, reason="enough of its label")
    return everything


def _place(verdict: Verdict, source: Path, output: Path) -> str:
    """Where the manifest finds the file: in its folder, or copied out of its tar."""
    name = posixpath.normpath(verdict.row["file"])
    if source.suffix != ".tar":
        beside = source if source.is_dir() else source.parent
        return Path(os.path.relpath(beside.resolve() / name, output.resolve())).as_posix()
    if name.startswith(("/", "../")):
        raise CorpusError(f"{source}: {name} leads out of the tar")
    path = output / "files" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(verdict.data)
    return f"files/{name}"


def write_pseudo_labels(
    verdicts: Iterable[Verdict],
    source: Path,
    output: Path,
    *,
    teachers: Iterable[Path],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Write ``manifest.jsonl`` and ``report.json`` into ``output``, aside and renamed.

    Args:
        source: what was labelled; files of a tar are copied, others stay where they are.
        teachers: their files. settings: what decided; both stand in the report.

    Returns:
        the report: ``num_files``, ``num_kept``, ``left_out`` by reason, and where all came from.

    Raises:
        CorpusError: the source cannot be read, or nothing is kept; no manifest is written then.
        OSError: nothing can be written.
    """
    output.mkdir(parents=True, exist_ok=True)
    left_out: Counter[str] = Counter()
    lines, num_files = [], 0
    for verdict in verdicts:
        num_files += 1
        if verdict.label is None:
            left_out[verdict.reason] += 1
            continue
        row = {
            "file": _place(verdict, source, output),
            "id": str(verdict.row["id"]),
            "split": "train",
            **verdict.label,
            "confidence": round(verdict.confidence, 4),
        }
        if verdict.row.get("speaker") is not None:
            row["speaker"] = str(verdict.row["speaker"])
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    if not lines:
        why = ", ".join(f"{count} {reason}" for reason, count in left_out.items()) or "it holds no file"
        raise CorpusError(f"{source}: nothing is left: {why}")
    report = {
        "source": str(source),
        "teachers": [
            {"path": str(p), "sha256": hashlib.sha256(p.read_bytes()).hexdigest()} for p in teachers
        ],
        "settings": dict(settings),
        "num_files": num_files,
        "num_kept": len(lines),
        "left_out": dict(left_out),
    }
    for name, text in (
        ("report.json", json.dumps(report, indent=1) + "\n"),
        ("manifest.jsonl", "".join(lines)),
    ):
        part = output / f"{name}.part"
        part.write_text(text, encoding="utf-8")
        os.replace(part, output / name)
    return report
