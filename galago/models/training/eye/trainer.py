"""Trains an eye: what a step's losses are, and how many held-out photos are named right."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from galago.models.swin import Swin
from galago.models.training.checkpoints import CheckpointError
from galago.models.training.distill.layers import tapped
from galago.models.training.distill.pruning import Judged, begin_as_part
from galago.models.training.distill.recipe import PruningRecipe
from galago.models.training.eye.batches import Batch, BatchMaker
from galago.models.training.eye.checkpoint import load_eye, save_eye
from galago.models.training.eye.distillation import EyeDistillation
from galago.models.training.eye.initial_weights import begin_with, take_over
from galago.models.training.eye.labels import EyeDescription
from galago.models.training.eye.networks import EyeNetwork, new_eye
from galago.models.training.eye.recipe import EyeLoss, EyeRecipe, eye_network
from galago.models.training.plots import Panel
from galago.models.training.quantization_aware import begin_quantization_aware, follow_ranges
from galago.models.training.task import NetworkLosses, Row, Task
from galago.models.training.toml_tables import RecipeError

__all__ = ["EyeLosses", "EyeTask", "accuracy", "load_eye", "losses", "save_eye", "scores_of"]


class EyeLosses(NamedTuple):
    total: Tensor
    fine: Tensor
    coarse: Tensor


def losses(logits: Tensor, targets: Tensor, coarse: Tensor, weights: EyeLoss) -> EyeLosses:
    """Cross-entropy of the labels and of the coarse classes, whose probabilities are sums over their labels.

    Args:
        logits: (B, K). targets: (B, K), rows sum to 1, or to less where a label is not known.
        coarse: (K, M), 1 where a label belongs to a coarse class.
    """
    log_probs = torch.log_softmax(logits.float(), dim=-1)
    fine = -(targets * log_probs).sum(dim=-1).mean()
    summed = (log_probs.exp() @ coarse).clamp_min(1e-8).log()
    kind = -((targets @ coarse) * summed).sum(dim=-1).mean()
    return EyeLosses(fine + weights.coarse * kind, fine, kind)


@torch.no_grad()
def scores_of(model: EyeNetwork, description: EyeDescription, images: Tensor, *, batch: int = 64) -> Tensor:
    """Logits (N, num_labels) float32 of images (N, H, W, 3) uint8, in float32 all the way."""
    device = next(model.parameters()).device
    return torch.cat(
        [model(description.image.batch(part.to(device))).float().cpu() for part in torch.split(images, batch)]
    )


def accuracy(logits: Tensor, labels: Tensor, description: EyeDescription) -> dict[str, float]:
    """Shares of photos whose label, and whose coarse class, is the best one; of each group, too.

    The best coarse class is the one whose labels have the largest probability together.
    """
    index = torch.tensor(description.coarse_index())
    right = logits.argmax(-1) == labels
    summed = torch.softmax(logits, -1) @ torch.nn.functional.one_hot(index).float()
    coarse_right = summed.argmax(-1) == index[labels]
    found = {"accuracy": float(right.float().mean()), "coarse_accuracy": float(coarse_right.float().mean())}
    for group in sorted({label.group for label in description.labels}):
        members = torch.isin(labels, torch.tensor(description.group_index(group)))
        if members.any():
            found[f"{group}_accuracy"] = float(right[members].float().mean())
            found[f"{group}_coarse_accuracy"] = float(coarse_right[members].float().mean())
    return found


class EyeTask(Task):
    """See :class:`galago.models.training.task.Task`.

    Raises:
        CorpusError: an album cannot be read.
        CheckpointError: a teacher or (by ``begin``) the recipe's initial weights are damaged, or of other
            labels or another shape.
        RecipeError: see :class:`EyeDistillation`.
    """

    max_gradient_norm = 5.0
    undecayed = ("position_bias",)
    averages_statistics = True
    rate_unit = "photos/s"
    panels: tuple[Panel, ...] = (
        Panel("loss", ("total", "fine", "coarse")),
        Panel("labels right, of held-out photos", ("dev_accuracy", "dev_coarse_accuracy")),
        Panel("gradient norm", ("gradient_norm",)),
        Panel("learning rate", ("learning_rate",), is_smoothed=False),
    )

    def __init__(self, recipe: EyeRecipe, *, root: Path, device: str = "cpu") -> None:
        self.recipe, self.device = recipe, torch.device(device)
        self.name, self.schedule = recipe.name, recipe.schedule
        torch.manual_seed(recipe.schedule.seed)
        shape = eye_network(recipe, 1)
        self.data = self.batches = BatchMaker(recipe, root, shape.height, shape.width, device=device)
        self.description = self.data.description
        self.config = eye_network(recipe, len(self.description.labels))
        self.model = new_eye(self.config).to(self.device)
        if recipe.quantization_aware is not None:
            where = f"{recipe.name}.quantization_aware"
            begin_quantization_aware(self.model, recipe.quantization_aware, self._see_nothing, where=where)
        self.networks: dict[str, nn.Module] = {"model": self.model}
        coarse = torch.nn.functional.one_hot(torch.tensor(self.description.coarse_index()))
        self._coarse = coarse.float().to(self.device)
        self.distillation: EyeDistillation | None = None
        if recipe.distillation is not None:
            self.distillation = EyeDistillation(
                recipe.distillation, self.model, self.description, self.device, f"{recipe.name}.distillation"
            )
            self.networks |= self.distillation.networks
            taught = ("taught_answer", "taught_hidden", "taught_relation")
            self.panels = (*self.panels, Panel("what is still to be learned from teachers", taught))

    def _see_nothing(self, model: nn.Module) -> None:
        model(torch.zeros(1, 3, self.config.height, self.config.width, device=self.device))

    def begin(self) -> None:
        """Another run's averaged weights, or a part of them, where the recipe says so, at any resolution."""
        if self.recipe.initial_weights is not None:
            begin_with(self.model, self.description, Path(self.recipe.initial_weights))
        elif self.recipe.pruning is not None:
            self._begin_as_part(self.recipe.pruning)

    def _begin_as_part(self, pruning: PruningRecipe) -> None:
        """Take over some blocks and heads of another run; heads are judged by the loss of their network."""
        path = Path(pruning.weights)
        source, description = load_eye(path, self.device)

        def judged(batch: Batch) -> Judged:
            if description.labels != self.description.labels:
                raise CheckpointError(f"{path}: knows other labels, so that its heads cannot be judged")
            size = (source.config.height, source.config.width)
            images = nn.functional.interpolate(batch.images, size, mode="bilinear", align_corners=False)
            found = losses(source(images), batch.targets, self._coarse, self.recipe.loss)
            return Judged(found.total, len(batch.images))

        batches = (self.data[i] for i in range(pruning.importance_batches))
        where = f"{self.recipe.name}.pruning"
        if not isinstance(self.model, Swin) or not isinstance(source, Swin):
            raise RecipeError(f"{where}: only a Swin can begin as a part of another")
        state = begin_as_part(self.model, source, pruning, where, batches, judged)
        take_over(self.model, state, path, same_labels=description.labels == self.description.labels)

    def identity(self) -> dict[str, Any]:
        """The network's shape, the seed, the recipe's name, and the teachers where there are any."""
        who = {"network": self.config.as_dict(), "seed": self.recipe.schedule.seed, "name": self.recipe.name}
        if self.recipe.quantization_aware is not None:
            who["quantization_aware"] = asdict(self.recipe.quantization_aware)
        return who if self.distillation is None else {**who, "teachers": self.distillation.identity()}

    def amount(self, batch: Batch) -> float:
        """Photos."""
        return len(batch.images)

    def losses(self, batch: Batch, step: int) -> NetworkLosses:
        """Of the labels; with teachers, in part of their answers, and of what is inside."""
        follow_ranges(self.model, self.recipe.quantization_aware, step)
        images = batch.images.contiguous(memory_format=torch.channels_last)
        distillation = self.distillation
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            seen = None if distillation is None else distillation.see(images)
            with tapped(self.model, distillation.taps if distillation else ()) as hidden:
                logits = self.model(images)
        found = losses(logits, batch.targets, self._coarse, self.recipe.loss)
        if distillation is None or seen is None:
            yield "model", found.total, found._asdict()
            return
        recipe, answer = distillation.recipe, distillation.answer_loss(logits, seen)
        inside = distillation.inside(hidden, seen)
        total = (1.0 - recipe.share) * found.total + recipe.share * answer
        for name, loss in inside.items():
            total = total + getattr(recipe, name) * loss
        taught = {f"taught_{name}": loss for name, loss in {"answer": answer, **inside}.items()}
        yield "model", total, {**found._asdict(), **taught, "total": total}
        if recipe.hidden:
            still = {name: value.detach() for name, value in hidden.items()}
            yield "projections", distillation.inside(still, seen)["hidden"], {}

    def evaluate(self, model: nn.Module, samples: Path) -> Row:
        """Accuracies on the photos of the "val" splits, where there are any."""
        assert isinstance(model, EyeNetwork)
        sight = self.data.choice
        if sight is None:
            return {}
        found = accuracy(scores_of(model, self.description, sight.images), sight.labels, self.description)
        return {f"dev_{name}": value for name, value in found.items()}

    def export(self, model: nn.Module, step: int, path: Path) -> None:
        """See :func:`save_eye`."""
        assert isinstance(model, EyeNetwork)
        save_eye(path, model, self.description, recipe=self.recipe, step=step)
