"""The training loop of the eye: mixed precision, averaged weights, checkpoints, exact resume, curves.

A run is a folder::

    checkpoint.pt   everything that a resumed run needs, written aside and renamed
    model.pt        the averaged weights, their configuration, labels and image format
    log.jsonl       a line a step and a line an evaluation
    curves.png      losses and accuracies over steps
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from galago.models.positions import resized_swin_state
from galago.models.swin import Swin, SwinConfig
from galago.models.training.checkpoints import (
    CheckpointError,
    check_identity,
    load,
    rewind_log,
    save_atomically,
)
from galago.models.training.errors import TrainingDivergedError
from galago.models.training.eye.batches import Batch, BatchMaker, Sight
from galago.models.training.eye.labels import EyeDescription
from galago.models.training.eye.recipe import EyeLoss, EyeRecipe, eye_network
from galago.models.training.plots import Panel, save_curves
from galago.models.training.schedule import learning_rate

__all__ = ["EyeLosses", "EyeTrainer", "accuracy", "load_eye", "losses", "save_eye", "scores_of"]

PANELS = (
    Panel("loss", ("total", "fine", "coarse", "distillation")),
    Panel("labels right, of held-out photos", ("dev_accuracy", "dev_coarse_accuracy")),
    Panel("gradient norm", ("gradient_norm",)),
    Panel("learning rate", ("learning_rate",), is_smoothed=False),
)


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


class EyeTrainer:
    """One run in one folder, gone on with where it was left. :meth:`run` trains until the recipe's last step.

    Raises:
        CheckpointError: the folder's checkpoint is damaged or belongs to another recipe, or the recipe's
            initial weights are damaged or of another shape.
        CorpusError: an album cannot be read.
    """

    def __init__(self, recipe: EyeRecipe, folder: Path, *, root: Path, device: str = "cpu") -> None:
        self.recipe, self.folder, self.device = recipe, folder, torch.device(device)
        folder.mkdir(parents=True, exist_ok=True)
        schedule = recipe.schedule
        torch.manual_seed(schedule.seed)
        shape = eye_network(recipe, 1)
        self.data = BatchMaker(recipe, root, shape.height, shape.width, device=device)
        self.description = self.data.description
        self.config = eye_network(recipe, len(self.description.labels))
        self.model, self.average = Swin(self.config).to(self.device), Swin(self.config).to(self.device)
        if recipe.initial_weights is not None:
            self._begin_with(Path(recipe.initial_weights))
        self.average.load_state_dict(self.model.state_dict())
        self.average.eval()
        decayed = [p for n, p in self.model.named_parameters() if p.ndim > 1 and "position_bias" not in n]
        plain = [p for n, p in self.model.named_parameters() if p.ndim <= 1 or "position_bias" in n]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": schedule.weight_decay},
                {"params": plain, "weight_decay": 0.0},
            ],
            lr=schedule.peak_learning_rate,
            betas=(0.9, 0.98),
            fused=True,
        )
        self._coarse = torch.nn.functional.one_hot(torch.tensor(self.description.coarse_index()))
        self._coarse = self._coarse.float().to(self.device)
        self.teachers = [self._teacher(Path(path)) for path in recipe.teachers]
        self.step = 0
        self.history: list[dict[str, float]] = []
        if (folder / "checkpoint.pt").is_file():
            self._resume()

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

    def _identity(self) -> dict[str, Any]:
        return {"network": self.config.as_dict(), "seed": self.recipe.schedule.seed, "name": self.recipe.name}

    def _resume(self) -> None:
        path = self.folder / "checkpoint.pt"
        stored = load(path, self.device)
        try:
            check_identity(stored, self._identity(), path)
            self.model.load_state_dict(stored["model"])
            self.average.load_state_dict(stored["average"])
            self.optimizer.load_state_dict(stored["optimizer"])
            torch.set_rng_state(stored["rng"].cpu())
            if self.device.type == "cuda" and "cuda_rng" in stored:
                torch.cuda.set_rng_state(stored["cuda_rng"].cpu(), self.device)
            self.step = stored["step"]
        except KeyError as error:
            raise CheckpointError(f"{path}: holds no {error}") from error
        self.history = rewind_log(self.folder / "log.jsonl", self.step)

    def save(self) -> None:
        """Write the checkpoint and, beside it, what is exported."""
        state = {
            "identity": json.dumps(self._identity()),
            "recipe": json.dumps(asdict(self.recipe)),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": torch.get_rng_state(),
            "step": self.step,
        }
        if self.device.type == "cuda":  # stochastic depth is drawn there
            state["cuda_rng"] = torch.cuda.get_rng_state(self.device)
        save_atomically(state, self.folder / "checkpoint.pt")
        path = self.folder / "model.pt"
        save_eye(path, self.average, self.description, recipe=self.recipe, step=self.step)

    def _train_step(self, batch: Batch) -> dict[str, float]:
        rate = learning_rate(self.recipe.schedule, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        images = batch.images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            taught = self._taught(images)
            logits = self.model(images)
        found = losses(logits, batch.targets, self._coarse, self.recipe.loss, taught)
        self.optimizer.zero_grad(set_to_none=True)
        found.total.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        values = torch.stack([*(value.detach() for value in found), norm]).tolist()  # one wait for the device
        if not all(math.isfinite(value) for value in values):
            raise TrainingDivergedError(
                f"{self.folder}: in step {self.step} the loss is {values[0]} and the gradient {values[-1]}; "
                "the last checkpoint is the last good state"
            )
        self.optimizer.step()
        self._average()
        return {
            **dict(zip(EyeLosses._fields, values, strict=False)),
            "gradient_norm": values[-1],
            "learning_rate": rate,
        }

    @torch.no_grad()
    def _average(self) -> None:
        """Exponential average of weights, and of what BatchNorm has measured."""
        decay = min(self.recipe.schedule.average_decay, (1 + self.step) / (10 + self.step))
        new = self.model.state_dict()
        for name, kept in self.average.state_dict().items():
            if kept.is_floating_point():
                kept.lerp_(new[name], 1.0 - decay)
            else:
                kept.copy_(new[name])

    def evaluate(self, sight: Sight) -> dict[str, float]:
        """Accuracies of the averaged weights, each name with ``dev_`` before it."""
        logits = scores_of(self.average, self.description, sight.images)
        return {f"dev_{k}": v for k, v in accuracy(logits, sight.labels, self.description).items()}

    def run(self, *, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Train to the last step, with progress on standard error.

        Args:
            should_stop: asked after every step; where it says yes, a checkpoint is saved and the run ends.

        Raises:
            TrainingDivergedError: loss or gradient is no number.
            OSError: a checkpoint cannot be written; the one before it is whole.
        """
        from tqdm import tqdm

        schedule = self.recipe.schedule
        began, first = time.monotonic(), self.step
        self.model.train()
        with (
            tqdm(
                total=schedule.num_steps,
                initial=self.step,
                desc=self.recipe.name,
                unit="step",
                mininterval=1.0,
            ) as progress,
            open(self.folder / "log.jsonl", "a", encoding="utf-8", buffering=1) as log,
        ):
            while self.step < schedule.num_steps:
                row = {"step": self.step, **self._train_step(self.data.make(self.step))}
                self.step += 1
                if self.data.choice is not None and self.step % schedule.evaluate_steps == 0:
                    row.update(self.evaluate(self.data.choice))
                    progress.write(f"step {self.step}: " + ", ".join(f"{k} {v:.3f}" for k, v in row.items()))
                self.history.append(row)
                log.write(json.dumps(row) + "\n")
                stopping = should_stop()
                if stopping or self.step % schedule.checkpoint_steps == 0 or self.step == schedule.num_steps:
                    self.save()
                    save_curves(self.history, PANELS, self.folder / "curves.png")
                rate = (self.step - first) * schedule.batch_photos / (time.monotonic() - began)
                progress.set_postfix_str(f"loss {row['total']:.2f} {rate:.0f} photos/s", refresh=False)
                progress.update()
                if stopping:
                    break
