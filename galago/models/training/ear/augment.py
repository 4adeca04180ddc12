"""Augmentation: speed, level, real noise, simulated rooms on samples; SpecAugment on features.

Everything draws from the generator it is given, so a batch is the same whenever it is made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galago.models.tokenizer import PHONES
from galago.models.training.ear.corpus import SAMPLE_RATE_HZ, Corpus
from galago.models.training.ear.recipe import AugmentationRecipe

__all__ = ["Augmenter", "NoiseBank", "Samples", "mix_at_snr", "room_responses", "spec_augment", "trimmed"]

Samples = NDArray[np.float32]
FRAME_SAMPLES = 160  # 10 ms, of alignments
RESPONSE_SAMPLES = 8_000  # half a second of a room is enough at the distances of a device


def mix_at_snr(speech: Samples, noise: Samples, snr_db: float) -> Samples:
    """Add ``noise`` (same length) so that the power ratio over the whole clip is ``snr_db``."""
    speech_power, noise_power = float(np.mean(speech**2)), float(np.mean(noise**2))
    if speech_power == 0.0 or noise_power == 0.0:
        return speech
    gain = np.sqrt(speech_power / noise_power / 10.0 ** (snr_db / 10.0))
    return (speech + np.float32(gain) * noise).astype(np.float32)


def trimmed(
    samples: Samples,
    phones: Sequence[tuple[str, int, int]],
    margin_s: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[Samples, list[tuple[str, int, int]]]:
    """A clip without most of the silence before its first phone and behind its last, and its phones there.

    Args:
        phones: name, begin and length in frames of 10 ms; silence is ``SIL``.
        margin_s: what stays of the silence at each end, drawn evenly, if there is as much.
    """
    spoken = [(begin, begin + count) for name, begin, count in phones if name != PHONES[0]]
    if not spoken:
        return samples, list(phones)
    before, behind = (round(100 * s) for s in rng.uniform(*margin_s, size=2))
    first, end = max(0, spoken[0][0] - before), spoken[-1][1] + behind
    kept = [
        (name, max(begin, first) - first, min(begin + count, end) - max(begin, first))
        for name, begin, count in phones
        if begin < end and begin + count > first
    ]
    return samples[FRAME_SAMPLES * first : FRAME_SAMPLES * end], kept


class NoiseBank:
    """Recordings without speech, from which excerpts of any length are cut."""

    def __init__(self, clips: list[NDArray[np.int16]]) -> None:
        self._clips = [clip for clip in clips if len(clip) > 1600 and np.any(clip)]

    @classmethod
    def of_corpora(cls, corpora: list[tuple[Corpus, list[Any]]]) -> NoiseBank:
        return cls([corpus.pcm(clip) for corpus, clips in corpora for clip in clips])

    def __bool__(self) -> bool:
        return bool(self._clips)

    def excerpt(self, num_samples: int, rng: np.random.Generator) -> Samples:
        """A random excerpt, repeated where the recording is shorter; float32, (num_samples,)."""
        clip = self._clips[rng.integers(len(self._clips))]
        begin = int(rng.integers(len(clip)))
        repeated = np.take(clip, np.arange(begin, begin + num_samples), mode="wrap")
        return (repeated / 32768.0).astype(np.float32)


def room_responses(path: Path, num_rooms: int, seed: int = 1) -> list[Samples]:
    """Impulse responses of random shoe-box rooms (image sources), simulated once and kept at ``path`` (.npz).

    Each begins at its direct path, so that what is convolved with it keeps its times.
    """
    if path.is_file():
        with np.load(path) as stored:
            return [stored[name] for name in sorted(stored.files)]
    import pyroomacoustics
    from tqdm import tqdm

    rng = np.random.default_rng(seed)
    responses: list[Samples] = []
    with tqdm(total=num_rooms, desc="simulate rooms", unit="room") as progress:
        while len(responses) < num_rooms:
            size = rng.uniform([2.5, 2.5, 2.2], [9.0, 7.0, 3.5])
            try:
                absorption, order = pyroomacoustics.inverse_sabine(float(rng.uniform(0.15, 0.6)), size)
            except ValueError:  # this room cannot be so live
                continue
            room = pyroomacoustics.ShoeBox(
                size,
                fs=SAMPLE_RATE_HZ,
                materials=pyroomacoustics.Material(absorption),
                max_order=min(order, 14),
            )
            room.add_source(rng.uniform([0.4, 0.4, 0.5], size - 0.4))
            room.add_microphone(rng.uniform([0.4, 0.4, 0.3], size - 0.4))
            room.compute_rir()
            response = np.asarray(room.rir[0][0], dtype=np.float32)
            begin = int(np.argmax(np.abs(response)))
            response = response[begin : begin + RESPONSE_SAMPLES]
            responses.append(response / np.sqrt(np.sum(response**2)))
            progress.update()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez(part, **{f"{i:04d}": response for i, response in enumerate(responses)})  # type: ignore[arg-type]
    part.replace(path)
    return responses


class Augmenter:
    """Applies an :class:`AugmentationRecipe` to clips of float32 samples at 16 kHz."""

    def __init__(self, recipe: AugmentationRecipe, noise: NoiseBank, rooms: list[Samples]) -> None:
        self.recipe = recipe
        self._noise = noise
        self._rooms = rooms

    def speed(self, samples: Samples, rng: np.random.Generator) -> tuple[Samples, float]:
        """The clip played faster or slower, and by how much: times divide by the factor."""
        import soxr

        factor = float(rng.choice(self.recipe.speed_factors))
        if factor == 1.0:
            return samples, factor
        faster = soxr.resample(samples, SAMPLE_RATE_HZ * factor, SAMPLE_RATE_HZ, quality="LQ")
        return np.asarray(faster, dtype=np.float32), factor

    def scene(self, samples: Samples, rng: np.random.Generator) -> Samples:
        """Put the clip into a room, at a level, among noise."""
        recipe = self.recipe
        if self._rooms and rng.random() < recipe.reverberation_probability:
            from scipy.signal import oaconvolve

            response = self._rooms[rng.integers(len(self._rooms))]
            samples = oaconvolve(samples, response)[: len(samples)].astype(np.float32)
        if self._noise and rng.random() < recipe.noise_probability:
            noise = self._noise.excerpt(len(samples), rng)
            samples = mix_at_snr(samples, noise, float(rng.uniform(*recipe.noise_snr_db)))
        return self.level(samples, rng)

    def level(self, samples: Samples, rng: np.random.Generator) -> Samples:
        """Scale to a random RMS level; what would exceed full scale is clipped, as a converter does."""
        rms = float(np.sqrt(np.mean(samples**2))) + 1e-9
        gain = 10.0 ** (float(rng.uniform(*self.recipe.level_dbfs)) / 20.0) / rms
        clipped: Samples = np.clip(samples * np.float32(gain), -1.0, 1.0).astype(np.float32)
        return clipped

    def noise_only(self, num_samples: int, rng: np.random.Generator) -> Samples:
        """A clip in which nobody speaks; now and then digital silence or a white hiss."""
        kind = rng.random()
        if kind < 0.1 or not self._noise:
            return np.zeros(num_samples, dtype=np.float32)
        if kind < 0.2:
            return self.level(rng.standard_normal(num_samples).astype(np.float32), rng)
        noise = self._noise.excerpt(num_samples, rng)
        return self.level(noise, rng) if rng.random() < 0.7 else noise


def spec_augment(
    features: NDArray[np.float32],
    recipe: AugmentationRecipe,
    rng: np.random.Generator,
    *,
    frames_per_s: int = 100,
    has_bands: bool = True,
) -> NDArray[np.float32]:
    """Mask random bands and times with the clip's mean (Park et al. 2019), in place; (T, values_per_frame).

    Args:
        has_bands: the values of a frame are frequencies; else whole times only are masked.
    """
    num_frames, num_values = features.shape
    fill = features.mean(axis=0)
    for _ in range(recipe.frequency_masks if has_bands else 0):
        width = int(rng.integers(0, recipe.frequency_mask_mels + 1))
        begin = int(rng.integers(0, num_values - width + 1))
        features[:, begin : begin + width] = fill[begin : begin + width]
    longest = recipe.time_mask_frames * frames_per_s // 100
    for _ in range(rng.poisson(recipe.time_masks_per_s * num_frames / frames_per_s)):
        width = int(rng.integers(0, min(longest, num_frames) + 1))
        begin = int(rng.integers(0, num_frames - width + 1))
        features[begin : begin + width] = fill
    return features
