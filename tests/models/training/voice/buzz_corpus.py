"""A made-up voice for tests: each phone is a buzz of its own pitch and colour, exactly aligned."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galago.models.training.ear.corpus import Corpus, CorpusWriter
from galago.models.training.sources import fingerprint
from galago.models.training.voice.recipe import (
    AcousticRecipe,
    ScheduleRecipe,
    TeacherRecipe,
    VocoderRecipe,
    VoiceCorpusRecipe,
    VoiceRecipe,
)

PHONES = {"AA": (130.0, 3), "IY": (210.0, 9), "UW": (170.0, 2), "N": (150.0, 5)}
WORDS = {"nah": ("N", "AA"), "knee": ("N", "IY"), "oon": ("UW", "N")}
DICTIONARY = "nah N AA1\nknee N IY1\noon UW2 N\n"
PHONE_FRAMES, SILENCE_FRAMES = 10, 8


def buzz_clip(words: list[str], seed: int) -> tuple[NDArray[np.int16], dict[str, Any]]:
    """int16 samples at 16 kHz and the alignment in 10 ms frames, silence at both ends."""
    rng = np.random.default_rng(seed)
    phones: list[list[Any]] = [["SIL", 0, SILENCE_FRAMES]]
    times: list[list[Any]] = []
    position = SILENCE_FRAMES
    for word in words:
        times.append([word, position, PHONE_FRAMES * len(WORDS[word])])
        for phone in WORDS[word]:
            phones.append([phone, position, PHONE_FRAMES])
            position += PHONE_FRAMES
    phones.append(["SIL", position, SILENCE_FRAMES])
    samples = 20.0 * rng.standard_normal((position + SILENCE_FRAMES) * 160)
    for phone, begin, count in phones:
        if phone in PHONES:
            pitch, loudest = PHONES[phone]
            t = np.arange(begin * 160, (begin + count) * 160)
            for harmonic in range(1, 12):
                level = 3000.0 / (1 + abs(harmonic - loudest))
                samples[t] += level * np.sin(2 * np.pi * pitch * harmonic * t / 16_000)
    return samples.astype(np.int16), {"phones": phones, "words": times}


def write_buzz_corpus(folder: Path, *, num_train: int = 6, num_dev: int = 2) -> None:
    """``buzz.jsonl``, a source that says what was spoken, and its decoded, aligned copy in ``folder``."""
    rng = np.random.default_rng(1)
    (folder / "cmudict.dict").write_text(DICTIONARY, encoding="utf-8")
    clips = []
    for number in range(num_train + num_dev):
        words = [str(word) for word in rng.choice(list(WORDS), size=rng.integers(2, 4))]
        split = "train" if number < num_train else "dev"
        clips.append((f"clip{number}", split, words))
        (folder / f"clip{number}.wav").write_bytes(b"")  # read_rows wants it; its sound is decoded below
    rows = [
        {"id": name, "file": f"{name}.wav", "split": split, "text": f"{words[0]}, {' '.join(words[1:])}?"}
        for name, split, words in clips
    ]
    manifest = folder / "buzz.jsonl.manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    alignments = []
    with CorpusWriter(folder, "buzz", source={**fingerprint(manifest), "speech": True}) as writer:
        for number, (name, split, words) in enumerate(clips):
            pcm, alignment = buzz_clip(words, number)
            writer.add(pcm, id=name, split=split, speaker=None, words=words)
            alignments.append({"id": name, **alignment})
    lines = "".join(json.dumps(row) + "\n" for row in alignments)
    (folder / "buzz.phones.jsonl").write_text(lines, encoding="utf-8")
    assert len(Corpus(folder, "buzz").clips) == num_train + num_dev


def buzz_recipe(**changes: Any) -> VoiceRecipe:
    """A recipe over :func:`write_buzz_corpus` that trains in milliseconds a step."""
    schedule = ScheduleRecipe(
        num_steps=6,
        warmup_steps=1,
        peak_learning_rate=2e-3,
        checkpoint_steps=2,
        evaluate_steps=100,
        num_samples=1,
    )
    recipe = VoiceRecipe(
        name="buzz",
        corpora=(VoiceCorpusRecipe("buzz.jsonl.manifest.jsonl", name="buzz"),),
        networks=("acoustic", "vocoder", "teacher"),
        dictionary="cmudict.dict",
        acoustic=AcousticRecipe(
            network={
                "preset": "2m",
                "width": 16,
                "num_blocks": 1,
                "feed_forward_width": 16,
                "predictor_width": 8,
                "decoder_width": 16,
                "decoder_inner_width": 16,
                "decoder_lookahead_frames": (1, 0),
            },
            batch_frames=200,
            schedule=schedule,
        ),
        vocoder=VocoderRecipe(
            network={
                "preset": "1m",
                "width": 8,
                "inner_width": 8,
                "kernel_frames": 3,
                "lookahead_frames": (1,),
            },
            batch_clips=2,
            crop_frames=32,
            schedule=schedule,
        ),
        teacher=TeacherRecipe(
            network={
                "preset": "small",
                "width": 16,
                "num_encoder_blocks": 1,
                "num_decoder_blocks": 1,
                "feed_forward_width": 16,
                "embedding_width": 8,
                "decoder_prenet_width": 8,
                "postnet_width": 8,
            },
            batch_frames=200,
            schedule=schedule,
        ),
    )
    return dataclasses.replace(recipe, **changes)
