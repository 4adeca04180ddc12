"""Transcripts for sound that nobody wrote down: what teachers hear, where they are sure and agree."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from galago.models.tokenizer import TOKENS, greedy_text
from galago.models.training.checkpoints import CheckpointError
from galago.models.training.distill.pseudo_labels import Verdict, unlabelled
from galago.models.training.ear.corpus import SAMPLE_RATE_HZ, decode
from galago.models.training.ear.teacher import EarTeacher
from galago.models.training.sources import AUDIO_SUFFIXES
from galago.runtime.language.letter_to_sound import edit_distance

__all__ = ["SoundSettings", "label_sound", "transcript"]

SHORTEST_SAMPLES = 1600


@dataclass(frozen=True)
class SoundSettings:
    """What a transcript must be to be believed."""

    min_confidence: float = 0.9  # the geometric mean of its characters'
    max_disagreement: float = 0.1  # word errors of the other teachers against the first, of its words
    max_clip_s: float = 30.0  # what is longer is left out: the teachers hear it at once


def transcript(token_logits: Tensor) -> tuple[str, float]:
    """The best path of (R, 29) as text, and how sure it is, [0, 1].

    A character is as sure as its surest row; a text as the geometric mean of its characters. Text in which
    nothing is said has confidence 0.
    """
    probs = torch.softmax(token_logits.float(), dim=-1)
    sure, best = probs.max(dim=-1)
    path, rows = torch.unique_consecutive(best, return_inverse=True)
    peaks = torch.zeros(len(path)).scatter_reduce(0, rows.cpu(), sure.cpu(), "amax")
    said = path.cpu() != 0
    if not said.any():
        return "", 0.0
    return greedy_text(best.tolist(), TOKENS), math.exp(float(peaks[said].log().mean()))


@torch.no_grad()
def label_sound(
    teachers: Sequence[EarTeacher],
    source: Path,
    settings: SoundSettings,
    *,
    splits: tuple[str, ...] = (),
    device: torch.device | str = "cpu",
) -> Iterator[Verdict]:
    """Hear every file of a corpus, one after the other; transcripts that it may have are not looked at.

    Args:
        teachers: the first one's text is kept.

    Raises:
        CheckpointError: a teacher has hidden states only, and no characters.
        CorpusError: the source cannot be read, or a file of it is no sound.
    """
    for teacher in teachers:
        if not teacher.has_tokens:
            raise CheckpointError(f"{teacher.name}: has no characters, so it cannot say what it hears")
    for row, data in unlabelled(source, AUDIO_SUFFIXES, splits):
        pcm = decode(data, f"{source}:{row['file']}")
        if len(pcm) > settings.max_clip_s * SAMPLE_RATE_HZ:
            yield Verdict(row, data, None, reason="too long")
            continue
        samples = torch.zeros(1, max(len(pcm), SHORTEST_SAMPLES), device=device)
        samples[0, : len(pcm)] = torch.from_numpy(pcm).to(device) / 32768.0
        num_samples = torch.tensor([samples.shape[1]], device=device)
        heard = []
        for teacher in teachers:
            taught = teacher.hear(samples, num_samples)
            assert taught.token_logits is not None
            heard.append(transcript(taught.token_logits[0, : int(taught.num_rows[0])]))
        text, confidence = heard[0]
        words = text.split()
        errors = [edit_distance(words, other.split()) for other, _ in heard[1:]]
        if not words:
            yield Verdict(row, data, None, reason="nothing said")
        elif confidence < settings.min_confidence:
            yield Verdict(row, data, None, reason="not sure")
        elif errors and max(errors) > settings.max_disagreement * len(words):
            yield Verdict(row, data, None, reason="teachers disagree")
        else:
            yield Verdict(row, data, {"text": text}, confidence)
