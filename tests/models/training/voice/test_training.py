"""A voice is trained: losses fall, runs resume to the bit, what is wrong is named."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from galago.models.fastspeech import FastSpeech
from galago.models.training.checkpoints import CheckpointError
from galago.models.training.errors import TrainingDivergedError
from galago.models.training.loop import Run
from galago.models.training.options import DONE, TrainOptions
from galago.models.training.toml_tables import RecipeError
from galago.models.training.voice.checkpoint import load_fastspeech, load_teacher, load_vocoder
from galago.models.training.voice.command import make_run, train_recipe
from galago.models.training.voice.losses import (
    MultiResolutionStft,
    aligned_attention,
    guided_attention,
    structure_loss,
)
from galago.models.training.voice.recipe import VocoderRecipe, VoiceRecipe, load_recipe
from galago.models.training.voice.task import VoiceTask
from galago.models.training.voice.voice_data import VoiceData, prepare
from tests.models.training.voice.buzz_corpus import buzz_recipe, write_buzz_corpus

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("buzz")
    write_buzz_corpus(folder)
    prepare(buzz_recipe(), root=folder, cache=folder)
    return folder


def run_of(recipe: VoiceRecipe, network: str, cache: Path, folder: Path) -> Run[VoiceTask]:
    data = VoiceData(recipe, cache, cache)
    return make_run(recipe, network, data, data.statistics(), folder, CPU)


def with_schedule(**changes: Any) -> VoiceRecipe:
    recipe = buzz_recipe()
    changed = {
        name: dataclasses.replace(
            getattr(recipe, name),
            schedule=dataclasses.replace(getattr(recipe, name).schedule, **changes),
        )
        for name in ("acoustic", "vocoder", "teacher")
    }
    return dataclasses.replace(recipe, **changed)


def weights(run: Run[VoiceTask]) -> dict[str, Tensor]:
    networks = run.task.networks.items()
    return {f"{n}.{k}": v for n, network in networks for k, v in network.state_dict().items()}


def assert_identical(first: Run[VoiceTask], second: Run[VoiceTask]) -> None:
    for name, value in weights(first).items():
        assert torch.equal(value, weights(second)[name]), name
    assert first.history == second.history


def test_features_stand_under_their_phones(cache: Path) -> None:
    data = VoiceData(buzz_recipe(), cache, cache)
    assert len(data.train) == 6 and len(data.dev) == 2
    for clip in data.train:
        features = data.features(clip)
        T = clip.utterance.num_frames
        assert features.log_mel.shape == (T, 80) and len(features.pitch_hz) == T == features.counts.sum()
        assert data.samples(clip).shape == (T * 160,)
        begin = 0
        for phone, count in zip(clip.utterance.phones, clip.utterance.counts, strict=True):
            inner = features.pitch_hz[begin + 3 : begin + count - 3]
            if phone.startswith("IY"):
                assert abs(inner - 210.0).max() < 3.0
            begin += count
    texts = {clip.utterance.phones[-1] for clip in data.train}
    assert texts == {"?"}  # the text's mark, from the source


def test_what_was_prepared_is_not_prepared_again(cache: Path) -> None:
    index = cache / "buzz.voice.json"
    before = index.stat().st_mtime_ns
    prepare(buzz_recipe(), root=cache, cache=cache)
    assert index.stat().st_mtime_ns == before


@pytest.mark.parametrize("network", ["acoustic", "vocoder", "teacher"])
def test_a_resumed_run_is_the_run_to_the_bit(network: str, cache: Path, tmp_path: Path) -> None:
    recipe = with_schedule()
    straight = run_of(recipe, network, cache, tmp_path / "straight")
    straight.train()
    stopped = run_of(recipe, network, cache, tmp_path / "resumed")
    stopped.train(should_stop=lambda: stopped.step == 3)
    assert stopped.step == 3
    resumed = run_of(recipe, network, cache, tmp_path / "resumed")
    assert resumed.step == 3
    resumed.train()
    assert resumed.step == 6
    assert_identical(resumed, straight)
    assert (tmp_path / "resumed" / network / "curves.png").is_file()


@pytest.mark.parametrize("network", ["acoustic", "vocoder", "teacher"])
def test_losses_fall(network: str, cache: Path, tmp_path: Path) -> None:
    recipe = with_schedule(num_steps=30, checkpoint_steps=100, peak_learning_rate=5e-3)
    run = run_of(recipe, network, cache, tmp_path)
    run.train()
    totals = [row["total"] for row in run.history]
    assert all(math.isfinite(value) for row in run.history for value in row.values())
    assert sum(totals[-5:]) < 0.95 * sum(totals[:5])


def test_the_adversary_trains_beside_the_vocoder(cache: Path, tmp_path: Path) -> None:
    recipe = with_schedule(num_steps=3)
    vocoder = dataclasses.replace(recipe.vocoder, adversarial=True, adversarial_begin_step=1)
    run = run_of(dataclasses.replace(recipe, vocoder=vocoder), "vocoder", cache, tmp_path)
    before = {name: value.clone() for name, value in weights(run).items()}
    run.train()
    assert "discriminator" not in run.history[0] and "discriminator" in run.history[1]
    changed = [name for name, value in weights(run).items() if not torch.equal(value, before[name])]
    assert any(name.startswith("discriminators") for name in changed)
    assert any(name.startswith("model") for name in changed)
    resumed = run_of(dataclasses.replace(recipe, vocoder=vocoder), "vocoder", cache, tmp_path)
    assert resumed.step == 3
    plain = dataclasses.replace(recipe, vocoder=VocoderRecipe(network=recipe.vocoder.network))
    with pytest.raises(CheckpointError, match="belongs to another recipe"):
        run_of(plain, "vocoder", cache, tmp_path)


def test_a_recipe_trains_all_its_networks(cache: Path, tmp_path: Path) -> None:
    """From the TOML to three models, samples included; a second call finds nothing left to do."""
    toml = tmp_path / "buzz.toml"
    network = "width = 16, num_blocks = 1, feed_forward_width = 16, decoder_width = 16"
    toml.write_text(
        f"""
