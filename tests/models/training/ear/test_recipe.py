"""Recipes: what is wrong is refused on reading, with the place it stands at."""

from __future__ import annotations

from pathlib import Path

import pytest

from galago.models.conformer import ConformerConfig
from galago.models.training.ear.recipe import load_recipe, network_config
from galago.models.training.toml_tables import RecipeError

MINIMAL = 'schema_version = 1\nname = "mine"\n[[corpora]]\npath = "a.tar"\n'
RECIPES = Path(__file__).resolve().parents[4] / "recipes"
SHIPPED = sorted(set(RECIPES.glob("ear-*.toml")) - set(RECIPES.glob("*.pack.toml")))


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_least_that_a_recipe_needs(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, MINIMAL))
    assert (recipe.name, recipe.corpora[0].path, recipe.synthetic) == ("mine", "a.tar", None)
    assert recipe.schedule.chunk_tokens == (4, 8, 8, 16)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(path: Path) -> None:
    assert network_config(load_recipe(path)).num_phones == 40


def test_values_reach_their_fields(tmp_path: Path) -> None:
    text = (
        MINIMAL
        + 'name = "b"\nsplits = ["train", "extra"]\nshare = 1\n[network]\npreset = "10m"\nwidth = 128\n'
        "subsampling_channels = [8, 16]\n[augmentation]\nnoise_snr_db = [0, 20.5]\n[loss]\ntoken_ctc = 1\n"
    )
    recipe = load_recipe(write(tmp_path, text))
    assert recipe.corpora[0].splits == ("train", "extra") and recipe.corpora[0].share == 1.0
    assert recipe.augmentation.noise_snr_db == (0.0, 20.5)
    config = network_config(recipe)
    assert isinstance(config, ConformerConfig)
    assert (config.width, config.num_blocks, config.subsampling_channels) == (128, 11, (8, 16))


BAD = {
    'name = "x"\nschema_version = 2': r"schema_version must be 1, got 2",
    'name = "x"': r"schema_version must be 1, got None",
    'schema_version = 1\nname = "x"': r"mine.toml: key 'corpora' is missing",
    MINIMAL + "[schedule]\nnum_step = 5": r"mine.toml.schedule: unknown key 'num_step' \(known: num_steps",
    MINIMAL + "[schedule]\nnum_steps = 0": r"mine.toml.schedule.num_steps: must be at least 1",
    MINIMAL + "[schedule]\nnum_steps = 5.0": r"mine.toml.schedule.num_steps: expected int, got 5.0",
    MINIMAL + "[schedule]\nnum_steps = true": r"mine.toml.schedule.num_steps: expected int, got True",
    MINIMAL + "[schedule]\nbatch_s = nan": r"mine.toml.schedule.batch_s: must be at least 0.1 and finite",
    MINIMAL + "[schedule]\nchunk_tokens = []": r"mine.toml.schedule.chunk_tokens: needs at least one value",
    MINIMAL + "[schedule]\nchunk_tokens = [8, 0]": r"mine.toml.schedule.chunk_tokens: must be at least 1",
    MINIMAL + "[schedule]\nchunk_tokens = [8, 'x']": r"mine.toml.schedule.chunk_tokens\[1\]: expected int",
    MINIMAL
    + "[augmentation]\nnoise_probability = 1.5": r"noise_probability: must be at least 0 and at most 1",
    MINIMAL + "[augmentation]\nnoise_snr_db = [3]": r"augmentation.noise_snr_db: expected 2 values",
    MINIMAL
    + "[augmentation]\nnoise_snr_db = [9, 3]": r"noise_snr_db: the first value must not exceed the second",
    MINIMAL + "[augmentation]\nspeed_factors = 1.0": r"augmentation.speed_factors: expected a list",
    MINIMAL + "share = -0.1": r"mine.toml.corpora\[0\].share: must be at least 0 and at most 1",
    MINIMAL + "splits = 'train'": r"mine.toml.corpora\[0\].splits: expected a list",
    MINIMAL + "[loss]\nphone_ctc = inf": r"mine.toml.loss.phone_ctc: must be at least 0 and finite",
    MINIMAL + "[network]\npreset = '3g'": r"mine.toml.network.preset: no preset '3g' \(known: 3m",
    MINIMAL + "[network]\ndepth = 3": r"mine.toml.network: unknown key 'depth'",
    MINIMAL + "[network]\nwidth = 145": r"mine.toml.network: width 145 must be even",
    MINIMAL + "[network]\nwidth = 'wide'": r"mine.toml.network.width: expected int",
    MINIMAL + "[network]\nphone_block = 99": r"mine.toml.network: phone_block 99",
    MINIMAL + "[network]\nnum_phones = 41": r"mine.toml.network.num_phones: is given by",
    MINIMAL + "[synthetic]\nnum_commands = 1": r"mine.toml.synthetic: key 'sentences' is missing",
    "schema_version = ": r"mine.toml: ",
    MINIMAL.replace("[[", "role = 'eye'\n[["): r"mine.toml.role: must be 'ear', got 'eye'",
    "corpora = 5\nname = 'x'\nschema_version = 1": r"mine.toml.corpora: expected a list, got 5",
}


@pytest.mark.parametrize("text", list(BAD))
def test_what_is_wrong_is_refused_with_its_place(text: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=BAD[text]):
        load_recipe(write(tmp_path, text))


def test_recipes_share_synthetic_speech_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(MINIMAL + '[synthetic]\nsentences = "a.txt"\n')
    assert load_recipe(path).synthetic_name == "synthetic-mine"
    path.write_text(MINIMAL + '[synthetic]\nname = "spoken"\nsentences = "a.txt"\n')
    assert load_recipe(path).synthetic_name == "spoken"
