"""An eye learns from one teacher or several: the losses of ``[distillation]`` beside those of the labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.efficientnet_lite import EfficientNetLite
from galago.models.swin import Swin
from galago.models.training.checkpoints import files_sha256
from galago.models.training.distill.layers import LayerMap, Projections, block_names, layer_pairs, tapped
from galago.models.training.distill.losses import (
    hard_label_loss,
    hint_loss,
    mean_answer,
    similarity_loss,
    softened_kl,
)
from galago.models.training.eye.labels import EyeDescription
from galago.models.training.eye.networks import EyeNetwork
from galago.models.training.eye.recipe import EyeDistillationRecipe
from galago.models.training.eye.teachers import block_widths, label_columns, load_teacher
from galago.models.training.toml_tables import RecipeError
from galago.models.vit import Vit

__all__ = ["EyeDistillation", "SeenByTeachers"]


class SeenByTeachers(NamedTuple):
    """What the teachers say of a batch, and what stands inside the first of them, by block."""

    answer: Tensor | None  # (B, K) probabilities in the order of the student's labels
    hidden: Mapping[str, Tensor]


def _as_map(x: Tensor, network: EyeNetwork | Vit) -> Tensor:
    """What a block gives, as a map (B, C, H, W): Swin's (B, H, W, C), or ViT's (B, T, C)."""
    if isinstance(network, Swin):
        return x.permute(0, 3, 1, 2)
    assert isinstance(network, Vit)
    patches = x[:, network.config.num_tokens :].transpose(1, 2)
    return patches.reshape(*patches.shape[:2], *network.config.grid)


class EyeDistillation:
    """Teachers of one student, and the losses between them.

    Attributes:
        networks: what is trained beside the student: the projections of hidden states, where they count.
        taps: names of the student's blocks whose outputs :meth:`inside` wants.

    Raises:
        CheckpointError: a teacher's file is damaged, or it does not know a label of the student's.
        RecipeError: the layer map does not fit, or there are several teachers to learn hidden states from.
    """

    def __init__(
        self,
        recipe: EyeDistillationRecipe,
        student: EyeNetwork,
        description: EyeDescription,
        device: torch.device,
        where: str,
    ) -> None:
        """``where`` is how messages name the table."""
        self.recipe, self.description, self._student = recipe, description, student
        self.teachers = [load_teacher(Path(path), device) for path in recipe.teachers]
        self._columns = [
            torch.tensor(label_columns(teacher.labels, description.labels, teacher.name), device=device)
            for teacher in self.teachers
            if recipe.share > 0
        ]
        self.networks: dict[str, nn.Module] = {}
        pairs: LayerMap = ()
        first = self.teachers[0].network
        ours: list[str] = []
        theirs: list[str] = []
        if recipe.hidden or recipe.relation:
            if isinstance(student, EfficientNetLite) or isinstance(first, EfficientNetLite):
                raise RecipeError(f"{where}: hidden states and relations are those of Swin and ViT")
            ours, theirs = block_names(student), block_names(first)
            if len(self.teachers) > 1:
                raise RecipeError(
                    f"{where}: hidden states and relations are learned from one teacher, and there are "
                    f"{len(self.teachers)}"
                )
            pairs = layer_pairs(recipe.layer_map, len(ours), len(theirs), f"{where}.layer_map")
        if recipe.hidden:
            assert not isinstance(student, EfficientNetLite) and not isinstance(first, EfficientNetLite)
            widths, wanted = block_widths(student), block_widths(first)
            self.networks["projections"] = Projections(
                [(widths[student - 1], wanted[teacher - 1]) for student, teacher in pairs]
            ).to(device)
        self.taps = [ours[student - 1] for student, _ in pairs]
        self._teacher_taps = [theirs[teacher - 1] for _, teacher in pairs]

    def identity(self) -> list[str]:
        """What a run goes on with: the teachers' files that it began with."""
        return files_sha256(self.recipe.teachers)

    @torch.no_grad()
    def see(self, images: Tensor) -> SeenByTeachers:
        """Ask the teachers about the very images that the student sees, (B, 3, H, W)."""
        logits = []
        with tapped(self.teachers[0].network, self._teacher_taps) as hidden:
            for teacher in self.teachers:
                logits.append(teacher.see(images, self.description.image))
        if not self._columns:
            return SeenByTeachers(None, dict(hidden))
        ours = [one[:, columns] for one, columns in zip(logits, self._columns, strict=True)]
        return SeenByTeachers(mean_answer(ours, self.recipe.temperature), dict(hidden))

    def answer_loss(self, logits: Tensor, seen: SeenByTeachers) -> Tensor:
        """How far the student's scores (B, K) are from the teachers' answer; 0 where it does not count."""
        if seen.answer is None:
            return logits.new_zeros((), dtype=torch.float32)
        if self.recipe.answer == "hard":
            return hard_label_loss(logits, seen.answer)
        return softened_kl(logits, seen.answer, self.recipe.temperature)

    def inside(self, hidden: Mapping[str, Tensor], seen: SeenByTeachers) -> dict[str, Tensor]:
        """The losses of hidden states and relations, by their keys in the recipe, without their weights.

        Args:
            hidden: outputs of the student's blocks, by the names in :attr:`taps`.
        """
        found: dict[str, Tensor] = {}
        if not self.taps:
            return found
        first = self.teachers[0].network
        mine = [_as_map(hidden[name], self._student) for name in self.taps]
        theirs = [
            F.adaptive_avg_pool2d(_as_map(seen.hidden[name], first).float(), (x.shape[2], x.shape[3]))
            for name, x in zip(self._teacher_taps, mine, strict=True)
        ]
        if self.recipe.hidden:
            rows = self.networks["projections"]([x.permute(0, 2, 3, 1) for x in mine])
            each = [hint_loss(a, b.permute(0, 2, 3, 1)) for a, b in zip(rows, theirs, strict=True)]
            found["hidden"] = torch.stack(each).mean()
        if self.recipe.relation:
            each = [similarity_loss(a, b) for a, b in zip(mine, theirs, strict=True)]
            found["relation"] = torch.stack(each).mean()
        return found
