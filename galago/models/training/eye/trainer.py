"""Trains an eye: what a step's losses are, and how many held-out photos are named right."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from galago.models.positions import resized_swin_state
from galago.models.swin import Swin, SwinConfig
from galago.models.training.checkpoints import CheckpointError, load, save_atomically
from galago.models.training.eye.batches import Batch, BatchMaker
from galago.models.training.eye.labels import EyeDescription
from galago.models.training.eye.recipe import EyeLoss, EyeRecipe, eye_network
from galago.models.training.plots import Panel
from galago.models.training.task import NetworkLosses, Row, Task

__all__ = ["EyeLosses", "EyeTask", "accuracy", "load_eye", "losses", "save_eye", "scores_of"]


class EyeLosses(NamedTuple):
    total: Tensor
    fine: Tensor
    coarse: Tensor
    distillation: Tensor  # 0 without teachers


def losses(
    logits: Tensor, targets: Tensor, coarse: Tensor, weights: EyeLoss, taught: Tensor | None = None
) -> EyeLosses:
    """Cross-entropy of the labels and of the coarse classes, whose probabilities are sums over their labels.

    Args:
        logits: (B, K). targets: (B, K), rows sum to 1.
        coarse: (K, M), 1 where a label belongs to a coarse class.
        taught: (B, K) probabilities that teachers give at ``weights.distillation_temperature``.
    """
    log_probs = torch.log_softmax(logits.float(), dim=-1)
    fine = -(targets * log_probs).sum(dim=-1).mean()
    summed = (log_probs.exp() @ coarse).clamp_min(1e-8).log()
    kind = -((targets @ coarse) * summed).sum(dim=-1).mean()
    told = fine + weights.coarse * kind
    if taught is None:
        return EyeLosses(told, fine, kind, torch.zeros_like(fine))
    temperature = weights.distillation_temperature
    softened = torch.log_softmax(logits.float() / temperature, dim=-1)
    # Squared, because gradients through softened scores are smaller by as much.
    distance = torch.nn.functional.kl_div(softened, taught, reduction="batchmean") * temperature**2
    share = weights.distillation
    return EyeLosses((1.0 - share) * told + share * distance, fine, kind, distance)


def save_eye(
    path: Path, model: Swin, description: EyeDescription, *, recipe: EyeRecipe | None = None, step: int = 0
) -> None:
    """Write a ``model.pt`` that :func:`load_eye` reads, with the recipe that a model card tells of."""
    stored = {
        "role": "eye",
        "config": model.config.as_dict(),
        "description": json.dumps(description.as_dict()),
        "model": model.state_dict(),
        "recipe": None if recipe is None else json.dumps(asdict(recipe)),
        "step": step,
    }
    save_atomically(stored, path)


def load_eye(path: Path, device: torch.device | str = "cpu") -> tuple[Swin, EyeDescription]:
    """The network stored in a run's ``model.pt``, in evaluation mode, and what it says.

    Raises:
        CheckpointError: the file is damaged or holds no eye.
    """
    stored = load(path, device)
    try:
        model = Swin(SwinConfig(**stored["config"])).to(device)
        model.load_state_dict(stored["model"])
        description = EyeDescription.of_dict(json.loads(stored["description"]))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: holds no eye of this version: {error}") from error
    return model.eval(), description


@torch.no_grad()
def scores_of(model: Swin, description: EyeDescription, images: Tensor, *, batch: int = 64) -> Tensor:
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
    """

    max_gradient_norm = 5.0
    undecayed = ("position_bias",)
    averages_statistics = True
    rate_unit = "photos/s"
    panels = (
        Panel("loss", ("total", "fine", "coarse", "distillation")),
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
        self.model = Swin(self.config).to(self.device)
        self.networks = {"model": self.model}
        coarse = torch.nn.functional.one_hot(torch.tensor(self.description.coarse_index()))
        self._coarse = coarse.float().to(self.device)
        self.teachers = [self._teacher(Path(path)) for path in recipe.teachers]

    def begin(self) -> None:
        """Another run's averaged weights where the recipe says so, at any resolution."""
        if self.recipe.initial_weights is not None:
            self._begin_with(Path(self.recipe.initial_weights))

    def _begin_with(self, path: Path) -> None:
        """Take over another run's averaged weights, at any resolution; all but a head of other labels."""
        model, description = load_eye(path)
        weights = resized_swin_state(model.state_dict(), self.model.state_dict())
        if description.labels != self.description.labels:
            weights.update(self.model.head.state_dict(prefix="head."))
        try:
            self.model.load_state_dict(weights)
        except RuntimeError as error:
            raise CheckpointError(f"{path}: holds a network of another shape: {error}") from error

    def _teacher(self, path: Path) -> Swin:
        model, description = load_eye(path, self.device)
        ours, image = self.description, description.image
        if (description.labels, image.mean, image.std) != (ours.labels, ours.image.mean, ours.image.std):
            raise CheckpointError(f"{path}: teaches other labels, or sees images normalised in another way")
        return model.requires_grad_(False)

    @torch.no_grad()
    def _taught(self, images: Tensor) -> Tensor | None:
        """What the teachers say of the very images that the network sees, mixed and erased: their mean."""
        if not self.teachers:
            return None
        answers = []
        for teacher in self.teachers:
            size = (teacher.config.height, teacher.config.width)
            seen = torch.nn.functional.interpolate(images, size, mode="bilinear", align_corners=False)
            logits = teacher(seen).float() / self.recipe.loss.distillation_temperature
            answers.append(torch.softmax(logits, dim=-1))
        return torch.stack(answers).mean(dim=0)

    def identity(self) -> dict[str, Any]:
        """The network's shape, the seed and the recipe's name."""
        return {"network": self.config.as_dict(), "seed": self.recipe.schedule.seed, "name": self.recipe.name}

    def amount(self, batch: Batch) -> float:
        """Photos."""
        return len(batch.images)

    def losses(self, batch: Batch, step: int) -> NetworkLosses:
        """One network, one loss."""
        images = batch.images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            taught = self._taught(images)
            logits = self.model(images)
        found = losses(logits, batch.targets, self._coarse, self.recipe.loss, taught)
        yield "model", found.total, found._asdict()

    def evaluate(self, model: nn.Module, samples: Path) -> Row:
        """Accuracies on the photos of the "val" splits, where there are any."""
        assert isinstance(model, Swin)
        sight = self.data.choice
        if sight is None:
            return {}
        found = accuracy(scores_of(model, self.description, sight.images), sight.labels, self.description)
        return {f"dev_{name}": value for name, value in found.items()}

    def export(self, model: nn.Module, step: int, path: Path) -> None:
        """See :func:`save_eye`."""
        assert isinstance(model, Swin)
        save_eye(path, model, self.description, recipe=self.recipe, step=step)
