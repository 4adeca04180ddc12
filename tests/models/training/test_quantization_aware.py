"""A run that ends another one with integers: it learns, resumes to the bit, and leaves a plain network."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from galago.models.fake_quantization import FakeQuantize, plain_state, read_scales
from galago.models.training.checkpoints import CheckpointError, load
from galago.models.training.command import main
from galago.models.training.ear.batches import BatchMaker
from galago.models.training.ear.trainer import EarTask, load_model
from galago.models.training.eye.recipe import EyeRecipe
from galago.models.training.eye.trainer import EyeTask, load_eye
from galago.models.training.loop import Run
from galago.models.training.quantization_aware import QuantizationAware
from galago.models.training.toml_tables import RecipeError
from tests.models.training.ear.tone_corpus import NETWORK, tone_recipe, write_tone_corpus
from tests.models.training.eye.color_album import NETWORK as EYE_NETWORK
from tests.models.training.eye.color_album import color_recipe, write_color_album

SETTINGS = QuantizationAware(observe_steps=2)


@pytest.fixture(scope="module")
def tar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_color_album(tmp_path_factory.mktemp("album") / "colors.tar")


@pytest.fixture(scope="module")
def in_float(tar: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model.pt of a short run in float."""
    folder = tmp_path_factory.mktemp("float")
    Run(EyeTask(color_recipe(tar, num_steps=12, average_decay=0.8), root=Path()), folder).train()
    return folder / "model.pt"


def eye_recipe(tar: Path, in_float: Path, settings: QuantizationAware = SETTINGS) -> EyeRecipe:
    recipe = color_recipe(tar, num_steps=6, average_decay=0.5, peak_learning_rate=2e-4)
    return replace(recipe, initial_weights=str(in_float), quantization_aware=settings)


@pytest.mark.parametrize("learned", [False, True])
def test_an_eye_is_trained_through_its_integers_and_left_plain(
    tar: Path, in_float: Path, tmp_path: Path, learned: bool
) -> None:
    recipe = eye_recipe(tar, in_float, replace(SETTINGS, learned_scales=learned))
    run = Run(EyeTask(recipe, root=Path()), tmp_path)
    begun, _ = load_eye(in_float)
    state = plain_state(run.model)
    assert all(torch.equal(state[name], value) for name, value in begun.state_dict().items())
    run.train()
    assert not any(m.is_observing for m in run.model.modules() if isinstance(m, FakeQuantize))

    plain, description = load_eye(tmp_path / "model.pt")
    assert description.labels == run.task.description.labels
    assert all(torch.equal(plain.state_dict()[k], v) for k, v in plain_state(run.average).items())
    scales = read_scales(load(tmp_path / "model.pt"))
    assert {"head", "embedding.cut.0", "stages.0.0.local", "stages.0.0.expand"} <= scales.keys()
    assert all(float(found.input.scale) > 0.0 for found in scales.values())
    # What BatchNorm has measured in float is what the integers were trained with.
    name = "stages.0.0.expand.norm.running_mean"
    torch.testing.assert_close(plain.state_dict()[name], begun.state_dict()[name])


def test_such_a_run_that_was_stopped_ends_with_the_same_bits(
    tar: Path, in_float: Path, tmp_path: Path
) -> None:
    recipe = eye_recipe(tar, in_float)
    Run(EyeTask(recipe, root=Path()), tmp_path / "whole").train()
    half = Run(EyeTask(recipe, root=Path()), tmp_path / "halves")
    half.train(should_stop=lambda: half.step >= 3)
    Run(EyeTask(recipe, root=Path()), tmp_path / "halves").train()
    first, second = (load(tmp_path / name / "model.pt") for name in ("whole", "halves"))
    assert all(torch.equal(first["model"][k], second["model"][k]) for k in first["model"])
    assert first["quantization"].keys() == second["quantization"].keys()
    for name, found in first["quantization"].items():
        assert torch.equal(found["input_scale"], second["quantization"][name]["input_scale"])


def test_the_command_keeps_the_scales_when_it_fits_the_temperature(
    tar: Path, in_float: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "integers.toml"
    lines = (f"{key} = {json.dumps(value)}" for key, value in EYE_NETWORK.items())
    recipe.write_text(
        f"""
schema_version = 1
role = "eye"
name = "integers"
initial_weights = "{in_float}"
[quantization_aware]
observe_steps = 1
[network]
{chr(10).join(lines)}
[[albums]]
path = "{tar.name}"
group = "color"
[schedule]
num_steps = 2
batch_photos = 8
stored_side = 24
"""
    )
    assert main(recipe, run_folder=tmp_path / "run", data_root=tar.parent) == 0
    _, description = load_eye(tmp_path / "run" / "model.pt")
    assert description.temperature != 1.0
    assert "head" in read_scales(load(tmp_path / "run" / "model.pt"))


def test_its_checkpoint_belongs_to_no_run_in_float(tar: Path, in_float: Path, tmp_path: Path) -> None:
    recipe = eye_recipe(tar, in_float)
    Run(EyeTask(recipe, root=Path()), tmp_path).save()
    with pytest.raises(CheckpointError, match="belongs to another recipe"):
        Run(EyeTask(replace(recipe, quantization_aware=None), root=Path()), tmp_path)


def test_an_ear_is_trained_through_its_integers_and_left_plain(tmp_path: Path) -> None:
    write_tone_corpus(tmp_path)
    recipe = replace(tone_recipe(num_steps=2), network=NETWORK)
    Run(EarTask(recipe, BatchMaker(recipe, tmp_path, tmp_path)), tmp_path / "float").train()
    recipe = replace(
        tone_recipe(num_steps=4),
        network=NETWORK,
        initial_weights=str(tmp_path / "float" / "model.pt"),
        quantization_aware=replace(SETTINGS, ignored_modules=("phone_head",)),
    )
    run = Run(EarTask(recipe, BatchMaker(recipe, tmp_path, tmp_path)), tmp_path / "integers")
    run.train()
    assert load_model(tmp_path / "integers" / "model.pt").state_dict().keys() == plain_state(run.model).keys()
    scales = read_scales(load(tmp_path / "integers" / "model.pt"))
    names = ("subsampling.conv1", "subsampling.conv2", "blocks.1.attention.key", "token_head")
    assert scales.keys() >= set(names)
    assert "phone_head" not in scales and "blocks.0.attention.position" not in scales
    key, value = scales["blocks.0.attention.key"], scales["blocks.0.attention.value"]
    assert torch.equal(key.input.scale, value.input.scale)  # both read the same tensor


def test_recipes_that_cannot_be_are_refused(tar: Path, in_float: Path) -> None:
    with pytest.raises(ValueError, match="quantization_aware: needs initial_weights"):
        replace(color_recipe(tar), quantization_aware=SETTINGS)
    settings = replace(SETTINGS, ignored_modules=(".*",))
    with pytest.raises(RecipeError, match=r"quantization_aware\.ignored_modules: no layer is left"):
        EyeTask(eye_recipe(tar, in_float, settings), root=Path())
