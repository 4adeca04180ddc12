"""Batches of the ear: which clips stand together, how they sound, and what is to be heard in them.

Batch ``step`` is a pure function of the recipe's seed and ``step``. That is what makes resuming exact: no
position in any stream has to be saved, and workers may make batches ahead in any order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from galago.models.tokenizer import encode_phones, encode_words
from galago.models.training.ear.align import Alignment, load_alignments
from galago.models.training.ear.augment import (
    Augmenter,
    NoiseBank,
    Samples,
    room_responses,
    spec_augment,
    trimmed,
)
from galago.models.training.ear.corpus import SAMPLE_RATE_HZ, Clip, Corpus, CorpusError, import_corpus
from galago.models.training.ear.label_budget import within_minutes
from galago.models.training.ear.recipe import CorpusRecipe, Recipe, network_config
from galago.models.training.epochs import Epochs, batches_by_length

__all__ = [
    "IGNORED",
    "Batch",
    "BatchMaker",
    "CorpusPart",
    "Example",
    "Source",
    "chosen_clips",
    "collate",
    "load_corpora",
]

IGNORED = -100  # what torch's cross-entropy skips


class Batch(NamedTuple):
    """B utterances, padded. ``phone_frames`` holds :data:`IGNORED` where no alignment is known."""

    features: Tensor  # (B, T, values_per_frame) float32: frames of the network's front end
    num_frames: Tensor  # (B,) int64
    phone_frames: Tensor  # (B, ceil(T / frames_per_token)) int64, the phone at each token
    phones: Tensor  # (sum of num_phones,) int64, for CTC
    num_phones: Tensor  # (B,) int64, 0 where the alignment is unknown and the utterance is no noise
    tokens: Tensor  # (sum of num_tokens,) int64
    num_tokens: Tensor  # (B,) int64
    has_phones: Tensor  # (B,) bool
    has_tokens: Tensor  # (B,) bool: it is known what is said, or that nothing is
    duration_s: float
    twin: Tensor | None = (
        None  # (B, T, values_per_frame): the same utterances under other masks, for consistency
    )
    samples: Tensor | None = None  # (B, N) float32 at 16 kHz: what a teacher hears, at the same times
    num_samples: Tensor | None = None  # (B,) int64


class Example(NamedTuple):
    features: NDArray[np.float32]
    phone_frames: NDArray[np.int64]
    phones: list[int] | None
    tokens: list[int] | None
    twin: NDArray[np.float32] | None = None  # of the shape of ``features``
    samples: Samples | None = None


@dataclass(frozen=True)
class Source:
    """A clip that may be learned from, with its alignment where there is one."""

    corpus: Corpus
    clip: Clip
    alignment: Alignment | None
    is_labelled: bool = True  # its words may be used


@dataclass(frozen=True)
class CorpusPart:
    """What a recipe takes from one corpus: ``sources`` to learn from, of which an epoch draws ``share``."""

    corpus: Corpus
    alignments: dict[str, Alignment]
    sources: list[Source]
    share: float

    def source(self, clip: Clip) -> Source:
        return Source(self.corpus, clip, self.alignments.get(clip.id))


def _part(corpus: Corpus, clips: list[Clip], share: float) -> CorpusPart:
    alignments = load_alignments(corpus)
    return CorpusPart(corpus, alignments, [Source(corpus, c, alignments.get(c.id)) for c in clips], share)


def chosen_clips(entry: CorpusRecipe, root: Path, cache: Path) -> tuple[Corpus, list[Clip]]:
    """The corpus of a recipe's entry, imported or opened, and its clips that are not held out.

    Raises:
        CorpusError: it cannot be read.
    """
    corpus = import_corpus(root / entry.path, cache, name=entry.name, speech=entry.speech)
    held_out = entry.without_labels
    clips = corpus.split(*entry.splits)
    return corpus, [c for c in clips if c.label not in held_out and c.id.split("/")[-1] not in held_out]


def load_corpora(recipe: Recipe, root: Path, cache: Path) -> tuple[list[CorpusPart], NoiseBank]:
    """Import what a recipe names, or open what was imported: clips with their alignments, and the noise.

    Unlabelled corpora of a distillation come last; their words, if any are known, are not used. Of a recipe
    with ``label_minutes``, the corpora give no more than these together; synthetic speech stays as it is.

    Raises:
        CorpusError: a corpus cannot be read, or gives no clip to learn from.
    """
    parts: list[CorpusPart] = []
    for entry in recipe.corpora:
        corpus, clips = chosen_clips(entry, root, cache)
        parts.append(_part(corpus, [c for c in clips if c.words], entry.share))
        if not parts[-1].sources:
            raise CorpusError(f"{entry.path}: no clip with a transcript in {', '.join(entry.splits)}")
    if recipe.label_minutes is not None:
        longest_s = recipe.schedule.max_clip_s
        every = ((p.corpus.name, s.clip) for p in parts for s in p.sources if s.clip.duration_s <= longest_s)
        kept = within_minutes(every, recipe.label_minutes)
        parts = [
            replace(p, sources=[s for s in p.sources if (p.corpus.name, s.clip.id) in kept]) for p in parts
        ]
    if recipe.synthetic is not None:
        corpus = Corpus(cache, recipe.synthetic_name)
        parts.append(_part(corpus, corpus.clips, recipe.synthetic.share))
    for entry in () if recipe.distillation is None else recipe.distillation.unlabelled:
        corpus, clips = chosen_clips(entry, root, cache)
        if not clips:
            raise CorpusError(f"{entry.path}: no clip in {', '.join(entry.splits)}")
        sources = [Source(corpus, clip, None, is_labelled=False) for clip in clips]
        parts.append(CorpusPart(corpus, {}, sources, entry.share))
    return parts, NoiseBank.of_corpora([chosen_clips(entry, root, cache) for entry in recipe.noise])


class BatchMaker(Epochs[list[list[Source]]], torch.utils.data.Dataset[Batch]):
    """``self[step]`` is the batch of that training step: a list of utterances, an utterance a list of clips
    to join.

    Raises:
        CorpusError: what :func:`load_corpora` raises, or every clip is too long for the recipe.
    """

    def __init__(self, recipe: Recipe, root: Path, cache: Path) -> None:
        super().__init__()
        self.recipe = recipe
        self.parts, noise = load_corpora(recipe, root, cache)
        longest_s = recipe.schedule.max_clip_s
        self._usable = [[s for s in part.sources if s.clip.duration_s <= longest_s] for part in self.parts]
        if not any(round(p.share * len(u)) for p, u in zip(self.parts, self._usable, strict=True)):
            raise CorpusError(
                f"recipe {recipe.name}: no clip of at most {longest_s:g} s in any share of its corpora"
            )
        augmentation = recipe.augmentation
        rooms: list[Samples] = []
        if augmentation.reverberation_probability > 0:
            rooms = room_responses(cache / f"rooms-{augmentation.num_rooms}.npz", augmentation.num_rooms)
        self.augmenter = Augmenter(augmentation, noise, rooms)
        self.front_end = network_config(recipe).front_end
        self._with_twins = recipe.loss.consistency > 0
        self._with_samples = recipe.distillation is not None
        self._teachers_hear_clean = recipe.distillation is not None and recipe.distillation.clean

    def __len__(self) -> int:
        return self.recipe.schedule.num_steps

    def _draw(self, number: int) -> list[list[list[Source]]]:
        schedule, augmentation = self.recipe.schedule, self.recipe.augmentation
        rng = np.random.default_rng((schedule.seed, 1, number))
        drawn: list[Source] = []
        for part, usable in zip(self.parts, self._usable, strict=True):
            count = round(part.share * len(usable))
            drawn += [usable[i] for i in rng.permutation(len(usable))[:count]]
        rng.shuffle(drawn)
        utterances: list[list[Source]] = []
        waiting: list[Source] = []
        for source in drawn:
            short = source.clip.duration_s < augmentation.concatenate_below_s
            if short and rng.random() < augmentation.concatenate_probability:
                together_s = source.clip.duration_s + sum(s.clip.duration_s for s in waiting)
                if waiting and together_s > augmentation.concatenate_up_to_s:
                    utterances.append(waiting)
                    waiting = []
                waiting.append(source)
                if len(waiting) >= rng.integers(2, 6):
                    utterances.append(waiting)
                    waiting = []
            else:
                utterances.append([source])
        utterances += [[source] for source in waiting]
        lengths_s = [sum(s.clip.duration_s for s in u) for u in utterances]
        batches = batches_by_length(lengths_s, schedule.batch_s, rng)
        return [[utterances[i] for i in batch] for batch in batches]

    def __getitem__(self, step: int) -> Batch:
        utterances = self.at(step)
        rng = np.random.default_rng((self.recipe.schedule.seed, 2, step))
        clean = step < self.recipe.schedule.clean_steps
        examples = [self._example(utterance, rng, clean) for utterance in utterances]
        num_noise = int(rng.binomial(len(examples), self.recipe.augmentation.noise_only_share))
        longest = max(len(e.features) for e in examples)
        examples += [self._noise_example(longest, rng) for _ in range(num_noise)]
        return self.collate(examples)

    def _features(self, samples: Samples) -> NDArray[np.float32]:
        with torch.no_grad():
            features: NDArray[np.float32] = self.front_end(torch.from_numpy(samples)[None])[0].numpy()
        return features

    def _noise_example(self, num_frames: int, rng: np.random.Generator) -> Example:
        samples = self.augmenter.noise_only(self.front_end.num_samples(num_frames), rng)
        features = self._features(samples)
        num_tokens = -(-len(features) // self.front_end.frames_per_token)
        twin = features.copy() if self._with_twins else None
        silence = np.zeros(num_tokens, dtype=np.int64)
        return Example(features, silence, [], [], twin, self._taught(np.zeros_like(samples), samples))

    def _taught(self, said: Samples, heard: Samples) -> Samples | None:
        """What a teacher hears where the student hears ``heard``: that, or what was ``said`` in it."""
        if not self._with_samples:
            return None
        return said if self._teachers_hear_clean else heard

    def _masked(self, features: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """``features`` under masks, in place."""
        front_end = self.front_end
        return spec_augment(
            features,
            self.recipe.augmentation,
            rng,
            frames_per_s=front_end.frames_per_s,
            has_bands=front_end.has_bands,
        )

    def collate(self, examples: list[Example]) -> Batch:
        """Pad examples into one batch."""
        return collate(examples, frames_per_s=self.front_end.frames_per_s)

    def plain_example(self, source: Source) -> Example:
        """A clip as it is, for evaluation."""
        return self._example([source], np.random.default_rng(0), clean=True)

    def _example(self, utterance: list[Source], rng: np.random.Generator, clean: bool) -> Example:
        recipe = self.recipe.augmentation
        pieces: list[Samples] = []
        words: list[str] = []
        timeline: list[tuple[int, int, int]] = []  # phone, begin and end in samples
        aligned, position = True, 0
        is_labelled = all(source.is_labelled for source in utterance)

        def silence(seconds: float) -> None:
            nonlocal position
            pieces.append(np.zeros(round(seconds * SAMPLE_RATE_HZ), dtype=np.float32))
            timeline.append((0, position, position + len(pieces[-1])))
            position += len(pieces[-1])

        for number, source in enumerate(utterance):
            if number > 0 or (not clean and rng.random() < recipe.silence_probability):
                silence(float(rng.uniform(*recipe.silence_s)))
            samples = (source.corpus.pcm(source.clip) / np.float32(32768.0)).astype(np.float32)
            spoken = None if source.alignment is None else source.alignment.phones
            factor = 1.0
            if not clean:
                if spoken and rng.random() < recipe.trim_probability:
                    samples, spoken = trimmed(samples, spoken, recipe.trim_to_s, rng)
                samples, factor = self.augmenter.speed(samples, rng)
            if len(utterance) > 1:  # clips of one utterance sound equally loud
                samples = samples * np.float32(0.05 / (float(np.sqrt(np.mean(samples**2))) + 1e-6))
            words += source.clip.words or []
            if spoken is None:
                aligned = False
            else:
                for phone, begin, count in spoken:
                    index = encode_phones([phone])[0]
                    bounds = [position + round(f * 160 / factor) for f in (begin, begin + count)]
                    timeline.append((index, bounds[0], bounds[1]))
            pieces.append(samples)
            position += len(samples)
        if not clean and rng.random() < recipe.silence_probability:
            silence(float(rng.uniform(*recipe.silence_s)))
        joined = np.concatenate(pieces)
        if len(joined) < 1600:
            joined = np.pad(joined, (0, 1600 - len(joined)))
        heard = joined if clean else self.augmenter.scene(joined, rng)
        features = self._features(heard)
        num_tokens = -(-len(features) // self.front_end.frames_per_token)
        phone_frames = np.full(num_tokens, IGNORED, dtype=np.int64)
        phones: list[int] | None = None
        if aligned:
            front_end = self.front_end
            centres = np.arange(num_tokens) * front_end.token_samples + front_end.token_centre_samples
            phone_frames[:] = 0
            for index, begin, end in timeline:
                phone_frames[(centres >= begin) & (centres < end)] = index
            phones = [index for index, _, _ in timeline if index != 0]
        twin: NDArray[np.float32] | None = None
        if not clean:
            if self._with_twins:
                twin = self._masked(features.copy(), rng)
            features = self._masked(features, rng)
        elif self._with_twins:
            twin = features.copy()
        tokens = encode_words(words) if is_labelled else None
        return Example(features, phone_frames, phones, tokens, twin, self._taught(joined, heard))


def collate(examples: list[Example], *, frames_per_s: int = 100) -> Batch:
    """Pad examples into one batch."""
    num_frames = torch.tensor([len(e.features) for e in examples])
    longest = int(num_frames.max())
    features = torch.zeros(len(examples), longest, examples[0].features.shape[1])
    num_tokens = max(len(e.phone_frames) for e in examples)
    phone_frames = torch.full((len(examples), num_tokens), IGNORED)
    for i, example in enumerate(examples):
        features[i, : len(example.features)] = torch.from_numpy(example.features)
        phone_frames[i, : len(example.phone_frames)] = torch.from_numpy(example.phone_frames)
    twin: Tensor | None = None
    if all(e.twin is not None for e in examples):
        twin = torch.zeros_like(features)
        for i, example in enumerate(examples):
            twin[i, : len(example.features)] = torch.from_numpy(example.twin)
    samples: Tensor | None = None
    num_samples: Tensor | None = None
    heard = [e.samples for e in examples if e.samples is not None]
    if len(heard) == len(examples):
        samples = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(x) for x in heard], batch_first=True)
        num_samples = torch.tensor([len(x) for x in heard])
    phones, tokens = [e.phones or [] for e in examples], [e.tokens or [] for e in examples]
    return Batch(
        features,
        num_frames,
        phone_frames,
        torch.tensor([p for row in phones for p in row], dtype=torch.long),
        torch.tensor([len(row) for row in phones]),
        torch.tensor([t for row in tokens for t in row], dtype=torch.long),
        torch.tensor([len(row) for row in tokens]),
        torch.tensor([e.phones is not None for e in examples]),
        torch.tensor([e.tokens is not None for e in examples]),
        longest * len(examples) / frames_per_s,
        twin,
        samples,
        num_samples,
    )
