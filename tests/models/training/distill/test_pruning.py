"""A student that begins as a part: what is left does what it did, and the heads that matter are left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from galago.models.conformer import Conformer, ConformerConfig
from galago.models.swin import Swin, SwinConfig
from galago.models.training.checkpoints import CheckpointError
from galago.models.training.distill.pruning import (
    Judged,
    Prunable,
    begin_as_part,
    head_importance,
    pruned,
    thinned_blocks,
)
from galago.models.training.distill.recipe import PruningRecipe
from galago.models.training.ear.batches import BatchMaker
from galago.models.training.ear.checkpoint import load_model
from galago.models.training.ear.recipe import Recipe
from galago.models.training.ear.trainer import EarTask
from galago.models.training.eye.checkpoint import load_eye
from galago.models.training.eye.recipe import AlbumRecipe, EyeRecipe
from galago.models.training.eye.trainer import EyeTask
from galago.models.training.loop import Run
from galago.models.training.toml_tables import RecipeError
from galago.models.vit import Vit, VitConfig
from tests.models.training.ear.tone_corpus import NETWORK, tone_recipe, write_tone_corpus
from tests.models.training.eye import color_album

EAR = ConformerConfig(
    width=16,
    num_blocks=4,
    num_heads=4,
    kernel_tokens=3,
    phone_block=2,
    subsampling_channels=(2, 4),
    left_context_tokens=8,
)
EYE = SwinConfig(
    height=16,
    width=16,
    num_classes=3,
    window=2,
    widths=(8, 16),
    depths=(2, 4),
    num_heads=(2, 4),
    norm="batch",
)
VIT = VitConfig(height=8, width=8, num_classes=3, patch=4, channels=16, depth=4, num_heads=4)


def networks() -> list[tuple[Prunable, tuple[Tensor, ...], Any]]:
    """Each with inputs, and the configuration of what has half its blocks and half its heads."""
    torch.manual_seed(4)
    frames = torch.randn(2, 24, 80)
    ear: Prunable = Conformer(EAR)
    made: list[tuple[Prunable, tuple[Tensor, ...], Any]] = [
        (
            ear,
            (frames, torch.tensor([24, 17])),
            EAR.with_(num_blocks=2, num_heads=2, phone_block=1, head_width=4),
        ),
        (Swin(EYE), (torch.randn(2, 3, 16, 16),), EYE.with_(depths=(1, 2), num_heads=(1, 2), head_width=4)),
        (Vit(VIT), (torch.randn(2, 3, 8, 8),), VIT.with_(depth=2, num_heads=2, head_width=4)),
    ]
    for network, _, _ in made:
        for name, parameter in network.named_parameters():
            if "position_bias" in name or name.endswith("norm.weight"):
                nn.init.normal_(parameter, 1.0, 0.3)  # nothing that is cut may stand at its first value
        network.eval()
    return made


def first_output(network: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    with torch.no_grad():
        output = network(*inputs)
    scores: Tensor = output if isinstance(output, Tensor) else output.token_logits
    return scores


@pytest.mark.parametrize("number", range(3), ids=["conformer", "swin", "vit"])
def test_all_blocks_and_heads_are_the_network(number: int) -> None:
    network, inputs, _ = networks()[number]
    heads = [list(range(h)) for h in ([4] * 4, [2, 2, 4, 4, 4, 4], [4] * 4)[number]]
    state = pruned(network, range(1, len(heads) + 1), heads)
    theirs = network.state_dict()
    assert state.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in state.items())


@pytest.mark.parametrize("number", range(3), ids=["conformer", "swin", "vit"])
def test_a_head_that_is_cut_is_a_head_that_says_nothing(number: int) -> None:
    """The smaller network answers as the large one does with the outputs of those heads at zero."""
    network, inputs, shape = networks()[number]
    depth_as_it_was = {
        "num_blocks" if number == 0 else "depths" if number == 1 else "depth": (4, (2, 4), 4)[number]
    }
    shape = shape.with_(**depth_as_it_was, **({"phone_block": 2} if number == 0 else {}))
    counts = ([4] * 4, [2, 2, 4, 4, 4, 4], [4] * 4)[number]
    heads = [[h for h in range(count) if h % 2] for count in counts]
    smaller = type(network)(shape).eval()
    smaller.load_state_dict(pruned(network, range(1, len(heads) + 1), heads))
    assert sum(p.numel() for p in smaller.parameters()) < sum(p.numel() for p in network.parameters())

    def silenced(module: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x = given[0].unflatten(-1, (-1, 4))  # type: ignore[no-untyped-call]  # torch's own gap
        return ((x * (torch.arange(x.shape[-2]) % 2)[:, None]).flatten(-2),)

    for name, module in network.named_modules():
        if name.endswith(".out") and "subsampling" not in name:
            module.register_forward_pre_hook(silenced)
    torch.testing.assert_close(
        first_output(smaller, inputs), first_output(network, inputs), atol=1e-5, rtol=1e-4
    )


def test_a_thinner_ear_streams_as_it_hears() -> None:
    """Caches are as wide as the heads that are left."""
    model = Conformer(networks()[0][2]).eval()
    frames = torch.randn(1, 48, 80)
    states = model.initial_states()
    assert states["block0.key"].shape == (1, 8, 8)
    rows = []
    with torch.no_grad():
        whole = model(frames, torch.tensor([48]), chunk_tokens=4).token_logits.log_softmax(-1)
        for number, chunk in enumerate(torch.split(frames, 16, dim=1)):
            _, tokens, states = model.forward_chunk(chunk, torch.tensor([float(number > 0)]), states)
            rows.append(tokens)
    torch.testing.assert_close(torch.cat(rows, dim=1), whole, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("number", range(3), ids=["conformer", "swin", "vit"])
def test_a_head_that_nothing_comes_of_does_not_matter(number: int) -> None:
    network, inputs, _ = networks()[number]
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if ".out" in name and parameter.ndim == 2 and "subsampling" not in name:
                parameter[:, :4] = 0.0  # whatever the first head says

    def judged(_: int) -> Judged:
        output = network(*inputs)
        scores = output if isinstance(output, Tensor) else output.token_logits
        return Judged(scores.square().mean(), 2)

    importance = head_importance(network, range(2), judged)
    assert len(importance) == (4, 6, 4)[number]
    for block in importance[:-1]:
        assert float(block[0]) == 0.0 and (block[1:] > 0.0).all()
    assert all(p.grad is None for p in network.parameters())
    with pytest.raises(ValueError, match="no batch"):
        head_importance(network, [], judged)


@pytest.mark.parametrize(
    ("chosen", "expected"), [(1, [0]), (2, [0, 5]), (3, [0, 3, 4]), (6, [0, 1, 2, 3, 4, 5])]
)
def test_shifted_windows_stay_shifted(chosen: int, expected: list[int]) -> None:
    found = thinned_blocks(chosen, 6)
    assert found == expected and [i % 2 for i in found] == [i % 2 for i in range(chosen)]


def never(_: object) -> Judged:
    raise AssertionError("no head has to go, so none is judged")


@pytest.mark.parametrize(
    ("network", "recipe", "message"),
    [
        (
            Conformer(EAR.with_(num_heads=2)),
            {},
            r"x: heads of t.pt are 4 wide and the student's 8; say network.head_width = 4",
        ),
        (Conformer(EAR.with_(num_heads=8, head_width=4)), {}, r"x: 8 heads cannot be chosen out of 4"),
        (Conformer(EAR.with_(num_blocks=5)), {}, r"x.blocks: cannot choose 5 of 4 layers"),
        (
            Conformer(EAR.with_(num_blocks=2)),
            {"blocks": (1, 5)},
            r"x.blocks: must be 2 rising numbers from 1 to 4",
        ),
        (Conformer(EAR.with_(num_blocks=2)), {"blocks": (2, 1)}, r"x.blocks: must be 2 rising numbers"),
        (Conformer(EAR.with_(num_blocks=2)), {"blocks": (1, 2, 3)}, r"x.blocks: must be 2 rising numbers"),
    ],
)
def test_what_cannot_be_cut_is_refused_by_name(
    network: Conformer, recipe: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        begin_as_part(network, Conformer(EAR), PruningRecipe("t.pt", **recipe), "x", [], never)


def test_blocks_of_an_eye_stay_in_their_stages() -> None:
    student, source = Swin(EYE.with_(depths=(1, 2))), Swin(EYE)
    state = begin_as_part(student, source, PruningRecipe("t.pt"), "x", [], never)
    theirs = source.state_dict()
    for new, old in (
        ("stages.0.0", "stages.0.0"),
        ("stages.1.0", "stages.1.0"),
        ("stages.1.1", "stages.1.3"),
    ):
        name = "attention.query_key_value.linear.weight"
        assert torch.equal(state[f"{new}.{name}"], theirs[f"{old}.{name}"])
    student.load_state_dict(state)
    chosen = begin_as_part(student, source, PruningRecipe("t.pt", (2, 4, 5)), "x", [], never)
    assert torch.equal(chosen["stages.1.0.expand.linear.weight"], theirs["stages.1.1.expand.linear.weight"])
    for blocks, message in (((1, 2, 3), "not as many of each stage"), ((1, 2), "must be 3 rising numbers")):
        with pytest.raises(RecipeError, match=message):
            begin_as_part(student, source, PruningRecipe("t.pt", blocks), "x", [], never)
    deeper = Swin(EYE.with_(depths=(3, 4)))
    with pytest.raises(RecipeError, match=r"stages of \[3, 4\] blocks cannot be cut out of \[2, 4\]"):
        begin_as_part(deeper, source, PruningRecipe("t.pt"), "x", [], never)


def ear_run(recipe: Recipe, folder: Path, cache: Path) -> Run[EarTask]:
    return Run(EarTask(recipe, BatchMaker(recipe, cache, cache)), folder)


def test_an_ear_begins_as_a_part_of_another(tmp_path: Path) -> None:
    write_tone_corpus(tmp_path)
    whole = ear_run(
        replace(tone_recipe(num_steps=4), network={**NETWORK, "num_blocks": 3}), tmp_path / "a", tmp_path
    )
    whole.train()
    path = tmp_path / "a" / "model.pt"
    network = {**NETWORK, "num_blocks": 2, "num_heads": 1, "head_width": 8}
    recipe = replace(tone_recipe(num_steps=2), network=network, pruning=PruningRecipe(str(path), (1, 3), 2))
    part = ear_run(recipe, tmp_path / "b", tmp_path)
    ours, theirs = part.model.state_dict(), load_model(path).state_dict()
    assert torch.equal(
        ours["blocks.1.feed_forward1.expand.weight"], theirs["blocks.2.feed_forward1.expand.weight"]
    )
    query = theirs["blocks.0.attention.query.weight"]
    assert any(torch.equal(ours["blocks.0.attention.query.weight"], query[8 * h : 8 * h + 8]) for h in (0, 1))
    assert torch.equal(ours["mean"], theirs["mean"])
    part.train()
    assert load_model(tmp_path / "b" / "model.pt").config == part.task.config
    resumed = ear_run(recipe, tmp_path / "b", tmp_path)
    assert resumed.step == 2 and torch.equal(resumed.model.state_dict()["mean"], ours["mean"])
    narrow = replace(recipe, network={**network, "width": 12, "num_heads": 1})
    with pytest.raises(CheckpointError, match=r"model.pt: holds a network of another shape"):
        ear_run(narrow, tmp_path / "c", tmp_path)


def eye_run(recipe: EyeRecipe, folder: Path) -> Run[EyeTask]:
    return Run(EyeTask(recipe, root=Path()), folder)


def test_an_eye_begins_as_a_part_of_another(tmp_path: Path) -> None:
    tar = color_album.write_color_album(tmp_path / "colors.tar")
    plain = color_album.color_recipe(tar, num_steps=2, checkpoint_steps=99, evaluate_steps=99)
    large = {**color_album.NETWORK, "depths": (3,), "height": 24, "width": 24, "window": 6}
    eye_run(replace(plain, network=large), tmp_path / "a").train()
    path = tmp_path / "a" / "model.pt"
    small = {**color_album.NETWORK, "depths": (1,), "num_heads": (1,), "head_width": 4}
    recipe = replace(plain, network=small, pruning=PruningRecipe(str(path), importance_batches=1))
    part = eye_run(recipe, tmp_path / "b")
    ours, theirs = part.model.state_dict(), load_eye(path)[0].state_dict()
    assert torch.equal(ours["stages.0.0.expand.linear.weight"], theirs["stages.0.0.expand.linear.weight"])
    assert ours["stages.0.0.attention.position_bias"].shape == (49, 1)
    part.train()
    assert load_eye(tmp_path / "b" / "model.pt")[0].config == part.task.config
    paint = replace(recipe, albums=(AlbumRecipe(str(tar), "paint"),))
    with pytest.raises(CheckpointError, match="knows other labels, so that its heads cannot be judged"):
        eye_run(paint, tmp_path / "c")


def test_a_run_begins_in_one_way() -> None:
    for recipe in (tone_recipe(), color_album.color_recipe(Path("a.tar"))):
        with pytest.raises(ValueError, match="a run begins with one of them"):
            replace(recipe, initial_weights="a.pt", pruning=PruningRecipe("b.pt"))
