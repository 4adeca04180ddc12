"""An eye learns from one teacher or several, at other resolutions, with photos that nobody labelled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from galago.models.checkpoint import StoredNetwork, save_network
from galago.models.swin import Swin, SwinConfig
from galago.models.training.checkpoints import CheckpointError
from galago.models.training.eye.batches import BatchMaker
from galago.models.training.eye.labels import EyeLabel, ImageFormat
from galago.models.training.eye.recipe import (
    AlbumRecipe,
    EyeDistillationRecipe,
    EyeRecipe,
    PhotosRecipe,
    load_eye_recipe,
)
from galago.models.training.eye.teachers import EyeTeacher, label_columns, load_teacher
from galago.models.training.eye.trainer import EyeTask
from galago.models.training.loop import Run
from galago.models.training.sources import CorpusError
from galago.models.training.toml_tables import RecipeError
from galago.models.vit import Vit, VitConfig
from tests.models.training.eye.color_album import (
    COLORS,
    NETWORK,
    color_recipe,
    photo_bytes,
    write_color_album,
)

LARGE = {**NETWORK, "height": 24, "width": 24, "window": 6, "widths": (8, 16), "depths": (1, 1)} | {
    "num_heads": (2, 2),
    "window": 3,
}


@pytest.fixture(scope="module")
def tar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_color_album(tmp_path_factory.mktemp("album") / "colors.tar")


@pytest.fixture(scope="module")
def teacher(tar: Path) -> Path:
    """A finished run of a larger network that sees more pixels."""
    recipe = replace(
        color_recipe(tar, num_steps=20, average_decay=0.5, checkpoint_steps=99, evaluate_steps=99),
        name="teacher",
        network=LARGE,
    )
    run_of(recipe, tar.parent / "teacher").train()
    return tar.parent / "teacher" / "model.pt"


def run_of(recipe: EyeRecipe, folder: Path) -> Run[EyeTask]:
    return Run(EyeTask(recipe, root=Path()), folder)


def distilled(
    tar: Path, *teachers: Path, schedule: dict[str, Any] | None = None, **changes: Any
) -> EyeRecipe:
    table = EyeDistillationRecipe(tuple(map(str, teachers)), **changes)
    rarely = {"checkpoint_steps": 99, "evaluate_steps": 99}
    return replace(color_recipe(tar, **rarely, **(schedule or {})), name="student", distillation=table)


def test_a_student_learns_what_its_teacher_says_and_holds(teacher: Path, tar: Path, tmp_path: Path) -> None:
    recipe = distilled(tar, teacher, share=1.0, hidden=0.5, relation=50.0, schedule={"num_steps": 30})
    run = run_of(recipe, tmp_path)
    run.train()
    first, last = run.history[0], run.history[-1]
    for name in ("taught_answer", "taught_hidden", "total"):
        assert last[name] < 0.8 * first[name], name
    assert last["total"] == pytest.approx(
        last["taught_answer"] + 0.5 * last["taught_hidden"] + 50.0 * last["taught_relation"], rel=1e-4
    )
    assert run.task.networks["projections"].state_dict()["maps.0.weight"].shape == (16, 8)


def test_an_ensemble_answers_with_its_mean(teacher: Path, tar: Path, tmp_path: Path) -> None:
    run_of(color_recipe(tar), tmp_path / "other").save()
    other = tmp_path / "other" / "model.pt"
    both, one, two = (
        run_of(distilled(tar, *paths, temperature=1.0), tmp_path / str(number)).task
        for number, paths in enumerate(((teacher, other), (teacher,), (other,)))
    )
    images = both.data[0].images
    answers = [t.distillation.see(images).answer for t in (both, one, two) if t.distillation is not None]
    together, first, second = (answer for answer in answers if answer is not None)
    torch.testing.assert_close(together, (first + second) / 2)
    assert not torch.allclose(first, second)


def test_hard_answers_are_labels(teacher: Path, tar: Path, tmp_path: Path) -> None:
    task = run_of(distilled(tar, teacher, answer="hard"), tmp_path).task
    assert task.distillation is not None
    seen = task.distillation.see(task.data[0].images)
    assert seen.answer is not None
    sure = 40.0 * torch.nn.functional.one_hot(seen.answer.argmax(-1), 4).float()
    assert float(task.distillation.answer_loss(sure, seen)) < 1e-6
    assert float(task.distillation.answer_loss(-sure, seen)) > 10.0


def test_a_resumed_run_is_the_run(teacher: Path, tar: Path, tmp_path: Path) -> None:
    recipe = distilled(tar, teacher, hidden=0.5, relation=1.0)
    straight, half = run_of(recipe, tmp_path / "a"), run_of(recipe, tmp_path / "b")
    straight.train()
    half.train(should_stop=lambda: half.step == 5)
    resumed = run_of(recipe, tmp_path / "b")
    resumed.train()
    assert resumed.history == straight.history
    for name, network in straight.task.networks.items():
        theirs = resumed.task.networks[name].state_dict()
        assert all(torch.equal(value, theirs[key]) for key, value in network.state_dict().items()), name


def test_the_student_alone_begins_with_the_same_weights(teacher: Path, tar: Path, tmp_path: Path) -> None:
    taught, alone = (
        run_of(distilled(tar, teacher, hidden=1.0), tmp_path / "a"),
        run_of(color_recipe(tar), tmp_path / "b"),
    )
    theirs = alone.model.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in taught.model.state_dict().items())
    assert torch.equal(taught.task.batches[3].images, alone.task.batches[3].images)


def test_photos_without_labels_have_no_targets(teacher: Path, tar: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos" / "deeper"
    folder.mkdir(parents=True)
    for number in range(8):
        (folder / f"{number}.png").write_bytes(photo_bytes((90, 90, 90), number))
    (folder / "notes.txt").write_text("no photo")
    recipe = distilled(tar, teacher, unlabelled=(PhotosRecipe(str(tmp_path / "photos")),))
    plain = replace(recipe.augmentation, mixup_probability=0.0, cutmix_probability=0.0)
    data = BatchMaker(replace(recipe, augmentation=plain), Path(), 16, 16)
    assert data.photos_per_epoch == 24 + 8
    sums = torch.cat([data[step].targets.sum(1) for step in range(4)])  # one epoch
    assert sorted(sums.round().tolist()) == [0.0] * 8 + [1.0] * 24
    run = run_of(replace(recipe, schedule=replace(recipe.schedule, num_steps=2)), tmp_path / "run")
    run.train()
    (folder / "7.png").write_bytes(b"no image")
    with pytest.raises(CorpusError, match=r"7.png: cannot identify"):
        run_of(recipe, tmp_path / "run2")


def test_a_published_network_teaches_what_is_inside(tar: Path, tmp_path: Path) -> None:
    config = VitConfig(height=16, width=16, num_classes=3, patch=8, channels=8, depth=2, num_heads=2)
    details = {"labels": ["cat", "dog", "hen"], "image_mean": [0.4] * 3, "image_std": [0.3] * 3}
    save_network(tmp_path / "vit.pt", StoredNetwork("vit", Vit(config), details))
    recipe = distilled(
        tar,
        tmp_path / "vit.pt",
        share=0.0,
        hidden=1.0,
        relation=1.0,
        layer_map=((1, 2),),
        schedule={"num_steps": 3},
    )
    run = run_of(recipe, tmp_path / "run")
    run.train()
    assert all(row["taught_answer"] == 0.0 < row["taught_hidden"] for row in run.history)
    with pytest.raises(CheckpointError, match=r"vit.pt: teaches other labels; it lacks 'blue', 'green'"):
        run_of(distilled(tar, tmp_path / "vit.pt"), tmp_path / "other")


def test_images_reach_a_teacher_as_it_wants_them() -> None:
    """Its own mean, deviation and size, whatever the student's are."""
    config = SwinConfig(height=8, width=8, num_classes=2, widths=(4,), depths=(1,), num_heads=(1,), window=2)
    network = Swin(config).eval()
    pixels = torch.rand(2, 3, 8, 8)
    ours, theirs = (ImageFormat(8, 8, (m,) * 3, (s,) * 3) for m, s in ((0.5, 0.2), (0.3, 0.4)))
    teacher = EyeTeacher("it", network, (), theirs)
    with torch.no_grad():
        seen = teacher.see(ours.normalise(pixels), ours)
        torch.testing.assert_close(seen, network(theirs.normalise(pixels)))
        flat = torch.full((2, 3, 16, 16), 0.7)
        torch.testing.assert_close(
            teacher.see(ours.normalise(flat), ours), network(theirs.normalise(flat[:, :, :8, :8]))
        )


