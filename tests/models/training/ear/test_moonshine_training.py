"""An ear that begins with an imported encoder: ``family = "moonshine"``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from galago.models.checkpoint import StoredNetwork, save_network
from galago.models.moonshine import MoonshineConfig, MoonshineEncoder
from galago.models.moonshine_ear import MoonshineEar, MoonshineEarConfig
from galago.models.training.checkpoints import CheckpointError
from galago.models.training.ear.batches import BatchMaker
from galago.models.training.ear.checkpoint import load_conformer, load_model
from galago.models.training.ear.recipe import LossRecipe, Recipe, load_recipe, network_config
from galago.models.training.ear.trainer import EarTask, dev_batches
from galago.models.training.loop import Run
from galago.models.training.toml_tables import RecipeError
from tests.models.training.ear.tone_corpus import targets_in_place, tone_recipe, write_tone_corpus

SHAPE: dict[str, Any] = {
    "width": 16,
    "num_blocks": 2,
    "num_heads": 2,
    "feed_forward_width": 24,
    "rotary_width": 6,
}
FREE: dict[str, Any] = {"left_context_rows": 15, "dropout": 0.1}  # what an imported encoder need not have
NETWORK = {"family": "moonshine", "preset": "tiny", **SHAPE, **FREE}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tones")
    write_tone_corpus(folder, num_train=6, num_dev=2)
    return folder


def imported(path: Path, **changes: Any) -> MoonshineEncoder:
    torch.manual_seed(11)
    network = MoonshineEncoder(MoonshineConfig(**{**SHAPE, **changes})).eval()
    save_network(path, StoredNetwork("moonshine", network, {}, {"architecture": "Moonshine"}))
    return network


def recipe_from(path: Path | None, **schedule: Any) -> Recipe:
    recipe = replace(
        tone_recipe(num_steps=2, clean_steps=0, chunk_tokens=(3, 6), batch_s=3.0),
        network=NETWORK,
        loss=LossRecipe(consistency=0.2),
        initial_weights=None if path is None else str(path),
    )
    return replace(recipe, schedule=replace(recipe.schedule, **schedule))


def run_of(recipe: Recipe, folder: Path, cache: Path) -> Run[EarTask]:
    data = BatchMaker(recipe, cache, cache)
    return Run(EarTask(recipe, data, dev_batches(data)), folder)


def weights(run: Run[EarTask]) -> dict[str, torch.Tensor]:
    both = (("model", run.model), ("average", run.average))
    return {f"{name}.{key}": value for name, model in both for key, value in model.state_dict().items()}


def test_a_run_begins_with_an_imported_encoder_and_resumes_to_the_bit(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder = imported(tmp_path / "imported.pt")
    recipe = recipe_from(tmp_path / "imported.pt")
    straight = run_of(recipe, tmp_path / "straight", cache)
    begun = straight.model.state_dict()
    assert all(torch.equal(value, begun[f"encoder.{key}"]) for key, value in encoder.state_dict().items())
    assert f"begins with Moonshine's encoder of {tmp_path / 'imported.pt'}" in capsys.readouterr().err
    straight.train()
    run_of(recipe, tmp_path / "cut", cache).train(should_stop=lambda: True)
    torch.manual_seed(999)
    resumed = run_of(recipe, tmp_path / "cut", cache)
    assert resumed.step == 1
    resumed.train()
    ours, theirs = weights(resumed), weights(straight)
    assert [key for key in ours if not torch.equal(ours[key], theirs[key])] == []
    assert resumed.history == straight.history
    stored = load_model(tmp_path / "straight" / "model.pt")
    assert isinstance(stored, MoonshineEar) and stored.config == network_config(recipe)
    measured = straight.task.evaluate(stored, tmp_path)  # in chunks of 240 ms: a multiple of three tokens
    assert np.isfinite(measured["dev_phone_accuracy"])
    with pytest.raises(CheckpointError, match="an ear of the family moonshine; a Conformer is needed"):
        load_conformer(tmp_path / "straight" / "model.pt")


def test_new_heads_learn_alone_at_first(cache: Path, tmp_path: Path) -> None:
    """For two steps; the third one changes what stands below them."""
    encoder = imported(tmp_path / "imported.pt").state_dict()
    run = run_of(recipe_from(tmp_path / "imported.pt", num_steps=3, head_steps=2), tmp_path / "run", cache)
    before = {key: value.clone() for key, value in run.model.state_dict().items()}
    run.train(should_stop=lambda: run.step == 2)
    after = run.model.state_dict()
    assert run.step == 2
    assert all(torch.equal(value, after[f"encoder.{key}"]) for key, value in encoder.items())
    for head in ("phone_head.weight", "token_head.weight"):
        assert not torch.equal(after[head], before[head])
    run.train()
    changed = {k for k, v in run.model.state_dict().items() if not torch.equal(v, before[k])}
    assert run.step == 3 and "encoder.blocks.0.expand.weight" in changed


def test_an_ear_begins_with_another_runs_ear_of_its_family(cache: Path, tmp_path: Path) -> None:
    run_of(recipe_from(None, num_steps=1), tmp_path / "first", cache).train()
    path = tmp_path / "first" / "model.pt"
    begun = run_of(recipe_from(path), tmp_path / "second", cache).model.state_dict()
    expected = load_model(path).state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in begun.items())


def test_targets_stand_where_the_sound_does(cache: Path) -> None:
    data = BatchMaker(recipe_from(None), cache, cache)
    assert targets_in_place(data, 640) > 0.95  # the rest are tokens that a border crosses


def test_other_networks_are_refused_by_what_differs(cache: Path, tmp_path: Path) -> None:
    """Heads and rotations too, which decide no weight's shape."""
    path = tmp_path / "imported.pt"
    for changes, message in (
        ({"num_blocks": 3}, "num_blocks 3 there and 2 here"),
        ({"num_heads": 1}, "holds a network of another shape: num_heads 1 there and 2 here"),
        ({"rotary_width": 4, "width": 8}, "width 8 there and 16 here; rotary_width 4 there and 6 here"),
    ):
        imported(path, **changes)
        with pytest.raises(CheckpointError, match=message):
            run_of(recipe_from(path), tmp_path / "run", cache)
    imported(path)
    with pytest.raises(RecipeError, match='initial_weights: .* network.family must be "moonshine"'):
        run_of(replace(tone_recipe(), initial_weights=str(path)), tmp_path / "run", cache)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="imported.pt: cannot be read"):
        run_of(recipe_from(path), tmp_path / "run", cache)


