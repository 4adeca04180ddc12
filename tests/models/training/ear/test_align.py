"""Forced alignment: only whole transcripts become targets. Speech is made here, where a program can speak."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from galago.models.tokenizer import PHONES
from galago.models.training.ear.align import Alignment, align_corpus, load_alignments, sound_out
from galago.models.training.ear.corpus import Corpus, CorpusWriter, decode

WORDS = ["please", "open", "the", "kitchen", "window"]


def corpus_of(folder: Path, clips: dict[str, tuple[np.ndarray, list[str]]]) -> Corpus:
    writer = CorpusWriter(folder, "spoken")
    for name, (pcm, words) in clips.items():
        writer.add(pcm.astype(np.int16), id=name, split="train", speaker=None, words=words)
    writer.close()
    return Corpus(folder, "spoken")


def speak(text: str, folder: Path) -> np.ndarray:
    if shutil.which("flite") is None:
        pytest.skip("flite is not installed: there is no speech to align")
    subprocess.run(["flite", "-voice", "slt", "-t", text, "-o", str(folder / "speech.wav")], check=True)
    return decode((folder / "speech.wav").read_bytes(), "speech.wav")


def write_rows(folder: Path, *rows: Mapping[str, object]) -> None:
    (folder / "spoken.phones.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_an_alignment_without_all_words_is_no_alignment(tmp_path: Path) -> None:
    """A decoder that lost its way leaves words out; their sound would be taught as silence."""
    corpus = corpus_of(tmp_path, {n: (np.ones(16_000), ["up"]) for n in ("whole", "empty", "other")})
    whole = {"id": "whole", "phones": [["AH", 10, 8], ["P", 18, 5]], "words": [["up", 10, 13]]}
    empty = {"id": "empty", "phones": [["SIL", 0, 99]], "words": []}
    other = {"id": "other", "phones": [["AH", 10, 8]], "words": [["a", 10, 8]]}
    gone = {"id": "gone", "phones": [["AH", 10, 8]], "words": [["up", 10, 8]]}
    write_rows(tmp_path, whole, empty, other, gone)
    assert load_alignments(corpus) == {
        "whole": Alignment("whole", [("AH", 10, 8), ("P", 18, 5)], [("up", 10, 13)])
    }


def test_a_corpus_that_was_never_aligned_has_no_alignments(tmp_path: Path) -> None:
    assert load_alignments(corpus_of(tmp_path, {"a": (np.ones(1600), ["up"])})) == {}


def test_unknown_words_are_sounded_out_with_phones_of_the_ear() -> None:
    for word in ("galago", "pipette", "zorblax"):
        variants = sound_out(word)
        assert variants and all(phone in PHONES[1:] for phones in variants for phone in phones)
    assert sound_out("1999") == []


def test_speech_aligns_in_order_and_within_its_time(tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx", reason="pocketsphinx is not installed: nothing can align")
    spoken = speak(" ".join(WORDS), tmp_path)
    quiet = np.zeros(8_000, dtype=np.int16)
    unknown = speak("open the zorblax", tmp_path)
    corpus = corpus_of(
        tmp_path,
        {
            "plain": (spoken, WORDS),
            "later": (np.concatenate([quiet, spoken]), WORDS),
            "again": (spoken, WORDS),
            "wrong": (quiet, WORDS),  # no room for the words
            "unknown": (unknown, ["open", "the", "zorblax"]),
        },
    )
    path = align_corpus(corpus, num_workers=1)
    found = load_alignments(corpus)
    assert sorted(found) == ["again", "later", "plain"]
    plain = found["plain"]
    assert [name for name, _, _ in plain.words] == WORDS
    assert {phone for phone, _, _ in plain.phones} <= set(PHONES)
    ends = 0
    for _, begin, count in plain.phones:  # without gaps, forwards
        assert begin == ends and count > 0
        ends = begin + count
    assert ends <= len(spoken) / 160 + 1
    # The same sound aligns alike wherever it stands and whatever was aligned before it.
    assert found["again"].phones == plain.phones
    shift = [b - a for (_, a, _), (_, b, _) in zip(plain.words, found["later"].words, strict=True)]
    assert all(abs(frames - 50) <= 5 for frames in shift)

    before = path.read_bytes()
    align_corpus(corpus, num_workers=1)  # what was tried in vain is not tried again
    assert path.read_bytes() == before
    align_corpus(corpus, pronounce=sound_out, num_workers=1)
    assert sorted(load_alignments(corpus)) == ["again", "later", "plain", "unknown"]
