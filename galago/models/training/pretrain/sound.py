"""Recordings without their texts: which clips a pre-training hears, and batches of their parts.

Batch ``step`` is a pure function of the recipe's seed and ``step``: what is cut, heard and hidden.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from galago.models.training.ear.augment import Augmenter, NoiseBank, Samples, room_responses
from galago.models.training.ear.batches import chosen_clips
from galago.models.training.ear.corpus import SAMPLE_RATE_HZ, Clip, Corpus, CorpusError
from galago.models.training.epochs import Epochs, batches_by_length
from galago.models.training.pretrain.contrastive import sample_negatives
from galago.models.training.pretrain.recipe import PretrainingRecipe
from galago.models.training.pretrain.spans import mask_spans

__all__ = [
    "Labels",
    "LoadedSound",
    "Recordings",
    "SoundBatch",
    "SoundBatches",
    "clip_samples",
    "load_recordings",
]

#: The cluster of each token of a clip, by corpus and id.
Labels = Mapping[tuple[str, str], NDArray[np.uint16]]


class SoundBatch(NamedTuple):
    """B parts of recordings, padded. T = ceil(N / samples a token)."""

    samples: Tensor  # (B, N) float32
    num_samples: Tensor  # (B,) int64
    is_masked: Tensor  # (B, T) bool
    targets: Tensor | None  # (B, T) int64 clusters, 0 in padding; of objective "hubert"
    negatives: Tensor | None  # (B, T, K) int64 times; of objective "wav2vec2"
    duration_s: float


@dataclass(frozen=True)
class Recordings:
    """What a recipe takes from one corpus; an epoch draws ``share`` of ``clips``."""

    corpus: Corpus
    clips: list[Clip]
    share: float


def clip_samples(corpus: Corpus, clip: Clip) -> Samples:
    """A whole clip as float32 in [-1, 1]."""
    return (corpus.pcm(clip) / np.float32(32768.0)).astype(np.float32)


class LoadedSound(NamedTuple):
    """What a pre-training hears."""

    learned: list[Recordings]
    held_out: list[Recordings]  # split ``dev``
    noise: NoiseBank


def load_recordings(recipe: PretrainingRecipe, root: Path, cache: Path) -> LoadedSound:
    """Import what a recipe names, or open what was imported.

    Raises:
        CorpusError: a corpus cannot be read, or has no clip that is long enough.
    """
    shortest_s = recipe.schedule.min_clip_s
    learned, held_out = [], []
    for entry in recipe.corpora:
        corpus, clips = chosen_clips(entry, root, cache)
        clips = [clip for clip in clips if clip.duration_s >= shortest_s]
        if not clips:
            raise CorpusError(
                f"{entry.path}: no clip of at least {shortest_s:g} s in {', '.join(entry.splits)}"
            )
        learned.append(Recordings(corpus, clips, entry.share))
        dev = [clip for clip in corpus.split("dev") if clip.duration_s >= shortest_s]
        if dev and "dev" not in entry.splits:
            held_out.append(Recordings(corpus, dev, 1.0))
    if not any(round(part.share * len(part.clips)) for part in learned):
        raise CorpusError(f"recipe {recipe.name}: no clip in any share of its corpora")
    noise = NoiseBank.of_corpora([chosen_clips(entry, root, cache) for entry in recipe.noise])
    return LoadedSound(learned, held_out, noise)


class SoundBatches(Epochs[list[tuple[Corpus, Clip]]], torch.utils.data.Dataset[SoundBatch]):
    """``self[step]`` is the batch of that step.

    Args:
        samples_per_token: of the network.
        labels: of every clip, where the recipe's objective is ``hubert``.
        cache: where simulated rooms are kept.
    """

    def __init__(
        self,
        recipe: PretrainingRecipe,
        parts: Sequence[Recordings],
        noise: NoiseBank,
        *,
        samples_per_token: int,
        labels: Labels | None,
        cache: Path,
    ) -> None:
        super().__init__()
        self.recipe, self.parts, self.labels = recipe, list(parts), labels
        self.samples_per_token = samples_per_token
        scene = recipe.scene
        rooms: list[Samples] = []
        if scene.reverberation_probability > 0:
            rooms = room_responses(cache / f"rooms-{scene.num_rooms}.npz", scene.num_rooms)
        self.augmenter = Augmenter(scene.augmentation(), noise, rooms)
        whole = round(recipe.schedule.max_crop_s * SAMPLE_RATE_HZ)
        self._longest_samples = max(whole // samples_per_token, 1) * samples_per_token

    def __len__(self) -> int:
        return self.recipe.schedule.num_steps

    def _draw(self, number: int) -> list[list[tuple[Corpus, Clip]]]:
        rng = np.random.default_rng((self.recipe.schedule.seed, 1, number))
        drawn = []
        for part in self.parts:
            count = round(part.share * len(part.clips))
            drawn += [(part.corpus, part.clips[i]) for i in rng.permutation(len(part.clips))[:count]]
        lengths_s = [min(clip.num_samples, self._longest_samples) / SAMPLE_RATE_HZ for _, clip in drawn]
        batches = batches_by_length(lengths_s, self.recipe.schedule.batch_s, rng)
        return [[drawn[i] for i in batch] for batch in batches]

    def __getitem__(self, step: int) -> SoundBatch:
        rng = np.random.default_rng((self.recipe.schedule.seed, 2, step))
        return self._batch(self.at(step), rng, is_plain=False)

    def plain_batches(self, parts: Sequence[Recordings], num_clips: int) -> list[SoundBatch]:
        """Held-out batches: of each corpus ``num_clips``, cut and hidden as ever, but heard as recorded."""
        batches = []
        for number, part in enumerate(parts):
            rng = np.random.default_rng((self.recipe.schedule.seed, 3, number))
            chosen = rng.permutation(len(part.clips))[:num_clips]
            clips = [(part.corpus, part.clips[i]) for i in chosen]
            batches.append(self._batch(clips, rng, is_plain=True))
        return batches

    def _batch(
        self, clips: Sequence[tuple[Corpus, Clip]], rng: np.random.Generator, *, is_plain: bool
    ) -> SoundBatch:
        rows: list[Samples] = []
        clusters: list[NDArray[np.uint16]] = []
        step = self.samples_per_token
        for corpus, clip in clips:
            room = max(0, clip.num_samples - self._longest_samples) // step
            first = int(rng.integers(room + 1))  # parts begin with a token, so that its cluster is known
            samples = clip_samples(corpus, clip)[first * step :][: self._longest_samples]
            rows.append(samples if is_plain else self.augmenter.scene(samples, rng))
            if self.labels is not None:
                clusters.append(self.labels[corpus.name, clip.id][first : first - (-len(samples) // step)])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        num_samples = torch.tensor([len(row) for row in rows])
        num_tokens = -(-num_samples // step)
        mask = self.recipe.mask
        is_masked = mask_spans(
            num_tokens,
            int(num_tokens.max()),
            start_share=mask.start_share,
            span_tokens=mask.span_tokens,
            generator=generator,
        )
        negatives: Tensor | None = None
        if self.recipe.objective == "wav2vec2":
            negatives = sample_negatives(is_masked, self.recipe.contrastive.num_negatives, generator)
        padded = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(row) for row in rows], batch_first=True)
        targets = [torch.from_numpy(row.astype(np.int64)) for row in clusters]
        return SoundBatch(
            padded,
            num_samples,
            is_masked,
            torch.nn.utils.rnn.pad_sequence(targets, batch_first=True) if targets else None,
            negatives,
            padded.numel() / SAMPLE_RATE_HZ,
        )
