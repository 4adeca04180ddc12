"""Training an eye: it learns, resumes to the bit, keeps what it knows, and refuses what is not its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from galago.models.training.checkpoints import CheckpointError
from galago.models.training.command import main
from galago.models.training.eye.batches import BatchMaker, sight_of, soft_targets
from galago.models.training.eye.labels import EyeDescription, EyeLabel, ImageFormat
from galago.models.training.eye.recipe import AlbumRecipe, EyeLoss, EyeRecipe, load_eye_recipe
from galago.models.training.eye.trainer import EyeTask, accuracy, load_eye, losses, scores_of
from galago.models.training.loop import Run
from galago.models.training.sources import CorpusError
from galago.models.training.toml_tables import RecipeError
from tests.models.training.eye.color_album import NETWORK, color_recipe, write_color_album

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def tar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_color_album(tmp_path_factory.mktemp("album") / "colors.tar")


def run_of(recipe: EyeRecipe, folder: Path) -> Run[EyeTask]:
    return Run(EyeTask(recipe, root=Path()), folder)


def test_it_learns_colours(tar: Path, tmp_path: Path) -> None:
    run = run_of(color_recipe(tar, num_steps=30, average_decay=0.9), tmp_path)
    run.train()
    model, description = load_eye(tmp_path / "model.pt")
    assert run.task.data.choice is not None
    logits = scores_of(model, description, run.task.data.choice.images)
    assert accuracy(logits, run.task.data.choice.labels, description)["accuracy"] >= 0.75
    assert run.history[-1]["total"] < 0.8 * run.history[0]["total"]
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_a_run_that_was_stopped_ends_with_the_same_bits(tar: Path, tmp_path: Path) -> None:
    recipe = color_recipe(tar)
    recipe = replace(recipe, network={**NETWORK, "depths": (2,), "drop_path": 0.3})  # draws from torch's own
    run_of(recipe, tmp_path / "whole").train()
    half = run_of(recipe, tmp_path / "halves")
    half.train(should_stop=lambda: half.step >= 5)
    assert half.step == 5
    run_of(recipe, tmp_path / "halves").train()
    first, second = (load_eye(tmp_path / name / "model.pt")[0].state_dict() for name in ("whole", "halves"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    logs = [(tmp_path / name / "log.jsonl").read_text() for name in ("whole", "halves")]
    assert logs[0] == logs[1] and logs[0].count("\n") == 12


def test_a_checkpoint_of_another_recipe_is_refused(tar: Path, tmp_path: Path) -> None:
    run_of(color_recipe(tar), tmp_path).save()
    with pytest.raises(CheckpointError, match="belongs to another recipe"):
        run_of(color_recipe(tar, seed=2), tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="checkpoint.pt"):
        run_of(color_recipe(tar), tmp_path)


def test_weights_of_another_run_begin_one_at_another_resolution(tar: Path, tmp_path: Path) -> None:
    first = run_of(color_recipe(tar), tmp_path / "first")
    first.save()
    recipe = replace(
        color_recipe(tar),
        initial_weights=str(tmp_path / "first" / "model.pt"),
        network={**NETWORK, "height": 24, "width": 24, "window": 6},
    )
    second = run_of(recipe, tmp_path / "second")
    assert second.model.state_dict()["stages.0.0.attention.position_bias"].shape == (121, 2)
    name = "stages.0.0.expand.linear.weight"
    assert torch.equal(second.model.state_dict()[name], first.average.state_dict()[name])
    other_shape = replace(recipe, network={**recipe.network, "widths": (16,)})
    with pytest.raises(CheckpointError, match="another shape"):
        run_of(other_shape, tmp_path / "third")


def test_a_head_of_other_labels_is_not_taken_over(tar: Path, tmp_path: Path) -> None:
    first = run_of(color_recipe(tar), tmp_path / "first")
    for parameter in first.average.parameters():
        parameter.data.fill_(0.5)
    first.save()
    recipe = replace(
        color_recipe(tar),
        albums=(AlbumRecipe(str(tar), "paint"),),
        initial_weights=str(tmp_path / "first" / "model.pt"),
    )
    second = run_of(recipe, tmp_path / "second")
    assert not (second.task.model.head.weight == 0.5).any()
    assert all((p == 0.5).all() for name, p in second.model.named_parameters() if "head" not in name)


def test_a_file_that_is_no_eye_is_refused(tmp_path: Path) -> None:
    torch.save({"config": {"width": 3}}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="holds no eye"):
        load_eye(tmp_path / "model.pt")


def test_a_batch_is_decided_by_its_step(tar: Path) -> None:
    def batches(steps: list[int]) -> list[torch.Tensor]:
        maker = BatchMaker(color_recipe(tar), Path(), 16, 16)
        return [maker[step].images for step in steps]

    in_order, other_order = batches([0, 1, 5]), batches([5, 0, 1])
    assert torch.equal(in_order[2], other_order[0]) and torch.equal(in_order[0], other_order[1])
    assert not torch.equal(in_order[0], in_order[1])


@pytest.mark.parametrize(("share", "expected"), [(1.0, 24), (0.5, 12), (2.25, 54)])
def test_an_epoch_draws_each_photo_as_often_as_its_share(tar: Path, share: float, expected: int) -> None:
    recipe = replace(color_recipe(tar), albums=(AlbumRecipe(str(tar), "color", share=share),))
    maker = BatchMaker(recipe, Path(), 16, 16)
    assert maker.photos_per_epoch == expected
    drawn = maker._drawn(3)
    counts = torch.bincount(drawn, minlength=24)
    assert len(drawn) == expected
    assert counts.max() - counts.min() <= 1


def test_targets_are_smoothed_towards_their_own_kind() -> None:
    rows = soft_targets(torch.tensor([0, 0, 1]), 0.3, 0.2)
    torch.testing.assert_close(rows[0], torch.tensor([0.5 + 0.1 + 0.1, 0.1 + 0.1, 0.1]))
    torch.testing.assert_close(rows.sum(1), torch.ones(3))


def test_coarse_loss_asks_for_the_kind_only() -> None:
    """All probability on the wrong label of the right kind costs the coarse loss nothing."""
    coarse = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    target = torch.tensor([[1.0, 0.0, 0.0]])
    same_kind = losses(torch.tensor([[0.0, 20.0, 0.0]]), target, coarse, EyeLoss(coarse=0.5))
    other_kind = losses(torch.tensor([[0.0, 0.0, 20.0]]), target, coarse, EyeLoss(coarse=0.5))
    assert same_kind.coarse < 1e-3 and same_kind.fine > 10
    assert other_kind.coarse > 10
    assert float(other_kind.total) == pytest.approx(float(other_kind.fine + 0.5 * other_kind.coarse))


def description() -> EyeDescription:
    labels = (EyeLabel("a", "x", "k"), EyeLabel("b", "x", "k"), EyeLabel("k", "y", "k"))
    return EyeDescription(labels, ImageFormat(4, 4, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)), 1.3, 0.4)


def test_kinds_of_two_groups_are_two_kinds() -> None:
    assert description().coarse_index() == [0, 0, 1]
    logits = torch.tensor([[1.0, 1.1, 0.0], [0.9, 0.8, 1.0]])
    found = accuracy(logits, torch.tensor([0, 2]), description())
    assert found["accuracy"] == 0.5 and found["x_accuracy"] == 0.0 and found["x_coarse_accuracy"] == 1.0
    assert found["y_accuracy"] == 1.0 and found["y_coarse_accuracy"] == 0.0  # a and b together have more


def test_a_description_survives_json() -> None:
    import json

    assert EyeDescription.of_dict(json.loads(json.dumps(description().as_dict()))) == description()
    with pytest.raises(ValueError, match="same name"):
        replace(description(), labels=(description().labels[0],) * 2)
    with pytest.raises(ValueError, match="temperature"):
        replace(description(), temperature=0.0)


def test_photos_with_unknown_labels_are_refused(tar: Path) -> None:
    from galago.models.training.eye.album import read_album

    album = read_album(tar, "color")
    with pytest.raises(CorpusError, match="does not know: \\['red'\\]"):
        sight_of(list(album.photos), tuple(x for x in album.labels if x.name != "red"), 16, 16)


def test_the_command_trains_and_calibrates(tar: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "colors.toml"
    recipe.write_text(
        f"""
