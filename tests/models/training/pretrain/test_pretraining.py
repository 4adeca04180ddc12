"""`galago train` with `role = "pretraining"`: it learns from sound alone; ears begin with what it leaves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from galago.models.training.checkpoints import CheckpointError, load
from galago.models.training.command import main
from galago.models.training.ear.batches import BatchMaker
from galago.models.training.ear.recipe import CorpusRecipe, Recipe
from galago.models.training.ear.trainer import EarTask
from galago.models.training.loop import Run
from galago.models.training.pretrain.checkpoint import load_pretrained
from galago.models.training.pretrain.clusters import cluster_labels, mfcc_features
from galago.models.training.pretrain.recipe import (
    ClusterRecipe,
    ContrastiveRecipe,
    PretrainingRecipe,
    PretrainingSchedule,
    SceneRecipe,
    load_pretraining_recipe,
)
from galago.models.training.pretrain.sound import load_recordings
from galago.models.training.pretrain.trainer import PretrainingTask, pretrain
from galago.models.training.toml_tables import RecipeError
from galago.models.wav2vec2_ear import WAV2VEC2_EAR_PRESETS
from tests.models.training.ear.test_wav2vec2_training import NETWORK
from tests.models.training.ear.tone_corpus import tone_recipe, write_tone_corpus

FRONT_END = WAV2VEC2_EAR_PRESETS["3m"].front_end
SCHEDULE = PretrainingSchedule(
    num_steps=4,
    decay_steps=2,
    warmup_steps=2,
    peak_learning_rate=5e-3,
    batch_s=6.0,
    max_crop_s=0.9,
    chunk_tokens=(4, 8),
    checkpoint_steps=2,
    evaluate_steps=100,
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tones")
    write_tone_corpus(folder, aligned=False)
    return folder


def sound_recipe(objective: str = "hubert", **schedule: Any) -> PretrainingRecipe:
    return PretrainingRecipe(
        name="tones",
        corpora=(CorpusRecipe("tones.tar"),),
        objective="hubert" if objective == "hubert" else "wav2vec2",
        network=NETWORK,
        clusters=ClusterRecipe(num_clusters=6, code_width=16, unmasked_weight=0.5),
        contrastive=ContrastiveRecipe(
            num_codebooks=2, num_entries=8, code_width=16, projection_width=16, num_negatives=8
        ),
        scene=SceneRecipe(reverberation_probability=0.0),
        schedule=replace(SCHEDULE, **schedule),
    )


def run_of(recipe: PretrainingRecipe, folder: Path, cache: Path) -> Run[PretrainingTask]:
    return pretrain(recipe, load_recordings(recipe, cache, cache), folder, cache=cache, num_workers=0)


def ear_of(weights: Path, cache: Path, tmp_path: Path, **network: Any) -> Run[EarTask]:
    recipe = replace(tone_recipe(), network={**NETWORK, **network}, initial_weights=str(weights))
    return begun(recipe, cache, tmp_path)


def begun(recipe: Recipe, cache: Path, tmp_path: Path) -> Run[EarTask]:
    return Run(EarTask(recipe, BatchMaker(recipe, cache, cache)), tmp_path / "ear")


def test_it_learns_which_cluster_is_hidden(cache: Path, tmp_path: Path) -> None:
    run = run_of(sound_recipe(num_steps=36, decay_steps=12), tmp_path, cache)
    first, last = run.history[0], run.history[-1]
    assert last["total"] < 0.7 * first["total"]
    assert last["unmasked_accuracy"] > 0.7  # tones are easily told
    assert last["perplexity"] > 2.5  # and not all told to be the same
    assert last["dev_masked_accuracy"] > 0.4 and last["dev_total"] < first["total"]


def test_it_learns_which_code_is_hidden_and_uses_many(cache: Path, tmp_path: Path) -> None:
    run = run_of(sound_recipe("wav2vec2", num_steps=24, decay_steps=8), tmp_path, cache)
    first, last = run.history[0], run.history[-1]
    assert last["contrastive"] < 0.9 * first["contrastive"]
    assert last["perplexity"] > 4.0  # of 16; two codebooks with one entry in use each would have 2
    assert {"dev_masked_accuracy", "dev_perplexity"} <= last.keys()


@pytest.mark.parametrize("objective", ["hubert", "wav2vec2"])
def test_a_run_cut_in_the_middle_ends_with_the_same_bits(objective: str, cache: Path, tmp_path: Path) -> None:
    recipe = sound_recipe(objective)
    run_of(recipe, tmp_path / "whole", cache)
    asked = iter([False, True])
    sound = load_recordings(recipe, cache, cache)
    pretrain(recipe, sound, tmp_path / "cut", cache=cache, num_workers=0, should_stop=lambda: next(asked))
    resumed = run_of(recipe, tmp_path / "cut", cache)
    assert resumed.step == 4
    whole, cut = (load(tmp_path / name / "model.pt") for name in ("whole", "cut"))
    assert whole["model"].keys() == cut["model"].keys()
    assert all(torch.equal(value, cut["model"][name]) for name, value in whole["model"].items())
    with pytest.raises(CheckpointError, match="belongs to another recipe"):
        run_of(replace(recipe, network={**NETWORK, "num_blocks": 1}), tmp_path / "cut", cache)


def test_an_ear_begins_with_what_was_pre_trained(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_of(sound_recipe(), tmp_path / "before", cache)
    path = tmp_path / "before" / "model.pt"
    network = load_pretrained(path)
    ear = ear_of(path, cache, tmp_path, phone_block=2).model
    weights = ear.state_dict()
    for name, value in network.state_dict().items():
        assert name.startswith("head.") or torch.equal(value, weights[f"network.{name}"]), name
    said = capsys.readouterr().err
    assert f"tensors of {path}; new are network.head.weight" in said and "phone_head.bias" in said


def test_new_heads_learn_alone_at_first(cache: Path, tmp_path: Path) -> None:
    run_of(sound_recipe(), tmp_path / "before", cache)
    path = tmp_path / "before" / "model.pt"
    recipe = replace(tone_recipe(), network=NETWORK, initial_weights=str(path))
    recipe = replace(recipe, schedule=replace(recipe.schedule, head_steps=2))
    pretrained = load(path)["model"]
    for num_steps, is_kept in ((2, True), (3, False)):
        longer = replace(recipe, schedule=replace(recipe.schedule, num_steps=num_steps))
        run = begun(longer, cache, tmp_path)
        new_head = run.model.get_parameter("phone_head.weight").clone()
        run.train()
        assert not torch.equal(run.model.get_parameter("phone_head.weight"), new_head)
        weights = run.model.state_dict()
        kept = {name for name, value in pretrained.items() if torch.equal(value, weights[f"network.{name}"])}
        assert kept == pretrained.keys() if is_kept else "encoder.convolutions.0.weight" not in kept
    with pytest.raises(ValueError, match="schedule.head_steps: only networks that begin with another"):
        replace(recipe, network={"preset": "3m"})


def test_another_network_is_refused_by_what_differs(cache: Path, tmp_path: Path) -> None:
    run_of(sound_recipe(), tmp_path / "before", cache)
    path = tmp_path / "before" / "model.pt"
    with pytest.raises(CheckpointError, match="num_blocks 2 there and 3 here; num_heads 2 there and 4 here"):
        ear_of(path, cache, tmp_path, num_blocks=3, num_heads=4)
    with pytest.raises(RecipeError, match="pre-trained network on samples; network.family must be"):
        begun(replace(tone_recipe(), initial_weights=str(path)), cache, tmp_path)
    stored = load(path)
    del stored["model"]["norm.weight"]
    torch.save(stored, path)
    with pytest.raises(CheckpointError, match="no pre-trained network of this version: norm.weight"):
        ear_of(path, cache, tmp_path)


def test_clusters_are_made_once_and_of_other_things_anew(cache: Path, tmp_path: Path) -> None:
    recipe = sound_recipe()
    learned, held_out, _ = load_recordings(recipe, cache, cache)
    made: dict[str, Any] = {"front_end": FRONT_END, "seed": 1, "path": tmp_path / "clusters.npz", "name": "a"}
    labels = cluster_labels(recipe.clusters, [*learned, *held_out], **made)
    clip = learned[0].clips[0]
    assert labels["tones", clip.id].shape == (-(-clip.num_samples // 320),)
    assert len({int(cluster) for row in labels.values() for cluster in row}) == 6
    written = made["path"].stat().st_mtime_ns
    again = cluster_labels(recipe.clusters, [*learned, *held_out], **made)
    assert made["path"].stat().st_mtime_ns == written
    assert all((again[key] == row).all() for key, row in labels.items())
    fewer = cluster_labels(replace(recipe.clusters, num_clusters=3), learned, **made)
    assert max(int(row.max()) for row in fewer.values()) == 2
    with pytest.raises(RecipeError, match="a.clusters: there are fewer than|cannot be 60000 clusters"):
        cluster_labels(replace(recipe.clusters, num_clusters=60_000), learned, **made)


def test_a_later_run_tells_clusters_of_an_earlier_one(cache: Path, tmp_path: Path) -> None:
    run_of(sound_recipe(), tmp_path / "first", cache)
    before = str(tmp_path / "first" / "model.pt")
    clusters = ClusterRecipe(num_clusters=5, features_of=before, layer=2, code_width=16)
    second = replace(sound_recipe(), name="second", clusters=clusters, initial_weights=before)
    assert run_of(second, tmp_path / "second", cache).step == 4
    with pytest.raises(RecipeError, match="second.clusters.layer: .* has 2 blocks, got 3"):
        run_of(replace(second, clusters=replace(clusters, layer=3)), tmp_path / "third", cache)


def test_a_cluster_is_about_the_sound_of_its_token() -> None:
    samples = torch.cat([torch.zeros(3200), torch.randn(3200, generator=torch.Generator().manual_seed(1))])
    rows = mfcc_features(FRONT_END)(samples)
    assert rows.shape == (20, 13)
    loud = rows[:, 0] > rows[:, 0].mean()
    assert loud.tolist() == [False] * 9 + [True] * 11  # 65 ms around the middle of token 9 reach the noise
    assert mfcc_features(FRONT_END)(torch.zeros(100)).shape == (1, 13)


LEAST = 'schema_version = 1\nrole = "pretraining"\nname = "a"\n[[corpora]]\npath = "tones.tar"\n'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[mask]\nspan = 3\n", "unknown key 'span'"),
        ("[network]\npreset = '3m'\n", 'network.family: must be "wav2vec2"'),
        ("[network]\nfamily = 'wav2vec2'\nnum_blocks = 0\n", "num_blocks"),
        ("[clusters]\nlayer = 2\n", "features_of and layer: one needs the other"),
        ("[contrastive]\nkappa = 0.2\n", "contrastive: has no meaning where the objective is 'hubert'"),
        ("[schedule]\nchunk_tokens = []\n", "needs at least one value"),
    ],
)
def test_wrong_recipes_are_refused_by_key(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(LEAST + text)
    with pytest.raises(RecipeError, match=complaint):
        load_pretraining_recipe(path)


def test_the_command_trains_and_says_what_became_of_it(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.toml"
    network = "\n".join(f"{key} = {json.dumps(value)}" for key, value in NETWORK.items())
    tables = f"[scene]\nreverberation_probability = 0.0\n[clusters]\nnum_clusters = 4\n[network]\n{network}\n"
    path.write_text(LEAST + tables)
    changes = ["schedule.batch_s = 6", "schedule.max_crop_s = 0.9", "clusters.num_clusters = 5"]
    folder = tmp_path / "run"
    options: dict[str, Any] = {"data_root": cache, "cache": cache, "run_folder": folder, "changes": changes}
    assert main(path, num_steps=2, num_workers=0, **options) == 0
    assert (folder / "curves.png").is_file()
    assert json.loads(load(folder / "model.pt")["recipe"])["clusters"]["num_clusters"] == 5
    assert "of what was hidden told rightly" in capsys.readouterr().err