def test_the_family_has_its_own_presets_fields_and_chunks(tmp_path: Path) -> None:
    recipe = recipe_from(None)
    config = network_config(replace(recipe, network={"family": "moonshine", "preset": "base"}))
    assert isinstance(config, MoonshineEarConfig) and (config.width, config.num_tokens) == (416, 29)
    for network, complaint in (
        ({"family": "moonshine"}, "no preset '3m' .known: tiny, base"),
        ({"family": "moonshine", "preset": "tiny", "kernel_tokens": 3}, "kernel_tokens"),
        ({"family": "moonshine", "preset": "tiny", "num_phones": 3}, "given by the features and alphabets"),
        ({"family": "moonshine", "preset": "tiny", "left_context_rows": 7}, "7 is no multiple of 5"),
        ({"family": "moonshine", "preset": "tiny", "num_heads": 16}, "32 is no even part of 18 channels"),
    ):
        with pytest.raises(RecipeError, match=complaint):
            network_config(replace(recipe, network=network))
    path = tmp_path / "mine.toml"
    path.write_text(
        'schema_version = 1\nname = "mine"\n[[corpora]]\npath = "a.tar"\n'
        '[network]\nfamily = "moonshine"\npreset = "tiny"\n[schedule]\nchunk_tokens = [6, 8]\n'
    )
    with pytest.raises(RecipeError, match='mine.toml: schedule.chunk_tokens: .*"moonshine", multiples of 3'):
        load_recipe(path)
