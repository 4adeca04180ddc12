"""Synthetic speech: decided by its plan alone, kept, and refused where plan or programs do not fit.

A stand-in for espeak-ng (a shell script that writes a tone) keeps the bookkeeping testable anywhere; one
test lets the real program speak.
"""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from galago.models.training.ear import synthesize
from galago.models.training.ear.corpus import Corpus, CorpusError
from galago.models.training.ear.synthesize import SpeechPlan, synthesize_corpus

PLAN = SpeechPlan(num_sentences=2, num_commands=3, num_word_sequences=2, flite_share=0.0)
SENTENCES = [
    "The quick brown fox jumps over the lazy dog.",
    "Room 101 is closed.",
    "Please bring me the red box now!",
]


def fake_espeak(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    folder.mkdir(exist_ok=True)
    stream = io.BytesIO()
    soundfile.write(stream, 0.1 * np.sin(np.arange(8000) / 9.0), 22_050, format="WAV")
    (folder / "tone.wav").write_bytes(stream.getvalue())
    program = folder / "espeak-ng"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def speak(folder: Path, plan: SpeechPlan = PLAN, sentences: list[str] = SENTENCES) -> Corpus:
    return synthesize_corpus(plan, folder, name="spoken", sentences=sentences)


WRITES_A_TONE = 'while [ "$1" != "-w" ]; do shift; done; cp "$(dirname "$0")/tone.wav" "$2"'


@pytest.fixture
def spoken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    fake_espeak(tmp_path / "bin", monkeypatch, WRITES_A_TONE)
    speak(tmp_path / "cache")
    return tmp_path / "cache"


def test_the_texts_are_decided_by_the_plan() -> None:
    vocabulary = ["box", "fox", "lazy"]
    texts = PLAN.texts(SENTENCES, vocabulary)
    assert texts == PLAN.texts(SENTENCES, vocabulary) != replace(PLAN, seed=2).texts(SENTENCES, vocabulary)
    assert len(texts) == 7 and all(1 <= len(text.split()) <= 14 for text in texts)
    assert not any("101" in text for text in texts)  # digits have no one spelling
    sequences = replace(PLAN, num_sentences=0, num_commands=0).texts(SENTENCES, vocabulary)
    assert len(sequences) == 2 and {w for s in sequences for w in s.split()} <= set(vocabulary)


def test_a_corpus_of_what_was_spoken(spoken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = Corpus(spoken, "spoken")
    assert [c.id for c in corpus.clips] == [f"spoken-{i:05d}" for i in range(7)]
    assert all(c.split == "train" and c.words and str(c.speaker).startswith("espeak:") for c in corpus.clips)
    assert all(abs(c.num_samples - 8000 * 16_000 / 22_050) < 2 for c in corpus.clips)
    monkeypatch.setenv("PATH", "/nowhere")
    assert speak(spoken).clips == corpus.clips  # nobody speaks a second time


def test_another_plan_or_other_sentences_under_the_same_name_are_refused(spoken: Path) -> None:
    with pytest.raises(CorpusError, match=r"differs in plan: delete spoken.\* there"):
        speak(spoken, replace(PLAN, num_commands=4))
    with pytest.raises(CorpusError, match="differs in sentences_sha256"):
        speak(spoken, sentences=SENTENCES[:2])


def test_a_corpus_without_a_record_is_taken_as_it_is(spoken: Path) -> None:
    (spoken / "spoken.source.json").unlink()
    assert len(speak(spoken, replace(PLAN, num_commands=4)).clips) == 7


def test_programs_that_are_missing_are_named_with_their_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_espeak(tmp_path / "bin", monkeypatch, WRITES_A_TONE)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(CorpusError, match=r"flite is not installed \(Debian: apt-get install flite\)"):
        speak(tmp_path, replace(PLAN, flite_share=0.5))
    with pytest.raises(CorpusError, match="apt-get install festival festvox-kdlpc16k"):
        speak(tmp_path, replace(PLAN, festival_share=0.5))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CorpusError, match="espeak-ng is not installed"):
        speak(tmp_path)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo out of breath >&2; exit 3", "espeak failed on '.*': out of breath"),
        ("exit 0", "espeak failed on"),
    ],
)
def test_a_program_that_fails_leaves_nothing(
    script: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_espeak(tmp_path / "bin", monkeypatch, script)
    with pytest.raises(CorpusError, match=message):
        speak(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_program_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_espeak(tmp_path / "bin", monkeypatch, "exec sleep 30")
    monkeypatch.setattr(synthesize, "SPEAKING_TIMEOUT_S", 0.2)
    with pytest.raises(CorpusError, match=r"espeak took more than 0.2 s over '"):
        speak(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_word_sequences_need_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_espeak(tmp_path / "bin", monkeypatch, WRITES_A_TONE)
    with pytest.raises(CorpusError, match="word sequences need sentences"):
        speak(tmp_path, sentences=["1999"])


def test_espeak_speaks(tmp_path: Path) -> None:
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed: nobody to speak")
    corpus = speak(tmp_path)
    assert len(corpus.clips) == 7
    for clip in corpus.clips:
        assert 0.2 < clip.duration_s < 15 and np.abs(corpus.pcm(clip)).max() > 1000
