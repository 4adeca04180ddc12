"""Where a network comes from: out of model.pt, out of the checkpoint beside an older one, or not at all."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from galago.models.training.checkpoints import CheckpointError, save_atomically
from galago.models.training.ear.recipe import CorpusRecipe, Recipe, ScheduleRecipe
from galago.quantize.provenance import describe_training, provenance

RECIPE = Recipe(
    name="said",
    corpora=(
        CorpusRecipe("voices.tar", licence="CC0 1.0"),
        CorpusRecipe("voices.tar", splits=("extra",), licence="CC0 1.0"),
        CorpusRecipe("mine/manifest.jsonl"),
    ),
    noise=(CorpusRecipe("street.tar", name="street-noise", licence="MIT"),),
    schedule=ScheduleRecipe(num_steps=70),
)
SENTENCES = (
    "Recipe `said`, 70 steps. Corpora: voices (CC0 1.0); mine (licence not stated). "
    "Noise: street-noise (MIT)."
)


def stored(**more: Any) -> dict[str, Any]:
    return {"config": {}, "model": {}, "step": 7, **more}


def test_a_model_carries_its_recipe(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    save_atomically(stored(recipe=json.dumps(asdict(RECIPE))), path)
    found = provenance(path)
    assert (found["step"], found["sha256"]) == (7, hashlib.sha256(path.read_bytes()).hexdigest())
    assert describe_training(found["recipe"]) == SENTENCES


def test_an_older_model_has_it_in_the_checkpoint_beside_it_or_nowhere(tmp_path: Path) -> None:
    save_atomically(stored(), tmp_path / "model.pt")
    found = provenance(tmp_path / "model.pt")
    assert found["recipe"] is None and describe_training(None) == "Recipe not recorded."
    save_atomically({"recipe": json.dumps(asdict(RECIPE))}, tmp_path / "checkpoint.pt")
    assert describe_training(provenance(tmp_path / "model.pt")["recipe"]) == SENTENCES


def test_a_recipe_from_before_licences_is_described_without_them() -> None:
    recipe = {"name": "old", "schedule": {"num_steps": 3}, "corpora": [{"path": "a.tar"}]}
    assert describe_training(recipe) == "Recipe `old`, 3 steps. Corpora: a (licence not stated)."
    further = describe_training({**recipe, "initial_weights": "runs/old/model.pt"})
    assert further.endswith("It began with the weights of another run.")
    trained = describe_training({**recipe, "quantization_aware": {"weight_bits": 7}})
    assert trained.endswith("It was trained with its integers.")


def test_a_damaged_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(CheckpointError, match=r"model.pt: cannot be read"):
        provenance(tmp_path / "model.pt")
