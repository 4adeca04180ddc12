"""An ear learns from teachers of its own and of another kind; those that do not fit are refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from galago.models.checkpoint import StoredNetwork, save_network
from galago.models.tokenizer import TOKENS
from galago.models.training.checkpoints import CheckpointError, save_atomically
from galago.models.training.ear import distillation
from galago.models.training.ear.batches import BatchMaker
from galago.models.training.ear.checkpoint import load_model
from galago.models.training.ear.distillation import EarDistillation
from galago.models.training.ear.recipe import CorpusRecipe, EarDistillationRecipe, Recipe, load_recipe
from galago.models.training.ear.teachers import NetworkTeacher, load_teacher, token_columns
from galago.models.training.ear.trainer import EarTask
from galago.models.training.loop import Run
from galago.models.training.sources import CorpusError
from galago.models.training.toml_tables import RecipeError
from galago.models.vit import Vit, VitConfig
from galago.models.wav2vec2 import Wav2Vec2, Wav2Vec2Config
from galago.models.wav2vec2_ear import Wav2Vec2Ear, Wav2Vec2EarConfig
from tests.models.training.ear.tone_corpus import NETWORK, tone_recipe, write_tone_corpus

EVERYTHING: dict[str, Any] = {
    "phones": 1.0,
    "tokens": 1.0,
    "guided": 0.5,
    "sequence": 0.5,
    "hidden": 0.1,
    "relation": 0.1,
    "relation_heads": 4,
}
#: What published networks can say, in their order and with what an ear has no use for.
PUBLISHED_TOKENS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tones")
    write_tone_corpus(folder)
    write_tone_corpus(folder, "murmur", num_dev=0)
    return folder


@pytest.fixture(scope="module")
def teacher(cache: Path) -> Path:
    """A finished run of a wider and deeper network."""
    network = {**NETWORK, "width": 24, "num_blocks": 3}
    run_of(
        replace(tone_recipe(num_steps=2), name="teacher", network=network), cache / "teacher", cache
    ).train()
    return cache / "teacher" / "model.pt"


def published(path: Path, tokens: list[str] = PUBLISHED_TOKENS) -> Path:
    """A wav2vec 2.0 as ``galago import`` writes it, of 50 rows a second."""
    torch.manual_seed(3)
    network = Wav2Vec2(
        Wav2Vec2Config(
            width=16,
            num_blocks=2,
            num_heads=2,
            feed_forward_width=16,
            convolution_widths=(8,) * 7,
            position_kernel_tokens=8,
            position_groups=2,
            position_lookahead_tokens=3,
            num_tokens=len(tokens),
        )
    )
    details = {"tokens": tokens, "blank": 0, "word_separator": "|"}
    save_network(path, StoredNetwork("wav2vec2", network, details))
    return path


def distilled(*teachers: Path, schedule: dict[str, Any] | None = None, **changes: Any) -> Recipe:
    table = EarDistillationRecipe(tuple(map(str, teachers)), **{**EVERYTHING, **changes})
    rarely = {"checkpoint_steps": 99, **(schedule or {})}
    return replace(tone_recipe(**rarely), name="student", distillation=table)


def run_of(recipe: Recipe, folder: Path, cache: Path) -> Run[EarTask]:
    return Run(EarTask(recipe, BatchMaker(recipe, cache, cache)), folder)


def test_a_student_learns_from_a_wider_and_deeper_teacher(teacher: Path, cache: Path, tmp_path: Path) -> None:
    schedule = {"num_steps": 16, "clean_steps": 16}
    run = run_of(distilled(teacher, supervised=0.0, schedule=schedule), tmp_path, cache)
    run.train()
    first, last = run.history[0], run.history[-1]
    for name in ("taught_phones", "taught_tokens", "taught_hidden", "total"):
        assert last[name] < 0.9 * first[name], name
    for name in ("taught_guided", "taught_sequence", "taught_relation", "projections_gradient_norm"):
        assert last[name] >= 0.0, name
    assert 0.0 <= last["delay_tokens"] <= 4.0


def test_hidden_states_stand_on_their_own_tokens(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lookahead delays the rows of blocks, not the answers: that of the teacher, here nothing but a delay,
    is taken out, so that a student with the same weights and no lookahead finds its own states."""
    still: dict[str, Any] = {
        "peak_learning_rate": 0.0,
        "final_learning_rate": 0.0,
        "num_steps": 1,
        "clean_steps": 1,
    }
    run_of(tone_recipe(**still), tmp_path / "same", cache).train()
    same = tmp_path / "same" / "model.pt"
    delayed = replace(
        tone_recipe(**still), network={**NETWORK, "lookahead_tokens": 2}, initial_weights=str(same)
    )
    run_of(replace(delayed, name="delayed"), tmp_path / "delayed", cache).train()
    only = dict.fromkeys(("phones", "tokens", "guided", "sequence", "hidden"), 0.0)
    recipe = replace(
        distilled(tmp_path / "delayed" / "model.pt", schedule=still, **only), initial_weights=str(same)
    )

    def apart(folder: Path) -> float:
        run = run_of(recipe, folder, cache)
        run.train()
        return run.history[0]["taught_relation"]

    found = apart(tmp_path / "a")
    monkeypatch.setattr(distillation, "_undelayed", lambda hidden, delay_tokens: dict(hidden))
    assert found < 0.5 * apart(tmp_path / "b")


