"""A made-up language for tests: each phone is a tone, each word a chord of two phones one after the other.

Its alignments are exact because they are written with the sound, so no aligner and no data is needed.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galago.models.training.ear.batches import BatchMaker
from galago.models.training.ear.corpus import SAMPLE_RATE_HZ, Corpus, CorpusWriter
from galago.models.training.ear.recipe import AugmentationRecipe, CorpusRecipe, Recipe, ScheduleRecipe

TONES_HZ = {"AA": 400.0, "IY": 900.0, "UW": 1700.0, "S": 3100.0}
LEXICON = {"up": ("AA", "S"), "go": ("IY", "UW"), "it": ("S", "IY")}
PHONE_FRAMES = 12
SILENCE_FRAMES = 20  # before, between and after words

NETWORK: dict[str, Any] = {
    "preset": "3m",
    "width": 16,
    "num_blocks": 2,
    "num_heads": 2,
    "phone_block": 1,
    "kernel_tokens": 3,
    "left_context_tokens": 8,
    "subsampling_channels": (2, 4),
}


def tone_clip(words: list[str], seed: int) -> tuple[NDArray[np.int16], list[tuple[str, int, int]]]:
    """int16 samples of ``words`` at 16 kHz, and their phones with begin and length in 10 ms frames."""
    rng = np.random.default_rng(seed)
    phones: list[tuple[str, int, int]] = []
    position = SILENCE_FRAMES
    for word in words:
        for phone in LEXICON[word]:
            phones.append((phone, position, PHONE_FRAMES))
            position += PHONE_FRAMES
        position += SILENCE_FRAMES
    samples = 20.0 * rng.standard_normal(position * 160)
    for phone, begin, count in phones:
        t = np.arange(begin * 160, (begin + count) * 160)
        samples[t] += 6000.0 * np.sin(2 * np.pi * TONES_HZ[phone] * t / SAMPLE_RATE_HZ)
    return samples.astype(np.int16), phones


def write_tone_corpus(
    folder: Path, name: str = "tones", *, num_train: int = 16, num_dev: int = 4, aligned: bool = True
) -> Corpus:
    """A corpus of one to three words a clip, with its alignments beside it."""
    rng = np.random.default_rng(1)
    rows = []
    with CorpusWriter(folder, name) as writer:
        for number in range(num_train + num_dev):
            words = [str(word) for word in rng.choice(list(LEXICON), size=rng.integers(1, 4))]
            pcm, phones = tone_clip(words, number)
            split = "train" if number < num_train else "dev"
            writer.add(pcm, id=f"clip{number}", split=split, speaker=None, words=words)
            times = [[word, phones[2 * i][1], 2 * PHONE_FRAMES] for i, word in enumerate(words)]
            rows.append({"id": f"clip{number}", "phones": phones, "words": times})
    if aligned:
        (folder / f"{name}.phones.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Corpus(folder, name)


def tone_recipe(*, augmentation: dict[str, Any] | None = None, **schedule: Any) -> Recipe:
    """A recipe over :func:`write_tone_corpus` that trains in milliseconds a step."""
    small = ScheduleRecipe(
        num_steps=8,
        decay_steps=2,
        warmup_steps=2,
        clean_steps=2,
        peak_learning_rate=5e-3,
        batch_s=6.0,
        chunk_tokens=(4, 8),
        checkpoint_steps=4,
        evaluate_steps=100,
    )
    return Recipe(
        name="tones",
        corpora=(CorpusRecipe("tones.tar"),),
        network=NETWORK,
        augmentation=AugmentationRecipe(**{"reverberation_probability": 0.0, **(augmentation or {})}),
        schedule=replace(small, **schedule),
    )


def targets_in_place(data: BatchMaker, token_samples: int) -> float:
    """Of an ear on raw samples: the share of tokens whose target says that there is sound where there is."""
    agreed = total = 0
    for source in data.parts[0].sources:
        example = data.plain_example(source)
        assert example.features.shape == (source.clip.num_samples // token_samples, token_samples)
        said = example.phone_frames != 0
        agreed += int((said == (example.features.std(axis=1) > 0.05)).sum())
        total += len(said)
    return agreed / total
