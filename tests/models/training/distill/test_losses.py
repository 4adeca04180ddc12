"""Losses between teacher and student: zero where they agree, the papers' values where they do not."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from galago.models.training.distill.losses import (
    deit_loss,
    hard_label_loss,
    hint_loss,
    mean_answer,
    relation_loss,
    similarity_loss,
    softened_kl,
)
from galago.models.vit import Vit, VitConfig, VitOutput


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_softened_answers_that_agree_cost_nothing(temperature: float) -> None:
    logits = randn(5, 7)
    assert float(softened_kl(logits, mean_answer([logits], temperature), temperature)) < 1e-6
    assert float(softened_kl(logits, mean_answer([randn(5, 7, seed=1)], temperature), temperature)) > 0.1


def test_the_softened_divergence_by_hand() -> None:
    """p = (1/2, 1/2) against q = (3/4, 1/4) at temperature 2: 4 (3/4 ln 3/2 + 1/4 ln 1/2)."""
    taught = torch.tensor([[0.75, 0.25]])
    expected = 4.0 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert float(softened_kl(torch.zeros(1, 2), taught, 2.0)) == pytest.approx(expected, rel=1e-5)


def test_gradients_keep_their_size_when_answers_are_softened() -> None:
    """What the square of the temperature is for (Hinton et al. 2015): within a factor of two, not of 64."""
    sizes = []
    for temperature in (1.0, 8.0):
        logits = (0.1 * randn(64, 10)).requires_grad_()
        taught = mean_answer([0.1 * randn(64, 10, seed=1)], temperature)
        softened_kl(logits, taught, temperature).backward()  # type: ignore[no-untyped-call]
        assert logits.grad is not None
        sizes.append(float(logits.grad.norm()))
    assert sizes[1] == pytest.approx(sizes[0], rel=0.2)


def test_an_ensemble_is_the_mean_of_probabilities_and_not_of_scores() -> None:
    sure, unsure = torch.tensor([[20.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    torch.testing.assert_close(mean_answer([sure, unsure], 1.0), torch.tensor([[0.75, 0.25]]))


def test_what_is_not_valid_does_not_count() -> None:
    logits, taught = randn(2, 3, 4), mean_answer([randn(2, 3, 4, seed=1)], 1.0)
    valid = torch.tensor([[True, True, False], [True, False, False]])
    spoiled = logits.masked_fill(~valid[..., None], 50.0)
    torch.testing.assert_close(
        softened_kl(spoiled, taught, 1.0, valid), softened_kl(logits, taught, 1.0, valid)
    )
    torch.testing.assert_close(
        softened_kl(logits, taught, 1.0, valid), softened_kl(logits[valid], taught[valid], 1.0)
    )
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    for loss in (softened_kl(logits, taught, 1.0, nothing), hint_loss(logits, taught, nothing)):
        assert float(loss) == 0.0


def test_a_hard_label_is_the_teachers_best() -> None:
    logits, taught = randn(6, 4), mean_answer([randn(6, 4, seed=1)], 1.0)
    expected = -torch.log_softmax(logits, 1)[torch.arange(6), taught.argmax(1)].mean()
    torch.testing.assert_close(hard_label_loss(logits, taught), expected)


def test_the_distillation_token_learns_from_the_teacher_and_the_class_token_does_not() -> None:
    """DeiT: the truth says class 0 and the teacher says class 1; each head comes to its own answer."""
    torch.manual_seed(0)
    config = VitConfig(
        height=8, width=8, num_classes=3, patch=4, channels=8, depth=1, num_heads=2, is_distilled=True
    )
    model, images = Vit(config), randn(4, 3, 8, 8)
    truth, taught = torch.eye(3)[[0, 0, 0, 0]], torch.eye(3)[[1, 1, 1, 1]]
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(60):
        loss = deit_loss(model.forward_heads(images), truth, taught)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    output = model.forward_heads(images)
    assert (output.logits.argmax(1) == 0).all() and (output.distillation_logits.argmax(1) == 1).all()
    agree = VitOutput(40.0 * truth, 40.0 * taught)
    assert float(deit_loss(agree, truth, taught)) == pytest.approx(0.0, abs=1e-6)


def test_hints_do_not_know_the_teachers_scale() -> None:
    student, teacher = randn(2, 5, 6), randn(2, 5, 6, seed=1)
    loss = hint_loss(student, teacher)
    torch.testing.assert_close(hint_loss(student, 300.0 * teacher + 7.0), loss, rtol=1e-3, atol=1e-4)
    normal = torch.nn.functional.layer_norm(teacher, (6,))
    assert float(hint_loss(normal, teacher)) < 1e-9 < float(loss)


def test_each_channel_counts_the_same_over_a_batch() -> None:
    """No scale or offset of a channel matters, nor what stands where nothing counts; 1 is to know nothing."""
    valid = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    student, teacher = randn(2, 5, 6), randn(2, 5, 6, seed=1)
    loss = hint_loss(student, teacher, valid, norm="channel")
    stretched = teacher * torch.tensor([1.0, 100.0, 0.1, 1.0, 1.0, 1.0]) + torch.tensor([0.0, 1, 2, 3, 4, 50])
    spoiled = stretched.masked_fill(~valid[..., None], 1e3)
    torch.testing.assert_close(hint_loss(student, spoiled, valid, norm="channel"), loss, rtol=1e-2, atol=0.0)
    nothing = torch.zeros(2, 5, 6)
    torch.testing.assert_close(
        float(hint_loss(nothing, teacher, valid, norm="channel")), 1.0, rtol=1e-3, atol=0
    )


def test_relations_do_not_know_the_width() -> None:
    """Each channel twice over, scaled as the dot product wants it, relates its tokens as before."""
    valid = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    narrow = randn(2, 5, 8)
    heads = narrow.reshape(2, 5, 2, 4)
    wide = torch.cat([heads, heads], dim=-1).flatten(2) / 2**0.25
    assert float(relation_loss(narrow, wide, valid, 2)) < 1e-6
    assert float(relation_loss(narrow, randn(2, 5, 16, seed=1), valid, 2)) > 0.1
    spoiled = narrow.masked_fill(~valid[..., None], 9.0)
    torch.testing.assert_close(
        relation_loss(spoiled, wide, valid, 2), relation_loss(narrow, wide, valid, 2), atol=1e-6, rtol=0.0
    )


def test_images_that_are_alike_to_the_teacher_shall_be_alike_to_the_student() -> None:
    features = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    turned = torch.tensor([[0.0, 0.0, 3.0], [0.0, 0.0, 3.0], [0.0, 3.0, 0.0]])
    assert float(similarity_loss(turned, features)) < 1e-12
    # Rows of G: (1, 1, 0), (1, 1, 0) and (0, 0, 1) against (1, 0, 0) and so on, brought to length 1.
    root = 1 / math.sqrt(2)
    expected = 2 * ((1 - root) ** 2 + root**2) / 9
    assert float(similarity_loss(torch.eye(3), features)) == pytest.approx(expected, rel=1e-5)


def test_no_gradient_reaches_a_teacher() -> None:
    teacher = randn(2, 5, 8, seed=1).requires_grad_()
    student = randn(2, 5, 8).requires_grad_()
    valid = torch.ones(2, 5, dtype=torch.bool)
    total = hint_loss(student, teacher) + relation_loss(student, teacher, valid, 2)
    (total + similarity_loss(student, teacher)).backward()  # type: ignore[no-untyped-call]
    assert teacher.grad is None and student.grad is not None
