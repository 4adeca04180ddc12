"""An ear on raw samples is trained by the same trainer: ``family = "wav2vec2"``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from galago.models.training.checkpoints import CheckpointError
from galago.models.training.ear.batches import IGNORED, BatchMaker
from galago.models.training.ear.checkpoint import load_conformer, load_model
from galago.models.training.ear.recipe import LossRecipe, Recipe, network_config
from galago.models.training.ear.trainer import EarTask, dev_batches
from galago.models.training.loop import Run
from galago.models.training.toml_tables import RecipeError
from galago.models.wav2vec2_ear import Wav2Vec2Ear, Wav2Vec2EarConfig
from tests.models.training.ear.tone_corpus import targets_in_place, tone_recipe, write_tone_corpus

NETWORK: dict[str, Any] = {
    "family": "wav2vec2",
    "preset": "3m",
    "width": 16,
    "num_blocks": 2,
    "num_heads": 2,
    "feed_forward_width": 24,
    "convolution_widths": [8] * 7,
    "position_kernel_tokens": 6,
    "position_groups": 4,
    "phone_block": 1,
    "left_context_tokens": 8,
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tones")
    write_tone_corpus(folder)
    return folder


def raw_recipe(**schedule: Any) -> Recipe:
    return replace(tone_recipe(**schedule), network=NETWORK, loss=LossRecipe(consistency=0.2))


def test_targets_stand_where_the_sound_does(cache: Path) -> None:
    data = BatchMaker(raw_recipe(), cache, cache)
    assert targets_in_place(data, 320) > 0.97  # the rest are tokens that a border crosses


def test_masks_hide_times_and_no_bands(cache: Path) -> None:
    masks = {"frequency_masks": 2, "time_masks_per_s": 4.0, "noise_only_share": 0.0, "noise_probability": 0.0}
    recipe = replace(raw_recipe(clean_steps=0), augmentation=tone_recipe(augmentation=masks).augmentation)
    data = BatchMaker(recipe, cache, cache)
    heard, twin = data[0].features, data[0].twin
    assert twin is not None
    differs = torch.ne(heard, twin).any(dim=2)  # (B, T): whole frames, or nothing
    assert differs.any() and not differs.all()
    assert float(torch.ne(heard, twin)[differs].float().mean()) > 0.9


def test_it_is_trained_and_loaded(cache: Path, tmp_path: Path) -> None:
    recipe = raw_recipe(num_steps=4)
    data = BatchMaker(recipe, cache, cache)
    run = Run(EarTask(recipe, data, dev_batches(data)), tmp_path)
    run.train()
    stored = load_model(tmp_path / "model.pt")
    assert isinstance(stored, Wav2Vec2Ear) and stored.config == network_config(recipe)
    batch = data[0]
    known = batch.phone_frames != IGNORED
    assert known.shape == batch.features.shape[:2] and known.any()
    assert batch.duration_s == pytest.approx(batch.features.shape[0] * batch.features.shape[1] * 0.02)
    assert np.isfinite(run.task.evaluate(stored, tmp_path)["dev_phone_accuracy"])
    with pytest.raises(CheckpointError, match="an ear of the family wav2vec2; a Conformer is needed"):
        load_conformer(tmp_path / "model.pt")


def test_families_have_their_own_presets_and_fields() -> None:
    recipe = tone_recipe()
    config = network_config(replace(recipe, network={"family": "wav2vec2", "preset": "9m", "phone_block": 5}))
    assert isinstance(config, Wav2Vec2EarConfig) and (config.width, config.phone_block) == (288, 5)
    for network, complaint in (
        ({"family": "rnn"}, "no family 'rnn'"),
        ({"family": "wav2vec2", "preset": "30m"}, "no preset '30m' .known: 3m, 9m"),
        ({"family": "wav2vec2", "kernel_tokens": 3}, "kernel_tokens"),
        ({"family": "wav2vec2", "num_phones": 3}, "is given by the features and alphabets"),
    ):
        with pytest.raises(RecipeError, match=complaint):
            network_config(replace(recipe, network=network))
