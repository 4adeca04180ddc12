"""Batches of a voice: whole sentences for the acoustic networks, short crops for the vocoder.

Batch ``step`` is a pure function of the seed and ``step``: that is what makes resuming exact.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from galago.models.training.voice.voice_data import Features, Statistics, VoiceClip, VoiceData, means_by_phone

__all__ = ["CropBatch", "CropBatches", "SentenceBatch", "SentenceBatches", "SentenceSource", "collate"]


class SentenceSource(Protocol):
    """Clips to learn from: the recordings', or what a teacher makes of them."""

    train: list[VoiceClip]

    def features(self, voice_clip: VoiceClip) -> Features: ...


class SentenceBatch(NamedTuple):
    """B sentences, padded with zeros. Pitch and energy of phones are in standard deviations."""

    phones: Tensor  # (B, P) int64
    counts: Tensor  # (B, P) int64 frames
    phone_pitch: Tensor  # (B, P)
    phone_energy: Tensor  # (B, P)
    log_mel: Tensor  # (B, T, num_mels)
    log2_pitch: Tensor  # (B, T)
    voiced: Tensor  # (B, T) 0 or 1
    num_frames: Tensor  # (B,) int64


class CropBatch(NamedTuple):
    """B crops of one length for the vocoder."""

    log_mel: Tensor  # (B, T, num_mels)
    pitch_hz: Tensor  # (B, T)
    voiced: Tensor  # (B, T)
    samples: Tensor  # (B, T * hop)
    noise: Tensor  # (B, T, num_bins)


def collate(examples: list[Features], statistics: Statistics) -> SentenceBatch:
    """Pad examples into one batch."""
    (pitch_mean, pitch_std), (energy_mean, energy_std) = statistics.phone_pitch, statistics.phone_energy

    def padded(rows: list[NDArray[np.float32]] | list[NDArray[np.int64]]) -> Tensor:
        return torch.nn.utils.rnn.pad_sequence([torch.from_numpy(row) for row in rows], batch_first=True)

    def of_phones(values: NDArray[np.float32], e: Features, mean: float, std: float) -> NDArray[np.float32]:
        scaled: NDArray[np.float32] = (means_by_phone(values, e.counts) - np.float32(mean)) / np.float32(std)
        return np.where(e.counts > 0, scaled, np.float32(0.0))

    return SentenceBatch(
        padded([e.phones for e in examples]),
        padded([e.counts for e in examples]),
        padded([of_phones(np.log2(e.pitch_hz), e, pitch_mean, pitch_std) for e in examples]),
        padded([of_phones(e.energy, e, energy_mean, energy_std) for e in examples]),
        padded([e.log_mel for e in examples]),
        padded([np.log2(e.pitch_hz) for e in examples]),
        padded([e.voiced for e in examples]),
        torch.tensor([len(e.log_mel) for e in examples]),
    )


class SentenceBatches(torch.utils.data.Dataset[SentenceBatch]):
    """``self[step]`` is the batch of that step: clips of like length, ``batch_frames`` frames together."""

    def __init__(self, data: SentenceSource, statistics: Statistics, batch_frames: int, seed: int) -> None:
        self.data, self.statistics, self.batch_frames, self.seed = data, statistics, batch_frames, seed
        self._epoch = -1
        self._batches: list[list[VoiceClip]] = []
        self.batches_per_epoch = len(self._shuffled(0))

    def _shuffled(self, epoch: int) -> list[list[VoiceClip]]:
        """As many batches in every epoch: lengths are jittered in their order alone, not in their sum."""
        rng = np.random.default_rng((self.seed, 1, epoch))
        clips = self.data.train
        lengths = np.array([clip.utterance.num_frames for clip in clips])
        order = np.argsort(lengths * rng.uniform(0.9, 1.1, len(clips)))
        num_batches = max(1, -(-int(lengths.sum()) // self.batch_frames))
        ends = np.searchsorted(
            np.cumsum(lengths[order]), lengths.sum() / num_batches * np.arange(1, num_batches)
        )
        batches = [[clips[i] for i in part] for part in np.split(order, ends) if len(part)]
        batches += batches[: num_batches - len(batches)]
        return [batches[i] for i in rng.permutation(len(batches))]

    def __getitem__(self, step: int) -> SentenceBatch:
        epoch, within = divmod(step, self.batches_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, self._shuffled(epoch)
        return collate([self.data.features(clip) for clip in self._batches[within]], self.statistics)


class CropBatches(torch.utils.data.Dataset[CropBatch]):
    """``self[step]`` is the batch of that step: random crops of random clips, longer clips more often."""

    def __init__(
        self,
        data: VoiceData,
        *,
        batch_clips: int,
        crop_frames: int,
        num_bins: int,
        seed: int,
        predicted: dict[str, NDArray[np.float16]] | None = None,
        predicted_share: float = 0.0,
    ) -> None:
        """``predicted`` has mel frames that an acoustic network drew for clips, by id: (T, num_mels)."""
        self.data, self.batch_clips, self.crop_frames = data, batch_clips, crop_frames
        self.num_bins, self.seed = num_bins, seed
        self.predicted, self.predicted_share = predicted or {}, predicted_share
        lengths = np.array([clip.utterance.num_frames for clip in data.train], dtype=np.float64)
        self._weights = lengths / lengths.sum()

    def __getitem__(self, step: int) -> CropBatch:
        rng = np.random.default_rng((self.seed, 2, step))
        rows = []
        for index in rng.choice(len(self._weights), self.batch_clips, p=self._weights):
            clip = self.data.train[index]
            features = self.data.features(clip)
            missing = max(0, self.crop_frames - len(features.voiced))
            begin = int(rng.integers(0, max(1, len(features.voiced) - self.crop_frames + 1)))
            end = begin + self.crop_frames
            mel = features.log_mel
            if clip.clip.id in self.predicted and rng.random() < self.predicted_share:
                mel = self.predicted[clip.clip.id].astype(np.float32)
            edge = (0, missing)
            rows.append(
                (
                    np.pad(mel[begin:end], (edge, (0, 0)), mode="edge"),
                    np.pad(features.pitch_hz[begin:end], edge, mode="edge"),
                    np.pad(features.voiced[begin:end], edge),
                    self.data.samples(clip, begin, self.crop_frames),
                )
            )
        log_mel, pitch, voiced, samples = [
            torch.from_numpy(np.stack(column)) for column in zip(*rows, strict=True)
        ]
        noise = rng.random((self.batch_clips, self.crop_frames, self.num_bins), dtype=np.float32)
        return CropBatch(log_mel, pitch, voiced, samples, torch.from_numpy(noise))
