"""What an eye begins with: published weights, its teacher as its stem, and pixels that mean the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from galago.models.checkpoint import StoredNetwork, save_network
from galago.models.efficientnet_lite import EfficientNetLite, EfficientNetLiteConfig
from galago.models.swin import Swin, SwinConfig
from galago.models.training.checkpoints import CheckpointError
from galago.models.training.eye.initial_weights import begin_with, renormalise
from galago.models.training.eye.labels import EyeDescription, EyeLabel, ImageFormat
from galago.models.training.eye.recipe import EyeDistillationRecipe
from galago.models.training.eye.teachers import load_teacher
from galago.models.training.eye.trainer import EyeTask, load_eye, save_eye
from galago.models.training.loop import Run
from galago.models.training.toml_tables import RecipeError
from tests.models.training.eye.color_album import color_recipe, write_color_album

TEACHER = {"preset": "efficientnet-lite0", "height": 32, "width": 32}
MOBILE: dict[str, Any] = {
    "preset": "mobile-3m",
    "height": 32,
    "width": 32,
    "window": 2,
    "widths": (16,),
    "depths": (1,),
    "num_heads": (2,),
}
IMAGE = ImageFormat(32, 32, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))
DESCRIPTION = EyeDescription(tuple(EyeLabel(name, "x", "x") for name in "abc"), IMAGE)


@pytest.fixture(scope="module")
def tar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_color_album(tmp_path_factory.mktemp("album") / "colors.tar")


@pytest.fixture
def public(tmp_path: Path) -> Path:
    """A galago model file of an EfficientNet-Lite with 7 labels of its own."""
    torch.manual_seed(3)
    network = EfficientNetLite(EfficientNetLiteConfig(height=32, width=32, num_classes=7)).eval()
    half = [0.5, 0.5, 0.5]
    details = {"labels": list("tuvwxyz"), "image_mean": half, "image_std": half}
    path = tmp_path / "public.pt"
    save_network(path, StoredNetwork("efficientnet-lite", network, details, {}))
    return path


@torch.no_grad()
def test_pixels_mean_the_same_after_renormalising() -> None:
    torch.manual_seed(0)
    network = EfficientNetLite(EfficientNetLiteConfig(height=64, width=64)).eval()
    first = network.body[0]
    torch.nn.init.uniform_(first[1].running_mean, -1, 1)  # type: ignore[index]
    old = ImageFormat(64, 64, (0.5, 0.5, 0.5), (0.5, 0.4, 0.3))
    pixels = torch.rand(1, 3, 64, 64)
    before = first(old.normalise(pixels))
    renormalise(first, old, IMAGE)  # type: ignore[arg-type]
    after = first(IMAGE.normalise(pixels))
    torch.testing.assert_close(after[..., 1:, 1:], before[..., 1:, 1:], atol=1e-4, rtol=1e-4)
    assert float((after - before).abs().max()) > 1e-3  # at the border 0 was another colour


def test_published_weights_fill_all_but_the_head(public: Path) -> None:
    model = EfficientNetLite(EfficientNetLiteConfig(height=64, width=64, num_classes=3))
    head = model.head.weight.clone()
    begin_with(model, DESCRIPTION, public)
    source = load_teacher(public).network.state_dict()
    assert torch.equal(model.state_dict()["body.3.project.0.weight"], source["body.3.project.0.weight"])
    assert torch.equal(model.head.weight, head)
    assert not torch.equal(model.state_dict()["body.0.0.weight"], source["body.0.0.weight"])  # renormalised


def test_a_teacher_fills_the_stem_of_its_student(public: Path, tmp_path: Path) -> None:
    teacher = EfficientNetLite(EfficientNetLiteConfig(height=32, width=32, num_classes=3))
    begin_with(teacher, DESCRIPTION, public)
    save_eye(tmp_path / "model.pt", teacher, DESCRIPTION)
    loaded, description = load_eye(tmp_path / "model.pt")
    assert isinstance(loaded, EfficientNetLite) and description == DESCRIPTION
    shape = {key: value for key, value in MOBILE.items() if key != "preset"}
    student = Swin(SwinConfig(**shape, num_classes=3, patch=16, stem="mobile", norm="batch"))
    begin_with(student, DESCRIPTION, tmp_path / "model.pt")
    mine, theirs = student.state_dict(), teacher.state_dict()
    stem = [name for name in mine if name.startswith("embedding.cut.body.")]
    assert len(stem) > 100
    assert all(torch.equal(mine[name], theirs[name.removeprefix("embedding.cut.")]) for name in stem)


def test_what_does_not_fit_is_refused_by_name(public: Path, tmp_path: Path) -> None:
    plain = Swin(SwinConfig(height=32, width=32, window=4, widths=(8,), depths=(1,), num_heads=(2,)))
    with pytest.raises(CheckpointError, match=r"public.pt: this eye cannot begin with EfficientNetLite"):
        begin_with(plain, DESCRIPTION, public)
    wider = EfficientNetLite(EfficientNetLiteConfig(height=32, width=32, width_factor=1.1))
    with pytest.raises(CheckpointError, match=r"public.pt: holds a network of another shape"):
        begin_with(wider, DESCRIPTION, public)
    torch.save({"role": "ear"}, tmp_path / "ear.pt")
    with pytest.raises(CheckpointError, match=r"ear.pt: holds 'ear'"):
        begin_with(plain, DESCRIPTION, tmp_path / "ear.pt")


def test_public_weights_become_a_teacher_and_the_teacher_an_eye(
    public: Path, tar: Path, tmp_path: Path
) -> None:
    recipe = replace(
        color_recipe(tar, num_steps=2, batch_photos=4), network=TEACHER, initial_weights=str(public)
    )
    teacher = Run(EyeTask(recipe, root=Path()), tmp_path / "teacher")
    teacher.train()
    weights = str(tmp_path / "teacher" / "model.pt")
    student = replace(
        recipe, network=MOBILE, initial_weights=weights, distillation=EyeDistillationRecipe((weights,))
    )
    run = Run(EyeTask(student, root=Path()), tmp_path / "student")
    run.train()
    assert run.history[-1]["taught_answer"] > 0
    inside = replace(student, distillation=EyeDistillationRecipe((weights,), hidden=1.0))
    with pytest.raises(
        RecipeError, match="distillation: hidden states and relations are those of Swin and ViT"
    ):
        EyeTask(inside, root=Path())
