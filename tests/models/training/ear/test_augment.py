"""Augmentation: exact where a number is promised, and the same from the same generator."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from galago.models.training.ear.augment import (
    Augmenter,
    NoiseBank,
    Samples,
    mix_at_snr,
    room_responses,
    spec_augment,
    trimmed,
)
from galago.models.training.ear.recipe import AugmentationRecipe

RECIPE = AugmentationRecipe()


def noise_bank() -> NoiseBank:
    rng = np.random.default_rng(2)
    return NoiseBank([(1000 * rng.standard_normal(n)).astype(np.int16) for n in (4000, 9000)])


def speech(num_samples: int = 16_000) -> Samples:
    return (0.1 * np.sin(np.arange(num_samples) / 5.0)).astype(np.float32)


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 6.0, 30.0])
def test_the_ratio_of_powers_is_the_one_asked_for(snr_db: float) -> None:
    clip, noise = speech(), np.random.default_rng(1).standard_normal(16_000).astype(np.float32)
    added = mix_at_snr(clip, noise, snr_db).astype(np.float64) - clip
    ratio = np.mean(clip.astype(np.float64) ** 2) / np.mean(added**2)
    assert 10 * np.log10(ratio) == pytest.approx(snr_db, abs=0.01)


def test_silence_is_never_divided_by() -> None:
    silence = np.zeros(100, dtype=np.float32)
    assert np.array_equal(mix_at_snr(silence, speech(100), 5.0), silence)
    assert np.array_equal(mix_at_snr(speech(100), silence, 5.0), speech(100))
    level = Augmenter(RECIPE, noise_bank(), []).level(silence, np.random.default_rng(1))
    assert np.array_equal(level, silence)


def test_an_excerpt_longer_than_its_recording_repeats_it() -> None:
    clip = np.arange(1, 2001, dtype=np.int16)
    excerpt = NoiseBank([clip]).excerpt(5000, np.random.default_rng(1))
    assert excerpt.shape == (5000,) and excerpt.dtype == np.float32
    assert np.array_equal(excerpt[2000:4000], excerpt[:2000])


def test_recordings_of_nothing_are_no_noise() -> None:
    assert not NoiseBank([np.zeros(16_000, dtype=np.int16), np.ones(100, dtype=np.int16)])
    assert noise_bank()


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_speed_divides_the_length(factor: float) -> None:
    augmenter = Augmenter(replace(RECIPE, speed_factors=(factor,)), noise_bank(), [])
    samples, drawn = augmenter.speed(speech(), np.random.default_rng(1))
    assert drawn == factor and abs(len(samples) - 16_000 / factor) <= 2 and samples.dtype == np.float32


def test_the_level_is_inside_the_recipes_range_and_full_scale_is_never_left() -> None:
    augmenter = Augmenter(replace(RECIPE, level_dbfs=(-30.0, -20.0)), noise_bank(), [])
    for seed in range(20):
        rms = np.sqrt(np.mean(augmenter.level(speech(), np.random.default_rng(seed)) ** 2))
        assert -30.01 <= 20 * np.log10(rms) <= -19.99
    loud = Augmenter(replace(RECIPE, level_dbfs=(0.0, 0.0)), noise_bank(), [])
    assert np.abs(loud.level(speech(), np.random.default_rng(1))).max() == 1.0


def test_the_same_generator_gives_the_same_scene() -> None:
    response = np.zeros(800, dtype=np.float32)
    response[[0, 300]] = 1.0, 0.4
    augmenter = Augmenter(RECIPE, noise_bank(), [response])
    first, again, other = (augmenter.scene(speech(), np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.shape == (16_000,) and first.dtype == np.float32


def test_a_room_keeps_the_times_of_what_is_said_in_it() -> None:
    """A response begins at its direct path: a click stays where it was, its echo follows."""
    response = np.zeros(800, dtype=np.float32)
    response[[0, 300]] = 1.0, 0.5
    recipe = replace(RECIPE, noise_probability=0.0, reverberation_probability=1.0, level_dbfs=(-60.0, -60.0))
    click = np.zeros(4000, dtype=np.float32)
    click[1000] = 0.5
    heard = Augmenter(recipe, NoiseBank([]), [response]).scene(click, np.random.default_rng(1))
    assert len(heard) == 4000 and int(np.argmax(np.abs(heard))) == 1000
    assert heard[1300] == pytest.approx(0.5 * heard[1000], rel=1e-3)


@pytest.mark.parametrize("seed", range(8))
def test_nobody_speaks_in_noise_only(seed: int) -> None:
    for bank in (noise_bank(), NoiseBank([])):
        clip = Augmenter(RECIPE, bank, []).noise_only(3000, np.random.default_rng(seed))
        assert clip.shape == (3000,) and np.isfinite(clip).all() and np.abs(clip).max() <= 1.0


def test_masks_hide_bands_and_times_behind_the_mean() -> None:
    recipe = replace(
        RECIPE, frequency_masks=1, frequency_mask_mels=10, time_masks_per_s=1.0, time_mask_frames=15
    )
    original = np.random.default_rng(1).standard_normal((300, 80)).astype(np.float32)
    masked = spec_augment(original.copy(), recipe, np.random.default_rng(7))
    assert np.array_equal(masked, spec_augment(original.copy(), recipe, np.random.default_rng(7)))
    changed = masked != original
    assert 0 < changed.all(axis=0).sum() <= 10  # whole bands
    assert changed.all(axis=1).any()  # whole frames
    mean = np.broadcast_to(original.mean(axis=0), original.shape)
    assert np.array_equal(masked[changed], mean[changed])


def test_masks_are_never_wider_than_the_clip() -> None:
    recipe = replace(RECIPE, time_masks_per_s=100.0, time_mask_frames=50, frequency_mask_mels=80)
    assert spec_augment(np.ones((3, 80), dtype=np.float32), recipe, np.random.default_rng(1)).shape == (3, 80)


def test_rooms_are_simulated_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyroomacoustics", reason="pyroomacoustics is not installed: no rooms to simulate")
    path = tmp_path / "rooms.npz"
    made = room_responses(path, 2)
    assert len(made) == 2 and [p.name for p in tmp_path.iterdir()] == ["rooms.npz"]
    for response in made:
        assert response.dtype == np.float32 and 0 < len(response) <= 8000
        assert int(np.argmax(np.abs(response))) == 0 and np.sum(response**2) == pytest.approx(1.0, rel=1e-4)
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)
    assert all(np.array_equal(a, b) for a, b in zip(made, room_responses(path, 2), strict=True))


def test_a_clip_is_trimmed_to_what_is_said_in_it() -> None:
    """With its phones where their sounds are; a margin of what is there, and none of what is not."""
    phones = [("SIL", 0, 100), ("AA", 100, 10), ("SIL", 110, 5), ("B", 115, 5), ("SIL", 120, 30)]
    samples = np.arange(150 * 160, dtype=np.float32)
    rng = np.random.default_rng(0)
    kept, found = trimmed(samples, phones, (0.2, 0.2), rng)
    assert kept[0] == 80 * 160 and kept[-1] == 140 * 160 - 1
    assert found == [("SIL", 0, 20), ("AA", 20, 10), ("SIL", 30, 5), ("B", 35, 5), ("SIL", 40, 20)]
    kept, found = trimmed(samples, phones, (2.0, 2.0), rng)
    assert np.array_equal(kept, samples) and found == phones
    kept, found = trimmed(samples, phones, (0.0, 0.0), rng)
    assert len(kept) == 20 * 160 and [name for name, _, _ in found] == ["AA", "SIL", "B"]
    assert len({len(trimmed(samples, phones, (0.0, 0.3), rng)[0]) for _ in range(9)}) > 3
    assert np.array_equal(trimmed(samples, [("SIL", 0, 150)], (0.0, 0.1), rng)[0], samples)
