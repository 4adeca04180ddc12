"""An ear learns from teachers: the losses of ``[distillation]`` beside those of the labels.

samples ──► teachers, full context, no masks ──► answers, hidden states ─┐
features ──► student, a stream's masks, SpecAugment ──► answers, hidden ─┴─► losses
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from galago.models.ear import Ear, EarOutput
from galago.models.training.distill.alignment import (
    delayed_kl,
    guided_loss,
    means_on_tokens,
    rows_exist,
    sampled_labels,
    sequence_loss,
    spikes_on_tokens,
)
from galago.models.training.distill.layers import LayerMap, Projections, block_names, layer_pairs
from galago.models.training.distill.losses import hint_loss, relation_loss, softened_kl
from galago.models.training.ear.batches import Batch
from galago.models.training.ear.recipe import EarDistillationRecipe
from galago.models.training.ear.teacher import Taught
from galago.models.training.ear.teachers import clock_of, load_teacher, lookahead_of
from galago.models.training.toml_tables import RecipeError

__all__ = ["Distilled", "EarDistillation", "Heard", "mean_of_views"]

RELATED = ("query", "key", "value")


class Distilled(NamedTuple):
    """The weighted sum of a step, each loss by itself, and what the projections are trained by (or None)."""

    total: Tensor
    scalars: dict[str, Tensor]
    projections: Tensor | None


def mean_of_views(views: Sequence[Distilled]) -> Distilled:
    """What is to be learned from several views of a batch by the same teachers."""
    regressed = [view.projections for view in views if view.projections is not None]
    return Distilled(
        torch.stack([view.total for view in views]).mean(),
        {name: torch.stack([v.scalars[name] for v in views]).mean() for name in views[0].scalars},
        torch.stack(regressed).mean() if regressed else None,
    )


class Heard(NamedTuple):
    """One teacher's answer, and its hidden states; rows stand on the student's tokens by ``table``."""

    taught: Taught
    hidden: Mapping[str, Tensor]
    table: Tensor


class EarDistillation:
    """Teachers of one student, and the losses between them.

    Attributes:
        networks: what is trained beside the student: the projections of hidden states, where they count.
        taps: names of the student's submodules whose outputs :meth:`losses` wants.

    Raises:
        CheckpointError: a teacher's file is damaged or it cannot teach an ear.
        RecipeError: the teachers cannot give what the recipe asks for.
    """

    def __init__(self, recipe: EarDistillationRecipe, student: Ear, device: torch.device, where: str) -> None:
        """``where`` is how messages name the table."""
        self.recipe, self.device = recipe, device
        self.teachers = [load_teacher(Path(path), device) for path in recipe.teachers]
        self._clock, self._student = clock_of(student), student
        self._refuse(student, where)
        self.networks: dict[str, nn.Module] = {}
        first = self.teachers[0]
        pairs: LayerMap = ()
        ours, theirs = block_names(student), first.blocks
        if recipe.hidden or recipe.relation:
            pairs = layer_pairs(recipe.layer_map, len(ours), len(theirs), f"{where}.layer_map")
        if recipe.hidden:
            widths = [(student.config.width, first.width) for _ in pairs]
            self.networks["projections"] = Projections(widths).to(device)
        #: Names of the blocks that belong together, (student, first teacher).
        self._pairs = [(ours[student - 1], theirs[teacher - 1]) for student, teacher in pairs]
        self.taps = self._names([block for block, _ in self._pairs])
        self._teacher_taps = self._names([block for _, block in self._pairs])

    def _refuse(self, student: Ear, where: str) -> None:
        recipe, first = self.recipe, self.teachers[0]
        for teacher in self.teachers:
            if recipe.phones and not teacher.has_phones:
                raise RecipeError(f"{where}.phones: {teacher.name} has no phones to teach; set it to 0")
            for key in ("tokens", "guided", "sequence"):
                if getattr(recipe, key) and not teacher.has_tokens:
                    raise RecipeError(
                        f"{where}.{key}: {teacher.name} has no characters to teach; set it to 0"
                    )
            if recipe.relation and teacher.attention_width is None:
                raise RecipeError(
                    f"{where}.relation: {teacher.name} shows no queries, keys and values; set it to 0"
                )
            if teacher.clock.step_samples > self._clock.step_samples:
                raise RecipeError(
                    f"{where}.teachers: {teacher.name} has a row every {teacher.clock.step_samples} samples, "
                    f"which is too few for a student with one every {self._clock.step_samples}"
                )
        if (recipe.hidden or recipe.relation) and len(self.teachers) > 1:
            raise RecipeError(
                f"{where}: hidden states and relations are learned from one teacher, and there are "
                f"{len(self.teachers)}"
            )
        ours = getattr(student.config, "attention_width", student.config.width)
        for who, width in (("the student", ours), (first.name, first.attention_width)):
            if recipe.relation and width is not None and width % recipe.relation_heads:
                raise RecipeError(
                    f"{where}.relation_heads: {recipe.relation_heads} do not divide the width {width} "
                    f"of {who}"
                )

    def _names(self, blocks: list[str]) -> list[str]:
        """What is tapped of these blocks."""
        names = list(blocks) if self.recipe.hidden else []
        if self.recipe.relation:
            names += [f"{block}.attention.{kind}" for block in blocks for kind in RELATED]
        return names

    @torch.no_grad()
    def hear(self, batch: Batch) -> list[Heard]:
        """What each teacher says of a batch with samples; all views of the batch learn from it."""
        assert batch.samples is not None and batch.num_samples is not None
        num_tokens = batch.phone_frames.shape[1]
        heard = []
        for teacher in self.teachers:
            with torch.autocast(self.device.type, dtype=torch.bfloat16):
                taught = teacher.hear(batch.samples, batch.num_samples, self._teacher_taps)
            states = _undelayed(taught.hidden, teacher.lookahead_tokens)
            heard.append(Heard(taught, states, self._clock.rows_of(num_tokens, teacher.clock)))
        return heard

    def losses(self, output: EarOutput, hidden: Mapping[str, Tensor], heard: list[Heard]) -> Distilled:
        """What the student still has to learn from its teachers, of one view of a batch.

        Args:
            output, hidden: the student's, the latter by the names in :attr:`taps`.
            heard: of :meth:`hear`.
        """
        recipe = self.recipe
        hidden = _undelayed(hidden, lookahead_of(self._student))
        found: dict[str, Tensor] = {}
        valid, tokens, phones = self._on_tokens(heard, output)
        if recipe.phones:
            found["phones"] = softened_kl(output.phone_logits, phones, recipe.temperature, valid)
        if recipe.tokens:
            delayed = delayed_kl(
                output.token_logits,
                tokens,
                valid,
                temperature=recipe.temperature,
                max_delay_tokens=recipe.max_delay_tokens,
            )
            found["tokens"] = delayed.loss
        if recipe.guided:
            found["guided"] = guided_loss(
                output.token_logits, tokens, valid, max_delay_tokens=recipe.max_delay_tokens
            )
        if recipe.sequence:
            found["sequence"] = torch.stack([self._sequence(one.taught, output) for one in heard]).mean()
        if recipe.hidden:
            found["hidden"] = self._hidden(heard[0], hidden, valid)
        if recipe.relation:
            found["relation"] = self._relation(heard[0], hidden, valid)
        total = torch.stack([getattr(recipe, name) * loss for name, loss in found.items()]).sum()
        scalars = {f"taught_{name}": loss for name, loss in found.items()}
        if recipe.tokens:
            scalars["delay_tokens"] = delayed.delay_tokens
        regressed = None
        if recipe.hidden:
            still = {name: value.detach() for name, value in hidden.items()}
            regressed = self._hidden(heard[0], still, valid)
        return Distilled(total, scalars, regressed)

    def _on_tokens(self, heard: list[Heard], output: EarOutput) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens that all have heard (B, T), and the mean of the teachers' softened answers on them.

        Answers that nobody asks for are empty.
        """
        recipe, T = self.recipe, output.token_logits.shape[1]
        valid = torch.arange(T, device=self.device)[None] < output.num_tokens[:, None]
        tokens, phones = [], []
        for taught, _, table in heard:
            valid = valid & rows_exist(table, taught.num_rows)
            if taught.token_logits is not None and (recipe.tokens or recipe.guided):
                probs = torch.softmax(taught.token_logits.float() / recipe.temperature, dim=-1)
                tokens.append(spikes_on_tokens(probs, table, taught.num_rows))
            if taught.phone_logits is not None and recipe.phones:
                probs = torch.softmax(taught.phone_logits.float() / recipe.temperature, dim=-1)
                phones.append(means_on_tokens(probs, table, taught.num_rows))

        def mean(answers: list[Tensor]) -> Tensor:
            return torch.stack(answers).mean(dim=0) if answers else output.token_logits.new_zeros(0)

        return valid, mean(tokens), mean(phones)

    @staticmethod
    def _sequence(taught: Taught, output: EarOutput) -> Tensor:
        assert taught.token_logits is not None
        labels, num_labels = sampled_labels(torch.softmax(taught.token_logits.float(), -1), taught.num_rows)
        return sequence_loss(output.token_logits, output.num_tokens, labels, num_labels)

    def _hidden(self, heard: Heard, hidden: Mapping[str, Tensor], valid: Tensor) -> Tensor:
        ours = self.networks["projections"]([hidden[mine] for mine, _ in self._pairs])
        each = [
            hint_loss(mine, self._placed(heard, theirs), valid, norm=self.recipe.hidden_norm)
            for mine, (_, theirs) in zip(ours, self._pairs, strict=True)
        ]
        return torch.stack(each).mean()

    def _relation(self, heard: Heard, hidden: Mapping[str, Tensor], valid: Tensor) -> Tensor:
        each = [
            relation_loss(
                hidden[f"{mine}.attention.{kind}"],
                self._placed(heard, f"{theirs}.attention.{kind}"),
                valid,
                self.recipe.relation_heads,
            )
            for mine, theirs in self._pairs
            for kind in RELATED
        ]
        return torch.stack(each).mean()

    @staticmethod
    def _placed(heard: Heard, name: str) -> Tensor:
        return means_on_tokens(heard.hidden[name].float(), heard.table, heard.taught.num_rows)


def _undelayed(hidden: Mapping[str, Tensor], delay_tokens: int) -> dict[str, Tensor]:
    """States whose row j belongs to token j; behind a lookahead of L tokens it would belong to j - L."""
    return {name: value[:, delay_tokens:] for name, value in hidden.items()}
