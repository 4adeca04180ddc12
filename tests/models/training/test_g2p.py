"""Training of the letter-to-phone network: it learns, resumes exactly, and says what is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from galago.models.g2p import G2p
from galago.models.training.checkpoints import CheckpointError
from galago.models.training.g2p import (
    G2pRecipe,
    G2pSchedule,
    G2pTask,
    accuracy,
    load_g2p,
    load_g2p_recipe,
    train_g2p,
    train_recipe,
)
from galago.models.training.g2p_words import DictionaryError, read_words
from galago.models.training.loop import Run
from galago.models.training.options import TrainOptions
from galago.models.training.toml_tables import RecipeError
from galago.runtime.language.phones import Pronunciation

SOUNDS = {"b": "B", "d": "D", "k": "K", "m": "M", "a": "AA1", "i": "IY1"}
NETWORK = {"width": 32, "num_layers": 2, "num_heads": 2, "feed_forward": 32, "condition_after": [1]}


@pytest.fixture()
def dictionary(tmp_path: Path) -> Path:
    """Syllables that sound as they are written."""
    words = sorted({a + b + c + d for a in "bdkm" for b in "ai" for c in "bdkm" for d in "ai"})
    path = tmp_path / "small.dict"
    path.write_text("".join(f"{word} {' '.join(SOUNDS[letter] for letter in word)}\n" for word in words))
    return path


def recipe(num_steps: int) -> G2pRecipe:
    schedule = G2pSchedule(
        num_steps, 20, 5, peak_learning_rate=1e-2, batch_words=16, average_decay=0.9, checkpoint_steps=1000
    )
    return G2pRecipe("small", network=NETWORK, schedule=schedule)


def run_of(recipe: G2pRecipe, words: dict[str, list[Pronunciation]], folder: Path) -> Run[G2pTask]:
    return Run(G2pTask(recipe, words), folder)


def test_it_learns_to_read(dictionary: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    words = sorted(read_words(dictionary))
    before = G2pTask(recipe(80), read_words(dictionary))
    assert before.measure(before.model.eval(), words)["word_accuracy"] < 0.1
    named = replace(recipe(80), dictionary=dictionary.name)
    run = train_g2p(named, tmp_path / "run", root=tmp_path)
    assert isinstance(run.average, G2p)
    assert run.task.measure(run.average, words)["word_accuracy"] > 0.9
    assert json.loads((tmp_path / "run/held_out.json").read_text())["word_accuracy"] > 0.5
    assert "dev_word_accuracy" in run.history[-1] and run.history[-1]["total"] < run.history[0]["total"]


def test_a_resumed_run_ends_with_the_same_weights(dictionary: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    words = read_words(dictionary)
    whole = run_of(recipe(12), words, tmp_path / "whole")
    whole.train()
    cut = run_of(recipe(12), words, tmp_path / "cut")
    cut.train(should_stop=lambda: cut.step == 7)
    resumed = run_of(recipe(12), words, tmp_path / "cut")
    assert resumed.step == 7
    resumed.train()
    for (name, one), other in zip(
        whole.average.state_dict().items(), resumed.average.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other), name
    loaded, phones = load_g2p(tmp_path / "cut/model.pt")
    assert loaded.config == whole.task.config and len(phones) == 69
    with pytest.raises(CheckpointError, match="another recipe"):
        run_of(G2pRecipe("small", schedule=G2pSchedule(seed=2)), words, tmp_path / "cut")


def test_accuracy_counts_stress_apart_and_takes_the_nearest_reference() -> None:
    found = accuracy([("AA1", "B"), ("D",)], [[("AA0", "B"), ("K",)], [("D",)]])
    assert found["word_accuracy"] == 0.5 and found["word_accuracy_unstressed"] == 1.0
    assert found["phone_error_rate"] == pytest.approx(1 / 3) and found["phone_error_rate_unstressed"] == 0.0


def test_what_is_wrong_with_dictionary_or_recipe_is_said(tmp_path: Path) -> None:
    (tmp_path / "plain.dict").write_text("a AH\n")
    with pytest.raises(DictionaryError, match="stress"):
        read_words(tmp_path / "plain.dict")
    path = tmp_path / "recipe.toml"
    path.write_text('schema_version = 1\nrole = "g2p"\nname = "x"\ndictionary = "none.dict"\n')
    with pytest.raises(DictionaryError, match=r"none\.dict"):
        train_recipe(path, TrainOptions(data_root=tmp_path, run_folder=tmp_path / "run"))
    path.write_text('schema_version = 1\nrole = "g2p"\nname = "x"\n[network]\nwidht = 3\n')
    with pytest.raises(RecipeError, match="widht"):
        load_g2p_recipe(path)
    path.write_text('schema_version = 1\nrole = "ear"\nname = "x"\n')
    with pytest.raises(RecipeError, match="role"):
        load_g2p_recipe(path)