def test_columns_are_found_by_group_and_name() -> None:
    ours = [EyeLabel("5", "hand_sign", "5"), EyeLabel("leek", "grocery", "leek")]
    assert label_columns([*reversed(ours), EyeLabel("x", "y", "z")], ours, "it") == [1, 0]
    assert label_columns([EyeLabel("leek", "", "leek"), EyeLabel("5", "", "5")], ours, "it") == [1, 0]
    with pytest.raises(CheckpointError, match=r"it: teaches other labels; it lacks '5'"):
        label_columns([EyeLabel("5", "grocery", "5"), ours[1]], ours, "it")


def test_what_does_not_fit_is_refused_by_name(teacher: Path, tar: Path, tmp_path: Path) -> None:
    bad: tuple[tuple[dict[str, Any], str], ...] = (
        (
            {"hidden": 1.0, "layer_map": ((1, 3),)},
            r"student.distillation.layer_map: the teacher has blocks 1 to 2",
        ),
        ({"relation": 1.0, "layer_map": ((2, 1),)}, r"layer_map: the student has blocks 1 to 1"),
    )
    for changes, message in bad:
        with pytest.raises(RecipeError, match=message):
            run_of(distilled(tar, teacher, **changes), tmp_path)
    with pytest.raises(RecipeError, match=r"from one teacher, and there are 2"):
        run_of(distilled(tar, teacher, teacher, hidden=1.0), tmp_path)
    paint = replace(distilled(tar, teacher), albums=(AlbumRecipe(str(tar), "paint"),))
    with pytest.raises(
        CheckpointError, match=r"model.pt: teaches other labels; it lacks " + repr(min(COLORS))
    ):
        run_of(paint, tmp_path)
    torch.save({"role": "ear"}, tmp_path / "ear.pt")
    with pytest.raises(CheckpointError, match=r"ear.pt: holds 'ear'"):
        load_teacher(tmp_path / "ear.pt")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("share = 0.0", r"distillation: share, hidden and relation are 0"),
        ("share = 1.5", r"distillation.share: must be at least 0 and at most 1"),
        ("answer = 'loud'", r"distillation.answer: must be 'soft' or 'hard'"),
        ("[[distillation.unlabelled]]\ngroup = 'x'\npath = 'a'", r"unlabelled\[0\]: unknown key 'group'"),
    ],
)
def test_bad_tables_are_refused_with_their_place(table: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "eye.toml"
    head = "schema_version = 1\nrole = 'eye'\nname = 'x'\n[[albums]]\npath = 'a.tar'\ngroup = 'x'\n"
    path.write_text(f"{head}[distillation]\nteachers = ['a.pt']\n{table}\n")
    with pytest.raises(RecipeError, match=message):
        load_eye_recipe(path)
