"""FastSpeech learns from an autoregressive teacher: its frames and its times, where it is sure of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from galago.models.training.checkpoints import CheckpointError, load, save_atomically
from galago.models.training.loop import Run
from galago.models.training.toml_tables import RecipeError
from galago.models.training.voice.acoustic import AcousticTask
from galago.models.training.voice.command import make_run
from galago.models.training.voice.distillation import TaughtVoice, teach_voice
from galago.models.training.voice.recipe import VoiceDistillationRecipe, VoiceRecipe, load_recipe
from galago.models.training.voice.task import VoiceTask
from galago.models.training.voice.voice_data import VoiceData, prepare
from galago.models.transformer_tts import (
    TransformerTts,
    TransformerTtsConfig,
    durations_from_attention,
    focus_rates,
)
from galago.models.voice_features import frame_energy
from tests.models.training.voice.buzz_corpus import buzz_recipe, write_buzz_corpus

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus, and a run whose teacher is there."""
    folder = tmp_path_factory.mktemp("buzz")
    write_buzz_corpus(folder)
    prepare(buzz_recipe(), root=folder, cache=folder)
    run_of(buzz_recipe(), "teacher", folder, folder / "run").save()
    return folder


def distilled(**changes: object) -> VoiceRecipe:
    recipe = buzz_recipe(networks=("teacher", "acoustic"))
    table = dataclasses.replace(VoiceDistillationRecipe(min_focus_rate=0.0), **changes)  # type: ignore[arg-type]  # each of its own type
    schedule = dataclasses.replace(recipe.acoustic.schedule, num_samples=0, checkpoint_steps=99)
    acoustic = dataclasses.replace(recipe.acoustic, distillation=table, schedule=schedule)
    return dataclasses.replace(recipe, acoustic=acoustic)


def run_of(recipe: VoiceRecipe, network: str, cache: Path, folder: Path) -> Run[VoiceTask]:
    data = VoiceData(recipe, cache, cache)
    return make_run(recipe, network, data, data.statistics(), folder, CPU)


def taught_of(run: Run[VoiceTask]) -> TaughtVoice:
    assert isinstance(run.task, AcousticTask) and run.task.taught is not None
    return run.task.taught


def test_frames_and_times_are_the_teachers(cache: Path) -> None:
    run = run_of(distilled(), "acoustic", cache, cache / "run")
    taught, data = taught_of(run), VoiceData(distilled(), cache, cache)
    assert taught.num_aligned == len(data.train) == 6
    for clip in data.train:
        ours, theirs = taught.features(clip), data.features(clip)
        assert ours.log_mel.shape == theirs.log_mel.shape and not np.allclose(ours.log_mel, theirs.log_mel)
        assert ours.counts.sum() == theirs.counts.sum() and len(ours.counts) == len(ours.phones)
        assert np.array_equal(ours.pitch_hz, theirs.pitch_hz)
        energy = frame_energy(torch.from_numpy(ours.log_mel)).numpy()
        assert np.array_equal(ours.energy, energy) and not np.allclose(energy, theirs.energy)
    assert any(not np.array_equal(taught.features(c).counts, data.features(c).counts) for c in data.train)


def test_it_is_trained_by_them_and_measured_by_recordings(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "teacher").symlink_to(cache / "run" / "teacher")
    run = run_of(distilled(), "acoustic", cache, tmp_path)
    run.train(should_stop=lambda: run.step == 4)
    alone = run_of(buzz_recipe(), "acoustic", cache, tmp_path / "alone")
    assert not torch.equal(run.task.batches[0].log_mel, alone.task.batches[0].log_mel)
    assert isinstance(run.task, AcousticTask) and isinstance(alone.task, AcousticTask)
    with torch.no_grad():
        assert run.task.measure(alone.average) == alone.task.measure(alone.average)
    resumed = run_of(distilled(), "acoustic", cache, tmp_path)
    assert resumed.step == 4
    resumed.train()
    straight = run_of(distilled(), "acoustic", cache, cache / "run")
    straight.train()
    assert straight.history == resumed.history
    with pytest.raises(CheckpointError, match="belongs to another recipe"):
        run_of(buzz_recipe(), "acoustic", cache, tmp_path)


def test_scattered_attention_leaves_the_alignment(cache: Path) -> None:
    taught = taught_of(run_of(distilled(min_focus_rate=1.0), "acoustic", cache, cache / "run"))
    data = VoiceData(distilled(), cache, cache)
    assert taught.num_aligned == 0
    assert all(np.array_equal(taught.features(c).counts, data.features(c).counts) for c in data.train)


def test_each_may_be_had_without_the_other(cache: Path) -> None:
    data = VoiceData(distilled(), cache, cache)
    clip = data.train[0]
    for changes, is_mel, is_counts in (({"mel": False}, False, True), ({"durations": False}, True, False)):
        taught = taught_of(run_of(distilled(**changes), "acoustic", cache, cache / "run"))
        assert np.array_equal(taught.features(clip).log_mel, data.features(clip).log_mel) != is_mel
        assert (taught.num_aligned > 0) == is_counts


def test_the_most_focused_head_gives_the_times() -> None:
    path = torch.eye(3)[[0, 0, 0, 1, 2, 2]][None, None]  # (1, 1, T, P)
    attention = [torch.full((1, 1, 6, 3), 1 / 3), path]
    torch.testing.assert_close(focus_rates(attention), torch.tensor([1 / 3, 1.0]))
    assert durations_from_attention(attention).tolist() == [3, 1, 2]


def test_teachers_that_do_not_fit_are_refused_by_name(cache: Path, tmp_path: Path) -> None:
    recipe = distilled()
    data, config = VoiceData(recipe, cache, cache), recipe.acoustic_config()
    table = VoiceDistillationRecipe()
    with pytest.raises(CheckpointError, match="nowhere.pt: cannot be read"):
        teach_voice(table, tmp_path / "nowhere.pt", data, config, CPU)
    stored = load(cache / "run" / "teacher" / "model.pt")
    save_atomically({**stored, "network": "vocoder"}, tmp_path / "vocoder.pt")
    with pytest.raises(CheckpointError, match="vocoder.pt: expected the network 'teacher', got 'vocoder'"):
        teach_voice(table, tmp_path / "vocoder.pt", data, config, CPU)
    other = TransformerTtsConfig(**{**stored["config"], "num_mels": 40})
    weights = TransformerTts(other).state_dict()
    save_atomically({**stored, "config": other.as_dict(), "model": weights}, tmp_path / "other.pt")
    with pytest.raises(
        CheckpointError, match="other.pt: cannot teach this voice: num_mels is 40, and it needs 80"
    ):
        teach_voice(table, tmp_path / "other.pt", data, config, CPU)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[acoustic.distillation]", r"voice.toml: acoustic.distillation needs a teacher"),
        ("[acoustic.distillation]\nteacher = 'a.pt'\nmel = false\ndurations = false", r"nothing is learned"),
        ("[acoustic.distillation]\nteacher = 3", r"distillation.teacher: expected str"),
        ("[acoustic.distillation]\nteachers = ['a.pt']", r"distillation: unknown key 'teachers'"),
    ],
)
def test_bad_tables_are_refused_with_their_place(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "voice.toml"
    path.write_text(f"schema_version = 1\nrole = 'voice'\nname = 'x'\n[[corpora]]\npath = 'a.tar'\n{text}\n")
    with pytest.raises(RecipeError, match=message):
        load_recipe(path)