def test_a_student_with_a_lookahead_learns_hidden_states(teacher: Path, cache: Path, tmp_path: Path) -> None:
    recipe = replace(
        distilled(teacher, schedule={"num_steps": 1}), network={**NETWORK, "lookahead_tokens": 2}
    )
    run = run_of(recipe, tmp_path, cache)
    run.train()
    assert run.history[0]["taught_hidden"] > 0.0


def test_the_student_alone_begins_with_the_same_weights(teacher: Path, cache: Path, tmp_path: Path) -> None:
    """What a comparison needs: the same network, the same batches; only the losses differ."""
    taught, alone = (
        run_of(distilled(teacher), tmp_path / "a", cache),
        run_of(tone_recipe(), tmp_path / "b", cache),
    )
    theirs = alone.model.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in taught.model.state_dict().items())
    ours, others = taught.task.batches[5], alone.task.batches[5]
    assert torch.equal(ours.features, others.features) and torch.equal(ours.tokens, others.tokens)
    assert others.samples is None and ours.samples is not None


def test_a_resumed_run_is_the_run(teacher: Path, cache: Path, tmp_path: Path) -> None:
    """Projections, and the draws of the teacher's label sequences, go on as well."""
    straight = run_of(distilled(teacher), tmp_path / "straight", cache)
    straight.train()
    half = run_of(distilled(teacher), tmp_path / "half", cache)
    half.train(should_stop=lambda: half.step == 5)
    torch.manual_seed(999)
    resumed = run_of(distilled(teacher), tmp_path / "half", cache)
    assert resumed.step == 5
    resumed.train()
    assert resumed.history == straight.history
    for name, network in straight.task.networks.items():
        theirs = resumed.task.networks[name].state_dict()
        assert all(torch.equal(value, theirs[key]) for key, value in network.state_dict().items()), name


def test_a_run_does_not_go_on_with_another_teacher(teacher: Path, cache: Path, tmp_path: Path) -> None:
    run_of(distilled(teacher), tmp_path / "run", cache).save()
    other = published(tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="belongs to another recipe"):
        run_of(distilled(other, phones=0.0), tmp_path / "run", cache)


def test_another_family_at_twice_the_rate_teaches(cache: Path, tmp_path: Path) -> None:
    path = published(tmp_path / "wav2vec2.pt")
    recipe = distilled(path, phones=0.0, layer_map=((2, 1),), schedule={"num_steps": 3})
    run = run_of(recipe, tmp_path / "run", cache)
    run.train()
    assert all(row["taught_tokens"] > 0.0 and row["taught_hidden"] > 0.0 for row in run.history)
    mapped = run.task.networks["projections"].state_dict()
    assert mapped["maps.0.weight"].shape == (16, 16) and "maps.1.weight" not in mapped


