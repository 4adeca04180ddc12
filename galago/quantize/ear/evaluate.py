"""Word error rate of a graph over clips of corpora, streamed chunk by chunk and decoded greedily."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from galago.models.ear import Ear, EarOutput
from galago.models.moonshine_ear import MoonshineEar
from galago.models.training.ear.corpus import Corpus
from galago.quantize.calibration import Array
from galago.quantize.ear.oracle import Oracle, chunk_features, greedy

__all__ = [
    "Utterance",
    "WordErrorRate",
    "dev_utterances",
    "edit_distance",
    "text_of",
    "whole_text",
    "word_error_rate",
]


@dataclass(frozen=True)
class Utterance:
    corpus: str
    samples: Array  # float32 in [-1, 1], 16 kHz
    words: tuple[str, ...]


@dataclass(frozen=True)
class WordErrorRate:
    num_clips: int
    num_words: int
    num_errors: int  # substitutions, deletions and insertions

    @property
    def percent(self) -> float:
        return 100.0 * self.num_errors / max(1, self.num_words)

    def as_dict(self) -> dict[str, Any]:
        return {"wer_percent": round(self.percent, 2), **asdict(self)}


def edit_distance(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Fewest substitutions, deletions and insertions that turn one into the other (Levenshtein 1966)."""
    row = list(range(len(hypothesis) + 1))
    for i, word in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(hypothesis, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1]


def dev_utterances(
    corpora: Iterable[Corpus], *, splits: Sequence[str] = ("dev",), clips_per_corpus: int
) -> list[Utterance]:
    """Clips whose words are known, spread evenly over each corpus: neighbours are often one speaker's."""
    found = []
    for corpus in corpora:
        clips = [clip for clip in corpus.split(*splits) if clip.words]
        count = min(clips_per_corpus, len(clips))
        for i in range(count):
            clip = clips[i * len(clips) // count]
            samples = corpus.pcm(clip).astype(np.float32) / 32768.0
            found.append(Utterance(corpus.name, samples, tuple(clip.words or ())))
    return found


def word_error_rate(oracle: Oracle, utterances: Sequence[Utterance]) -> dict[str, WordErrorRate]:
    """By corpus, and of all of them together under "all"."""
    return _count(utterances, [oracle.hear(utterance.samples).text for utterance in utterances])


def whole_text(model: Ear, utterances: Sequence[Utterance]) -> dict[str, WordErrorRate]:
    """The float network in torch with the full context: what streaming and int8 are measured against."""
    texts = []
    with torch.no_grad():
        for utterance in utterances:
            chunks = chunk_features(utterance.samples, 1, front_end=model.front_end)
            frames = torch.from_numpy(chunks).flatten(0, 1)[None]
            texts.append(text_of(model, model(frames, torch.tensor([frames.shape[1]]))))
    return _count(utterances, texts)


def text_of(model: Ear, output: EarOutput, chunk_tokens: int | None = None) -> str:
    """Of one utterance: what the decoder writes, where there is one, or the characters of the best path.

    Args:
        chunk_tokens: of the stream whose rows these are; ``None``: everything was heard at once.
    """
    if isinstance(model, MoonshineEar) and model.decoder is not None:
        return model.written(output, chunk_tokens)[0]
    return greedy(output.token_logits[0].numpy(), model.tokens)


def _count(utterances: Sequence[Utterance], texts: Sequence[str]) -> dict[str, WordErrorRate]:
    sums: dict[str, list[int]] = {}
    for utterance, text in zip(utterances, texts, strict=True):
        errors = edit_distance(utterance.words, text.split())
        for key in (utterance.corpus, "all"):
            row = sums.setdefault(key, [0, 0, 0])
            for i, value in enumerate((1, len(utterance.words), errors)):
                row[i] += value
    return {key: WordErrorRate(*row) for key, row in sorted(sums.items())}
