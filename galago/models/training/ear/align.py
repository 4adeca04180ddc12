"""Forced alignment: which phone is spoken when, from a transcript and a pronouncing dictionary.

PocketSphinx (BSD licence, with its own US English model and CMUdict) aligns at some 30 times real time on
one core. Its stress-less ARPAbet phones are the targets of the ear's phone head and FastSpeech's durations.

A corpus's alignments are two more files beside it::

    NAME.phones.jsonl      a line a clip that aligned: id, phones [[name, begin, num], …],
                           words [[name, begin, num], …], times in 10 ms frames
    NAME.unaligned.json    ids that were tried in vain, and whether unknown words were sounded out then
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galago.models.training.ear.corpus import Clip, Corpus

__all__ = ["Alignment", "align_corpus", "load_alignments", "sound_out"]

SILENCE_PHONES = ("SIL", "+NSN+", "+SPN+", "+BREATH+", "+COUGH+", "+NOISE+", "+SMACK+", "+UH+", "+UM+")
Pronounce = Callable[[str], list[tuple[str, ...]]]


@dataclass(frozen=True)
class Alignment:
    """Phones and words of one clip with their times in 10 ms frames; silence is ``"SIL"``."""

    id: str
    phones: list[tuple[str, int, int]]
    words: list[tuple[str, int, int]]

    def says(self, words: list[str] | None) -> bool:
        """Whether every word of a transcript has its time here. A decoder that loses its way drops words,
        and what was said there would be taught as silence."""
        return [name for name, _, _ in self.words] == words


@cache
def _lexicon() -> Any:
    from galago.runtime.language.lexicon import load_default

    return load_default()


def sound_out(word: str) -> list[tuple[str, ...]]:
    """Pronunciations of ``word`` by galago's own lexicon; none for what cannot be sounded out."""
    from galago.runtime.language.lexicon import LexiconError

    try:
        variants: list[tuple[str, ...]] = _lexicon().pronounce(word)
    except LexiconError:
        return []
    return variants


class _Aligner:
    """One PocketSphinx decoder; it is kept for a whole process because making one takes half a second."""

    def __init__(self, pronounce: Pronounce | None, dictionary: Path | None) -> None:
        from pocketsphinx import Decoder

        # The second pass takes the word times of the first as given: lattice rescoring (bestpath, fwdflat)
        # would move words to times that their phones cannot fill, and most clips would be refused. The
        # cepstral mean of the clip alone (batch), so that a clip aligns alike whatever came before it.
        own = {} if dictionary is None else {"dict": str(dictionary)}
        self._decoder: Any = Decoder(
            lm=None, loglevel="FATAL", bestpath=False, fwdflat=False, cmn="batch",
            beam=1e-80, pbeam=1e-80, wbeam=1e-60, **own,
        )  # fmt: skip
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
        """Times of the clip's words and phones; None where they do not all fit into the sound."""
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
            if not name.startswith(("<", "[")):  # <sil>, [NOISE]
                words.append((name, word.start, word.duration))
            for phone in word:
                plain = "SIL" if phone.name in SILENCE_PHONES else phone.name
                phones.append((plain, phone.start, phone.duration))
        alignment = Alignment(clip.id, phones, words)
        return alignment if alignment.says(clip.words) else None


_aligner: _Aligner | None = None


def _start_worker(pronounce: Pronounce | None, dictionary: Path | None) -> None:
    global _aligner
    _aligner = _Aligner(pronounce, dictionary)


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
    dictionary: Path | None = None,
    num_workers: int | None = None,
) -> Path:
    """Align every transcribed clip of ``corpus`` that is not aligned yet.

    Clips that were tried in vain are tried again only when ``pronounce`` is given for the first time.

    Args:
        corpus: where clips and samples come from.
        splits: which splits to align.
        pronounce: gives pronunciations to words outside the dictionary (:func:`sound_out`); without it, clips
            with such words are left out. It travels to other processes: a function of a module, no closure.
        dictionary: a file in CMUdict's format; by default PocketSphinx's own.
        num_workers: processes, by default one a core.

    Returns:
        the path of ``NAME.phones.jsonl``.
    """
    from tqdm import tqdm

    path = corpus.folder / f"{corpus.name}.phones.jsonl"
    tried_path = corpus.folder / f"{corpus.name}.unaligned.json"
    done = load_alignments(corpus)
    tried = json.loads(tried_path.read_text(encoding="utf-8")) if tried_path.is_file() else {}
    in_vain = set(tried["ids"]) if tried.get("sounded_out") == (pronounce is not None) else set()
    todo = [c for c in corpus.split(*splits) if c.words and c.id not in done and c.id not in in_vain]
    if todo:
        work = partial(_align_one, corpus.folder, corpus.name)
        # Not fork: the caller may have threads of torch. The aligner is made once in each process.
        with multiprocessing.get_context("spawn").Pool(
            num_workers or os.cpu_count(), _start_worker, (pronounce, dictionary)
        ) as pool:
            found = pool.imap(work, todo, chunksize=8)
            for clip, alignment in zip(
                todo, tqdm(found, total=len(todo), desc=f"align {corpus.name}", unit="clip"), strict=True
            ):
                if alignment is None:
                    in_vain.add(clip.id)
                else:
                    done[clip.id] = alignment
        rows = (json.dumps({"id": a.id, "phones": a.phones, "words": a.words}) + "\n" for a in done.values())
        _write(path, "".join(rows))
        _write(tried_path, json.dumps({"sounded_out": pronounce is not None, "ids": sorted(in_vain)}))
    return path


def _write(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def load_alignments(corpus: Corpus) -> dict[str, Alignment]:
    """Alignments of ``corpus`` by clip id; empty where it was never aligned.

    Lines that do not hold all words of their clip, or whose clip is gone, are left out.
    """
    path = corpus.folder / f"{corpus.name}.phones.jsonl"
    if not path.is_file():
        return {}
    transcripts = {clip.id: clip.words for clip in corpus.clips}
    found: dict[str, Alignment] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        # Forty names, said by the million: interned, alignments take a fifth less memory.
        phones, words = ([(sys.intern(n), b, c) for n, b, c in row[key]] for key in ("phones", "words"))
        alignment = Alignment(row["id"], phones, words)
        if alignment.says(transcripts.get(alignment.id)):
            found[alignment.id] = alignment
    return found