def raw_ear(path: Path) -> Wav2Vec2Ear:
    """An ear on raw samples, of 50 rows a second, as its run leaves it."""
    torch.manual_seed(5)
    model = Wav2Vec2Ear(
        Wav2Vec2EarConfig(
            width=16,
            num_blocks=2,
            num_heads=2,
            feed_forward_width=16,
            convolution_widths=(8,) * 7,
            convolution_norm="layer",
            position_kernel_tokens=4,
            position_groups=2,
            position_lookahead_tokens=0,
            phone_block=1,
        )
    )
    stored = {"family": "wav2vec2", "config": model.config.as_dict(), "model": model.state_dict()}
    save_atomically(stored, path)
    return model


def test_an_ear_of_another_family_teaches_phones_too(cache: Path, tmp_path: Path) -> None:
    raw_ear(tmp_path / "raw.pt")
    run = run_of(distilled(tmp_path / "raw.pt", schedule={"num_steps": 2}), tmp_path / "run", cache)
    run.train()
    assert all(run.history[-1][f"taught_{name}"] > 0.0 for name in ("phones", "tokens", "hidden"))


def test_a_teacher_with_too_few_rows_is_refused_by_name(teacher: Path, tmp_path: Path) -> None:
    """25 answers a second cannot say what each of 50 tokens is."""
    table = EarDistillationRecipe((str(teacher),), tokens=1.0)
    message = r"x.teachers: .*model.pt has a row every 640 samples, .* with one every 320"
    with pytest.raises(RecipeError, match=message):
        EarDistillation(table, raw_ear(tmp_path / "raw.pt"), torch.device("cpu"), "x")


def test_several_teachers_answer_together(teacher: Path, cache: Path, tmp_path: Path) -> None:
    path = published(tmp_path / "wav2vec2.pt")
    recipe = distilled(teacher, path, phones=0.0, hidden=0.0, relation=0.0, schedule={"num_steps": 2})
    run = run_of(recipe, tmp_path / "run", cache)
    run.train()
    assert list(run.task.networks) == ["model"] and run.history[-1]["taught_tokens"] > 0.0


def test_unlabelled_sound_is_heard_and_its_words_are_not(teacher: Path, cache: Path, tmp_path: Path) -> None:
    """The murmurs have transcripts and alignments; none of that may reach the losses."""
    recipe = distilled(teacher, unlabelled=(CorpusRecipe("murmur.tar"),), schedule={"clean_steps": 0})
    data = BatchMaker(recipe, cache, cache)
    seen = 0
    for step in range(len(data.epoch(0))):
        utterances, batch = data.epoch(0)[step], data[step]
        labelled = [all(s.is_labelled for s in utterance) for utterance in utterances]
        assert batch.has_tokens[: len(labelled)].tolist() == labelled
        for row, known in enumerate(labelled):
            assert known == bool(batch.num_tokens[row] > 0) and known == bool(batch.has_phones[row])
        seen += labelled.count(False)
    assert seen > 0
    run = run_of(recipe, tmp_path / "run", cache)
    run.train()
    assert run.step == 8


def test_a_whole_run_without_labels(teacher: Path, cache: Path, tmp_path: Path) -> None:
    recipe = distilled(teacher, supervised=0.0, unlabelled=(CorpusRecipe("murmur.tar"),))
    labelled = (CorpusRecipe("tones.tar", share=0.0),)
    run = run_of(replace(recipe, corpora=labelled), tmp_path / "run", cache)
    run.train()
    assert {row["token_ctc"] for row in run.history} == {0.0}
    with pytest.raises(CorpusError, match="murmur.tar: no clip in night"):
        night = (CorpusRecipe("murmur.tar", splits=("night",)),)
        run_of(distilled(teacher, unlabelled=night), tmp_path / "other", cache)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"layer_map": ((1, 4),)},
            r"student.distillation.layer_map: the teacher has blocks 1 to 3, and no block 4",
        ),
        ({"layer_map": ((3, 1),)}, r"layer_map: the student has blocks 1 to 2, and no block 3"),
        ({"layer_map": ((1, 1), (1, 2))}, r"layer_map: block 1 of the student stands twice"),
        ({"relation_heads": 5}, r"relation_heads: 5 do not divide the width 16 of the student"),
        ({"relation_heads": 16}, r"relation_heads: 16 do not divide the width 24 of .*model.pt"),
    ],
)
def test_a_map_that_does_not_fit_is_refused_by_name(
    changes: dict[str, Any], message: str, teacher: Path, cache: Path, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=message):
        run_of(distilled(teacher, **changes), tmp_path, cache)


