"""An ear whose decoder learns to write: what it begins with, what its loss is, and exact resume."""

from __future__ import annotations

import string
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from galago.models.checkpoint import StoredNetwork, save_network
from galago.models.moonshine_ear import MoonshineEar
from galago.models.piece_decoder import PieceDecoder, PieceDecoderConfig
from galago.models.training.checkpoints import CheckpointError
from galago.models.training.ear.checkpoint import load_model
from galago.models.training.ear.recipe import Recipe
from galago.models.training.toml_tables import RecipeError, build
from tests.models.training.ear.test_moonshine_training import NETWORK, imported, recipe_from, run_of, weights
from tests.models.training.ear.tone_corpus import write_tone_corpus

NAMES = [
    *("<0>", "<1>", "<2>", " t", "he", " the", "in"),
    *(" ", "'", *string.ascii_lowercase),
    *(f"<{i}>" for i in range(3, 30)),
]
SHAPE = {"width": 32, "feed_forward_width": 32}
KEPT = 32


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tones")
    write_tone_corpus(folder, num_train=6, num_dev=2)
    return folder


def published(path: Path, **changes: int) -> PieceDecoder:
    torch.manual_seed(13)
    shape = {"num_blocks": 1, "num_heads": 2, "rotary_width": 6, "num_pieces": len(NAMES), **SHAPE, **changes}
    decoder = PieceDecoder(PieceDecoderConfig(**shape)).eval()
    details = {"pieces": NAMES}
    save_network(path, StoredNetwork("piece-decoder", decoder, details, {"architecture": "Moonshine"}))
    return decoder


def writing_recipe(folder: Path, **schedule: int) -> Recipe:
    imported(folder / "imported.pt", **SHAPE)
    recipe = recipe_from(folder / "imported.pt", **schedule)
    network = {**NETWORK, **SHAPE, "decoder_blocks": 1, "num_pieces": KEPT}
    return replace(recipe, network=network, initial_decoder=str(folder / "decoder.pt"))


def test_a_run_begins_with_some_pieces_and_resumes_to_the_bit(cache: Path, tmp_path: Path) -> None:
    source = published(tmp_path / "decoder.pt")
    recipe = writing_recipe(tmp_path)
    straight = run_of(recipe, tmp_path / "straight", cache)
    model = straight.model
    assert isinstance(model, MoonshineEar) and model.decoder is not None
    names = model.pieces.names
    assert len(names) == KEPT and set(string.ascii_lowercase) < set(names)
    rows = [NAMES.index(name) for name in names]
    assert torch.equal(model.decoder.embedding.weight, source.embedding.weight[rows])
    before = model.decoder.embedding.weight.clone()
    straight.train()
    assert not torch.equal(model.decoder.embedding.weight, before)
    assert all(row["pieces"] > 0 and 0 <= row["piece_accuracy"] <= 1 for row in straight.history)
    run_of(recipe, tmp_path / "cut", cache).train(should_stop=lambda: True)
    resumed = run_of(recipe, tmp_path / "cut", cache)
    assert resumed.step == 1
    resumed.train()
    ours, theirs = weights(resumed), weights(straight)
    assert [key for key in ours if not torch.equal(ours[key], theirs[key])] == []
    stored = load_model(tmp_path / "straight" / "model.pt")
    assert isinstance(stored, MoonshineEar) and stored.pieces.names == names
    assert np.isfinite(straight.task.evaluate(stored, tmp_path)["dev_wer"])


def test_the_decoder_waits_for_the_heads(cache: Path, tmp_path: Path) -> None:
    published(tmp_path / "decoder.pt")
    run = run_of(writing_recipe(tmp_path, num_steps=2, head_steps=1), tmp_path / "run", cache)
    before = {key: value.clone() for key, value in run.model.state_dict().items() if "decoder" in key}
    run.train(should_stop=lambda: run.step == 1)
    assert all(torch.equal(value, run.model.state_dict()[key]) for key, value in before.items())
    assert "pieces" not in run.history[0]
    run.train()
    assert "pieces" in run.history[1]


def test_a_share_of_what_it_began_with_stays(cache: Path, tmp_path: Path) -> None:
    """Of the encoder; heads, which were new, and the decoder in four bits are as they were learned."""
    published(tmp_path / "decoder.pt")
    recipe = writing_recipe(tmp_path)
    begun = run_of(recipe, tmp_path / "whole", cache)
    before = {key: value.clone() for key, value in begun.model.state_dict().items()}
    begun.train()
    run_of(replace(recipe, initial_share=0.25), tmp_path / "part", cache).train()
    whole = load_model(tmp_path / "whole" / "model.pt").state_dict()
    part = load_model(tmp_path / "part" / "model.pt").state_dict()
    for name, value in whole.items():
        kept = name.startswith("encoder.")
        expected = 0.75 * value + 0.25 * before[name] if kept else value
        assert torch.allclose(part[name].double(), expected.double(), atol=1e-6), name
    name = "encoder.blocks.0.expand.weight"
    assert not torch.allclose(whole[name], part[name], atol=1e-6)
    with pytest.raises(ValueError, match="initial_share: needs initial_weights"):
        replace(recipe, network={}, initial_weights=None, initial_decoder=None, initial_share=0.1)


def test_what_cannot_write_is_refused(cache: Path, tmp_path: Path) -> None:
    published(tmp_path / "decoder.pt", feed_forward_width=64)
    with pytest.raises(CheckpointError, match="decoder.pt: holds a decoder of another shape"):
        run_of(writing_recipe(tmp_path), tmp_path / "run", cache)
    imported(tmp_path / "decoder.pt")
    with pytest.raises(CheckpointError, match="decoder.pt: holds a moonshine, no decoder"):
        run_of(replace(writing_recipe(tmp_path)), tmp_path / "run", cache)
    base = {"name": "x", "corpora": [{"path": "y"}], "network": {"family": "moonshine", "preset": "tiny"}}
    with pytest.raises(RecipeError, match="decoder_blocks is 0, so there is none"):
        build(Recipe, {**base, "initial_decoder": "z", "schedule": {"chunk_tokens": [3]}}, "recipe")
