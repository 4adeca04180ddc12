"""Forced alignment: which phone is spoken when, from a transcript and a pronouncing dictionary.

PocketSphinx (BSD licence, with its own US English model and CMUdict) aligns at some 30 times real time on
one core. Its stress-less ARPAbet phones are the targets of the ear's phone head and FastSpeech's durations.

A corpus's alignments are one more file beside it::

    NAME.phones.jsonl   a line a clip that aligned: id, phones [[name, begin, num], …],
                        words [[name, begin, num], …], times in 10 ms frames
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galago.models.training.corpus import Clip, Corpus

__all__ = ["Alignment", "align_corpus", "load_alignments"]

SILENCE_PHONES = ("SIL", "+NSN+", "+SPN+", "+BREATH+", "+COUGH+", "+NOISE+", "+SMACK+", "+UH+", "+UM+")
Pronounce = Callable[[str], list[tuple[str, ...]]]


@dataclass(frozen=True)
class Alignment:
    """Phones and words of one clip with their times in 10 ms frames; silence is ``"SIL"``."""

    id: str
    phones: list[tuple[str, int, int]]
    words: list[tuple[str, int, int]]


class _Aligner:
    """One PocketSphinx decoder; it is kept for a whole process because making one takes half a second."""

    def __init__(self, pronounce: Pronounce | None) -> None:
        from pocketsphinx import Decoder

        # The second pass takes the word times of the first as given: lattice rescoring (bestpath, fwdflat)
        # would move words to times that their phones cannot fill, and most clips would be refused.
        self._decoder: Any = Decoder(
            lm=None, loglevel="FATAL", bestpath=False, fwdflat=False, beam=1e-80, pbeam=1e-80, wbeam=1e-60
        )
        self._pronounce = pronounce

    def _knows(self, word: str) -> bool:
        if self._decoder.lookup_word(word) is not None:
            return True
        variants = self._pronounce(word) if self._pronounce else []
        for number, phones in enumerate(variants):
            self._decoder.add_word(word if number == 0 else f"{word}({number + 1})", " ".join(phones), True)
        return bool(variants)

    def _decode(self, pcm: NDArray[np.int16]) -> None:
        self._decoder.start_utt()
        self._decoder.process_raw(pcm.tobytes(), full_utt=True)
        self._decoder.end_utt()

    def align(self, clip: Clip, pcm: NDArray[np.int16]) -> Alignment | None:
        if not clip.words or not all([self._knows(word) for word in clip.words]):
            return None
        try:
            self._decoder.set_align_text(" ".join(clip.words))
            self._decode(pcm)
            self._decoder.set_alignment()
            self._decode(pcm)
            found = self._decoder.get_alignment()
        except RuntimeError:  # it says so when the words do not fit into the sound
            return None
        if found is None:
            return None
        phones: list[tuple[str, int, int]] = []
        words: list[tuple[str, int, int]] = []
        for word in found:
            name = word.name.split("(")[0]
            if not name.startswith("<"):
                words.append((name, word.start, word.duration))
            for phone in word:
                plain = "SIL" if phone.name in SILENCE_PHONES else phone.name
                phones.append((plain, phone.start, phone.duration))
        return Alignment(clip.id, phones, words)


_aligner: _Aligner | None = None


def _start_worker(pronounce: Pronounce | None) -> None:
    global _aligner
    _aligner = _Aligner(pronounce)


def _align_one(folder: Path, name: str, clip: Clip) -> Alignment | None:
    assert _aligner is not None
    pcm: NDArray[np.int16] = np.fromfile(
        folder / f"{name}.pcm", dtype="<i2", count=clip.num_samples, offset=clip.begin_samples * 2
    )
    return _aligner.align(clip, pcm)


def align_corpus(
    corpus: Corpus,
    *,
    splits: tuple[str, ...] = ("train", "dev"),
    pronounce: Pronounce | None = None,
    num_workers: int | None = None,
) -> Path:
    """Align every transcribed clip of ``corpus``; clips already aligned are kept, the rest are tried.

    Args:
        corpus: where clips and samples come from.
        splits: which splits to align.
        pronounce: gives pronunciations to words outside PocketSphinx's dictionary; without it, clips with
            such words are left out.
        num_workers: processes, by default one a core.

    Returns:
        the path of ``NAME.phones.jsonl``.
    """
    from tqdm import tqdm

    path = corpus.folder / f"{corpus.name}.phones.jsonl"
    done = {row["id"]: row for row in map(json.loads, path.read_text().splitlines())} if path.is_file() else {}
    todo = [c for c in corpus.split(*splits) if c.words and c.id not in done]
    if todo:
        work = partial(_align_one, corpus.folder, corpus.name)
        with multiprocessing.get_context("spawn").Pool(
            num_workers or os.cpu_count(), _start_worker, (pronounce,)
        ) as pool:
            for found in tqdm(
                pool.imap(work, todo, chunksize=8), total=len(todo), desc=f"align {corpus.name}", unit="clip"
            ):
                if found is not None:
                    done[found.id] = {"id": found.id, "phones": found.phones, "words": found.words}
    part = path.with_suffix(".part")
    part.write_text("".join(json.dumps(row) + "\n" for row in done.values()), encoding="utf-8")
    os.replace(part, path)
    return path


def load_alignments(corpus: Corpus) -> dict[str, Alignment]:
    """Alignments of ``corpus`` by clip id; empty where it was never aligned."""
    path = corpus.folder / f"{corpus.name}.phones.jsonl"
    return {row.id: row for row in _read(path)} if path.is_file() else {}


def _read(path: Path) -> Iterator[Alignment]:
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield Alignment(row["id"], [tuple(p) for p in row["phones"]], [tuple(w) for w in row["words"]])