def test_teachers_that_do_not_fit_are_refused_by_name(teacher: Path, cache: Path, tmp_path: Path) -> None:
    path = published(tmp_path / "wav2vec2.pt")
    with pytest.raises(RecipeError, match=r"distillation.phones: .*wav2vec2.pt has no phones to teach"):
        run_of(distilled(path), tmp_path / "a", cache)
    with pytest.raises(RecipeError, match=r"from one teacher, and there are 2"):
        run_of(distilled(teacher, teacher), tmp_path / "a", cache)
    pieces = published(tmp_path / "pieces.pt", ["<pad>", "|", "the", "ing"])
    with pytest.raises(
        CheckpointError, match=r"pieces.pt: cannot teach an ear: its 4 tokens lack \"'\", 'a'"
    ):
        load_teacher(pieces)
    small = VitConfig(height=16, width=16, num_classes=2, patch=8, channels=4, depth=1, num_heads=2)
    save_network(tmp_path / "vit.pt", StoredNetwork("vit", Vit(small)))
    with pytest.raises(CheckpointError, match=r"vit.pt: a network of the kind 'vit' cannot teach an ear"):
        load_teacher(tmp_path / "vit.pt")
    with pytest.raises(CheckpointError, match=r"nowhere.pt: cannot be read"):
        load_teacher(tmp_path / "nowhere.pt")


def test_a_teacher_hears_what_an_ear_hears(teacher: Path, cache: Path) -> None:
    """The same features, whatever precision the networks run in, and the same answers, padded or not."""
    model, data = load_model(teacher), BatchMaker(distilled(teacher), cache, cache)
    batch = data[0]  # clean: nothing is masked, so the batch has the teacher's own features
    assert batch.samples is not None and batch.num_samples is not None
    asked = load_teacher(teacher)
    with torch.no_grad():
        expected = model(batch.features, batch.num_frames)
        taught = asked.hear(batch.samples, batch.num_samples)
        assert torch.equal(taught.num_rows, expected.num_tokens) and taught.token_logits is not None
        valid = torch.arange(taught.token_logits.shape[1])[None] < taught.num_rows[:, None]
        torch.testing.assert_close(
            taught.token_logits[valid], expected.token_logits[valid], atol=1e-4, rtol=1e-4
        )
        heard: list[torch.Tensor] = []
        assert isinstance(asked, NetworkTeacher)
        handle = asked.network.register_forward_pre_hook(lambda module, given: heard.append(given[0]))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            asked.hear(batch.samples, batch.num_samples)
        handle.remove()
    frames = torch.arange(batch.features.shape[1])[None] < batch.num_frames[:, None]
    torch.testing.assert_close(heard[0][frames], batch.features[frames], atol=1e-3, rtol=1e-4)


def test_columns_are_those_of_the_ears_tokens() -> None:
    columns = token_columns(PUBLISHED_TOKENS, 0, "|", "it")
    assert [PUBLISHED_TOKENS[c].lower() for c in columns] == ["<pad>", "|", *TOKENS[2:]]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("teachers = []\ntokens = 1", r"distillation.teachers: needs at least one value"),
        ("teachers = ['a.pt']", r"distillation: every weight is 0"),
        ("teachers = ['a.pt']\ntokens = -1", r"distillation.tokens: must be at least 0"),
        ("teachers = ['a.pt']\ntemprature = 2", r"distillation: unknown key 'temprature'"),
        ("teachers = ['a.pt']\nhidden = 1\nlayer_map = [[1]]", r"layer_map\[0\]: expected 2 values"),
    ],
)
def test_bad_tables_are_refused_with_their_place(table: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "ear.toml"
    path.write_text(f"schema_version = 1\nname = 'x'\n[[corpora]]\npath = 'a.tar'\n[distillation]\n{table}\n")
    with pytest.raises(RecipeError, match=message):
        load_recipe(path)