schema_version = 1
role = "voice"
name = "buzz"
networks = ["acoustic", "vocoder", "teacher"]
dictionary = "cmudict.dict"
corpora = [{{ path = "buzz.jsonl.manifest.jsonl", name = "buzz" }}]
[acoustic]
batch_frames = 200
network = {{ preset = "2m", {network}, decoder_inner_width = 16, decoder_lookahead_frames = [1] }}
[vocoder]
batch_clips = 2
crop_frames = 32
predicted_share = 1.0
network = {{ preset = "1m", width = 8, inner_width = 8, lookahead_frames = [1] }}
[teacher]
batch_frames = 200
network = {{ preset = "small", width = 16, feed_forward_width = 16, postnet_width = 8 }}
""",
        encoding="utf-8",
    )
    options = TrainOptions(
        data_root=cache, run_folder=tmp_path / "run", cache=cache, num_steps=2, num_workers=0
    )
    assert train_recipe(toml, options) == DONE
    loaders = (("acoustic", load_fastspeech), ("vocoder", load_vocoder), ("teacher", load_teacher))
    for name, load in loaders:
        folder = tmp_path / "run" / name
        assert not load(folder / "model.pt").training
        assert len(list((folder / "samples").rglob("*.png"))) == 2
        rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        assert [row["step"] for row in rows] == [0, 1] and any(k.startswith("dev_") for k in rows[1])
    assert len(list((tmp_path / "run").rglob("*.wav"))) == 2 + 4
    assert train_recipe(toml, options) == DONE
    with pytest.raises(CheckpointError, match="expected the network 'vocoder', got 'acoustic'"):
        load_vocoder(tmp_path / "run" / "acoustic" / "model.pt")
    assert isinstance(load_fastspeech(tmp_path / "run" / "acoustic" / "model.pt"), FastSpeech)


def test_a_loss_that_is_no_number_ends_the_run(cache: Path, tmp_path: Path) -> None:
    run = run_of(with_schedule(), "acoustic", cache, tmp_path)
    run.train(should_stop=lambda: run.step == 2)
    with torch.no_grad():
        next(run.task.networks["model"].parameters()).fill_(math.nan)
    with pytest.raises(TrainingDivergedError, match="the loss of step 2 is nan"):
        run.train()
    kept = run_of(with_schedule(), "acoustic", cache, tmp_path)
    assert kept.step == 2 and all(torch.isfinite(v).all() for v in weights(kept).values())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('networks = ["ear"]', "networks"),
        ("[vocoder]\nnetwork = {preset = '9m'}", r"vocoder.network.preset: no preset '9m'"),
        ("[acoustic]\nnetwork = {num_mels = 40}", "acoustic.network.num_mels: is given by"),
        ("[teacher]\nbatch_frames = 1", "teacher.batch_frames: must be at least 200"),
        ("corpora = []", "corpora: needs at least one value"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_with_its_place(line: str, message: str, tmp_path: Path) -> None:
    toml = tmp_path / "voice.toml"
    corpora = "" if line.startswith("corpora") else 'corpora = [{path = "a.tar"}]\n'
    toml.write_text(f'schema_version = 1\nrole = "voice"\nname = "v"\n{corpora}{line}\n', encoding="utf-8")
    with pytest.raises(RecipeError, match=message):
        load_recipe(toml)


@pytest.mark.parametrize(
    "name", ["voice-kathleen.toml", "voice-kathleen-cpu.toml", "voice-kathleen-teacher-cpu.toml"]
)
def test_the_recipes_of_the_repository_can_be_read(name: str) -> None:
    recipe = load_recipe(Path(__file__).resolve().parents[4] / "recipes" / name)
    assert recipe.role == "voice" and recipe.corpora[0].path == "kathleen.tar"


def test_equal_sounds_and_pictures_cost_nothing() -> None:
    torch.manual_seed(0)
    samples, picture = torch.randn(2, 6000), torch.randn(2, 20, 16)
    convergence, distance = MultiResolutionStft()(samples, samples)
    assert float(convergence) < 1e-6 and float(distance) < 1e-6
    mask = torch.ones(2, 20, dtype=torch.bool)
    assert float(structure_loss(picture, picture, mask)) < 1e-5
    assert float(structure_loss(picture, -picture, mask)) > 0.5
    # what stands behind an utterance's end does not count
    mask[:, 12:] = False
    spoiled = picture.clone()
    spoiled[:, 12:] = 9.0
    assert float(structure_loss(spoiled, picture, mask)) < 1e-5


def test_attention_on_the_diagonal_is_free() -> None:
    diagonal = torch.eye(8)[None, None]
    flipped = diagonal.flip(-1)
    count = torch.tensor([8])
    assert float(guided_attention(diagonal, count, count)) < 1e-6
    assert float(guided_attention(flipped, count, count)) > 0.5


def test_attention_is_free_where_the_alignment_is() -> None:
    """Two utterances, the second with a phone of no frames and padding behind."""
    counts = torch.tensor([[2, 1, 3], [1, 0, 2]])
    spoken = torch.tensor([[0, 0, 1, 2, 2, 2], [0, 2, 2, 0, 0, 0]])
    weights = torch.nn.functional.one_hot(spoken, 3).float()[:, None]  # (B, H, T, P)
    assert float(aligned_attention(weights, counts)) == 0.0
    even = torch.full_like(weights, 1 / 3)
    assert float(aligned_attention(even, counts)) == pytest.approx(math.log(3))
    late = weights.clone()
    late[0, 0, 2] = torch.tensor([0.75, 0.25, 0.0])  # one of nine frames looks back
    assert float(aligned_attention(late, counts)) == pytest.approx(math.log(4) / 9)
    behind = weights.clone()
    behind[1, 0, 3:] = 1 / 3  # behind the end nothing counts
    assert float(aligned_attention(behind, counts)) == 0.0


def test_a_teacher_guided_by_the_alignment_learns_where_it_is(cache: Path, tmp_path: Path) -> None:
    recipe = with_schedule(num_steps=30, checkpoint_steps=100, peak_learning_rate=5e-3)
    recipe = dataclasses.replace(recipe, teacher=dataclasses.replace(recipe.teacher, guide="alignment"))
    run = run_of(recipe, "teacher", cache, tmp_path)
    run.train()
    attention = [row["attention"] for row in run.history]
    assert sum(attention[-5:]) < 0.95 * sum(attention[:5])