schema_version = 1
role = "eye"
name = "colors"
[network]
height = 16
width = 16
window = 4
widths = [8]
depths = [1]
num_heads = [2]
[[albums]]
path = "{tar.name}"
group = "color"
[schedule]
num_steps = 3
batch_photos = 8
stored_side = 24
"""
    )
    run = tmp_path / "run"
    assert main(recipe, run_folder=run, data_root=tar.parent, threads=torch.get_num_threads()) == 0
    _, found = load_eye(run / "model.pt")
    assert found.temperature != 1.0 and 0.0 < found.accept_probability < 1.0


def test_the_recipe_that_ships_can_be_read() -> None:
    recipe = load_eye_recipe(ROOT / "recipes" / "eye-groceries.toml")
    assert [entry.group for entry in recipe.albums] == ["grocery", "hand_sign"]
    assert not recipe.albums[1].flip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('role = "ear"', "role: must be 'eye'"),
        ("[network]\npreset = 'huge'", "no preset 'huge'"),
        ("[network]\nnum_classes = 3", "num_classes: is given by the labels"),
        ("[network]\nheight = 100", "no multiple of 32"),
        ("[schedule]\nbatch_photos = 0", "batch_photos: must be at least 1"),
        ("[augmentation]\nshear = 1", "unknown key 'shear'"),
    ],
)
def test_bad_recipes_are_refused_with_their_place(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "eye.toml"
    role = "" if text.startswith("role") else 'role = "eye"\n'
    tail = "\n[[albums]]\npath = 'a.tar'\ngroup = 'x'\n"
    path.write_text(f'schema_version = 1\nname = "x"\n{role}{text}{tail}')
    with pytest.raises(RecipeError, match=message):
        load_eye_recipe(path)
