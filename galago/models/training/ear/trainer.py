"""Trains an ear: what a step's losses are, and how well held-out clips are heard."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from galago.models.checkpoint import load_network
from galago.models.conformer import Conformer, EarOutput
from galago.models.fake_quantization import load_plain_state, plain_state, stored_scales
from galago.models.moonshine import MoonshineEncoder
from galago.models.moonshine_ear import MoonshineEar
from galago.models.tokenizer import greedy_text
from galago.models.training.checkpoints import CheckpointError, files_sha256, load, save_atomically
from galago.models.training.distill.layers import tapped
from galago.models.training.distill.pruning import Judged, begin_as_part
from galago.models.training.distill.recipe import PruningRecipe
from galago.models.training.ear.batches import IGNORED, Batch, BatchMaker
from galago.models.training.ear.checkpoint import (
    EarNetwork,
    build_ear,
    family_of,
    load_conformer,
    load_model,
)
from galago.models.training.ear.distillation import EarDistillation, mean_of_views
from galago.models.training.ear.losses import Losses, disagreement, losses
from galago.models.training.ear.recipe import Recipe, network_config
from galago.models.training.ear.writing import begin_decoder, piece_loss
from galago.models.training.loop import Run
from galago.models.training.options import say
from galago.models.training.plots import Panel
from galago.models.training.pretrain.checkpoint import begin_pretrained, differing_fields, is_pretrained
from galago.models.training.quantization_aware import begin_quantization_aware, follow_ranges
from galago.models.training.task import NetworkLosses, Row, Task, moved
from galago.models.training.toml_tables import RecipeError
from galago.models.wav2vec2_ear import Wav2Vec2Ear
from galago.runtime.language.letter_to_sound import edit_distance

__all__ = ["EarTask", "dev_batches", "load_model", "run_identity", "train"]

EVALUATION_CHUNK_MS = 320
IN_FLOAT = (r".*\.attention\.position",)  # projected positions are constants of a graph
DISTILLATION_PANELS = (
    Panel(
        "what teachers say of it", tuple(f"taught_{n}" for n in ("phones", "tokens", "guided", "sequence"))
    ),
    Panel("inside", ("taught_hidden", "taught_relation")),
    Panel("delay behind the teachers, in tokens", ("delay_tokens",)),
)


class EarTask(Task):
    """See :class:`galago.models.training.task.Task`.

    ``begin`` raises CheckpointError where the recipe's initial weights are damaged or of another shape.

    Raises:
        CheckpointError, RecipeError: see :class:`EarDistillation`, where the recipe has teachers.
    """

    max_gradient_norm = 2.0
    rate_unit = "x real time"
    panels: tuple[Panel, ...] = (
        Panel("loss", ("phone_frames", "phone_ctc", "token_ctc")),
        Panel("how far two views are apart", ("phones_apart", "tokens_apart")),
        Panel("next piece of a text", ("pieces", "piece_accuracy")),
        Panel("phones right, of tokens", ("phone_accuracy", "dev_phone_accuracy")),
        Panel("greedy word error rate on dev clips, 320 ms chunks", ("dev_wer",)),
        Panel("learning rate", ("learning_rate",), is_smoothed=False),
    )

    def __init__(
        self,
        recipe: Recipe,
        data: BatchMaker,
        dev: Sequence[tuple[Batch, list[str]]] = (),
        *,
        device: str = "cpu",
    ) -> None:
        """``dev`` has batches of held-out clips and their texts, as :func:`dev_batches` makes them."""
        self.recipe, self.data, self.dev, self.device = recipe, data, dev, torch.device(device)
        self.name, self.schedule, self.batches = recipe.name, recipe.schedule, data
        torch.manual_seed(recipe.schedule.seed)
        self.config = network_config(recipe)
        self.model = build_ear(self.config).to(self.device)
        if recipe.quantization_aware is not None:
            where = f"{recipe.name}.quantization_aware"
            begin_quantization_aware(
                self.model, recipe.quantization_aware, _hear_silence, in_float=IN_FLOAT, where=where
            )
        self.networks: dict[str, nn.Module] = {"model": self.model}
        self.distillation: EarDistillation | None = None
        if recipe.distillation is not None:
            where = f"{recipe.name}.distillation"
            self.distillation = EarDistillation(recipe.distillation, self.model, self.device, where)
            self.networks |= self.distillation.networks
            self.panels = (*self.panels, *DISTILLATION_PANELS)

    def begin(self) -> None:
        """Another run's averaged weights, or a part of them, where the recipe says so; else mean and
        deviation of the data.
        """
        recipe = self.recipe
        if recipe.initial_weights is not None:
            told = self._take_initial(recipe.initial_weights)
            if told:
                say(f"begins with {told}")
        elif recipe.pruning is not None:
            self._begin_as_part(recipe.pruning)
        else:
            self._measure_features()

    def _take_initial(self, weights: str) -> str:
        """The weights that the recipe names; answers what they are, if they are no ear's."""
        told = self._begin_with(Path(weights))
        if self.recipe.initial_decoder is not None:
            assert isinstance(self.model, MoonshineEar)  # no other has decoder_blocks
            begin_decoder(self.model, Path(self.recipe.initial_decoder))
        return told

    @property
    def _writer(self) -> MoonshineEar | None:
        """The ear, if it has a decoder."""
        model = self.model
        return model if isinstance(model, MoonshineEar) and model.decoder is not None else None

    def _begin_with(self, path: Path) -> str:
        """Begin with another run's ear, or with a pre-trained network and new heads."""
        stored = load(path)
        if stored.get("role") == "moonshine":
            return self._begin_imported(path)
        if not is_pretrained(stored):
            self._take_over(load_model(path).state_dict(), path)
            return ""
        if not isinstance(self.model, Wav2Vec2Ear):
            raise RecipeError(
                f"{self.recipe.name}.initial_weights: {path} is a pre-trained network on samples; "
                'network.family must be "wav2vec2"'
            )
        return begin_pretrained(self.model, stored, path)

    def _begin_imported(self, path: Path) -> str:
        """Begin with a published encoder and new heads."""
        if not isinstance(self.model, MoonshineEar):
            where = f"{self.recipe.name}.initial_weights"
            raise RecipeError(f'{where}: {path} is Moonshine\'s encoder; network.family must be "moonshine"')
        imported = load_network(path)
        assert isinstance(imported.network, MoonshineEncoder)
        differing = differing_fields(imported.network.config, self.model.config)
        if differing:
            raise CheckpointError(f"{path}: holds a network of another shape: {'; '.join(differing)}")
        self.model.encoder.load_state_dict(imported.network.state_dict())
        return f"{imported.source['architecture']}'s encoder of {path}"

    def _take_over(self, weights: dict[str, Tensor], path: Path) -> None:
        """Begin with weights of ``path``; a lookahead that they lack begins as a pure delay."""
        if isinstance(self.model, Conformer) and self.model.lookahead is not None:
            for name, value in self.model.lookahead.state_dict(prefix="lookahead.").items():
                weights.setdefault(name, torch.zeros_like(value))
        try:
            load_plain_state(self.model, weights)
        except RuntimeError as error:
            raise CheckpointError(f"{path}: holds a network of another shape: {error}") from error

    def _begin_as_part(self, pruning: PruningRecipe) -> None:
        """Take over some blocks and heads of another run; heads are judged by its own losses."""
        path, where = Path(pruning.weights), f"{self.recipe.name}.pruning"
        if not isinstance(self.model, Conformer):
            raise RecipeError(f"{where}: only a Conformer can begin as a part of another")
        source = load_conformer(path).to(self.device)

        def judged(batch: Batch) -> Judged:
            output = source(batch.features, batch.num_frames)
            return Judged(losses(output, batch, self.recipe.loss).total, len(batch.num_frames))

        first = self.recipe.schedule.clean_steps
        batches = (moved(self.data[first + i], self.device) for i in range(pruning.importance_batches))
        self._take_over(begin_as_part(self.model, source, pruning, where, batches, judged), path)

    def _measure_features(self) -> None:
        """Let the network know a few hundred seconds of augmented training data."""
        batches = [self.data[self.recipe.schedule.clean_steps + i] for i in range(4)]
        frames = torch.cat(
            [b.features[i, : b.num_frames[i]] for b in batches for i in range(len(b.num_frames))]
        )
        self.model.know_data(frames)

    def identity(self) -> dict[str, Any]:
        return run_identity(self.recipe)

    def amount(self, batch: Batch) -> float:
        """Seconds of sound, padding included."""
        return batch.duration_s

    def _chunks(self, step: int) -> tuple[int | None, int | None]:
        """Tokens a chunk of this step, None for the full context: of the utterances, and of their twins."""
        schedule = self.recipe.schedule
        rng = random.Random(schedule.seed * 1_000_003 + step)

        def drawn(full_context_probability: float) -> int | None:
            if step < schedule.clean_steps or rng.random() < full_context_probability:
                return None
            return rng.choice(schedule.chunk_tokens)

        return drawn(schedule.full_context_probability), drawn(0.5)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def _choose_learners(self, step: int) -> None:
        """New heads learn alone at first: what they are taught at random would spoil what stands below them
        (Baevski et al. 2020, section 4.3, where these are 10,000 steps).
        """
        if isinstance(self.model, Conformer) or self.recipe.initial_weights is None:
            return
        heads = {id(p) for head in self.model.heads for p in head.parameters()}
        for parameter in self.model.parameters():
            parameter.requires_grad_(step >= self.recipe.schedule.head_steps or id(parameter) in heads)

    def losses(self, batch: Batch, step: int) -> NetworkLosses:
        """Of one view of the utterances, or the mean of two views with how far they are apart.

        Teachers are asked once, and every view learns from them.
        """
        follow_ranges(self.model, self.recipe.quantization_aware, step)
        self._choose_learners(step)
        chunk, twin_chunk = self._chunks(step)
        output, hidden = self._heard(batch.features, batch, chunk)
        views = [(output, hidden)]
        found = losses(output, batch, self.recipe.loss)
        total, scalars = found.total, found._asdict()
        if batch.twin is not None:
            views.append(self._heard(batch.twin, batch, twin_chunk))
            total, scalars = self._with_twin(found, output, batch, views[1][0])
        if self._writer is not None and step >= self.recipe.schedule.head_steps:
            with self._autocast():
                written = piece_loss(self._writer, output, batch)
            total = total + self.recipe.loss.pieces * written["pieces"]
            scalars = {**scalars, **written, "total": total}
        if self.distillation is None:
            yield "model", total, scalars
            return
        heard = self.distillation.hear(batch)
        distilled = mean_of_views([self.distillation.losses(*view, heard) for view in views])
        total = self.distillation.recipe.supervised * total + distilled.total
        yield "model", total, {**scalars, **distilled.scalars, "total": total}
        if distilled.projections is not None:
            yield "projections", distilled.projections, {}

    def _heard(
        self, features: Tensor, batch: Batch, chunk_tokens: int | None
    ) -> tuple[EarOutput, Mapping[str, Tensor]]:
        """The student's answer to one view of a batch, and what its teachers want to see of it."""
        taps = self.distillation.taps if self.distillation else ()
        with self._autocast(), tapped(self.model, taps) as hidden:
            output = self.model(features, batch.num_frames, chunk_tokens=chunk_tokens)
        return output, hidden

    def _with_twin(
        self, found: Losses, output: EarOutput, batch: Batch, twin: EarOutput
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Total and scalars of two views, of which ``found`` and ``output`` are the first one's."""
        weights = self.recipe.loss
        of_twin = losses(twin, batch, weights)
        found = Losses(*((a + b) / 2 for a, b in zip(found, of_twin, strict=True)))
        views = disagreement(output, twin, batch)
        total = found.total + weights.consistency * (
            weights.phone_ctc * views.phones + weights.token_ctc * views.tokens
        )
        apart = {f"{name}_apart": value for name, value in views._asdict().items()}
        return total, {**found._replace(total=total)._asdict(), **apart}

    def evaluate(self, model: nn.Module, samples: Path) -> Row:
        """Frame accuracy of the phones, where any are known, and greedy WER of the text, in chunks."""
        errors = num_words = 0
        correct = known = 0.0
        step = self.model.chunk_step_tokens
        chunk_tokens = EVALUATION_CHUNK_MS // self.data.front_end.token_ms // step * step
        if self._writer is not None:  # it is for second passes, whose chunks are long
            chunk_tokens = self.recipe.schedule.chunk_tokens[0]
        for batch, texts in self.dev:
            batch = moved(batch, self.device)
            with self._autocast():
                output = model(batch.features, batch.num_frames, chunk_tokens=chunk_tokens)
            mask = batch.phone_frames != IGNORED
            correct += float(((output.phone_logits.argmax(-1) == batch.phone_frames) & mask).sum())
            known += float(mask.sum())
            for heard, text in zip(self._texts(model, output, chunk_tokens), texts, strict=True):
                reference = text.split()
                errors += edit_distance(reference, heard.split())
                num_words += len(reference)
        measures: Row = {}
        if known:
            measures["dev_phone_accuracy"] = correct / known
        if num_words:
            measures["dev_wer"] = errors / num_words
        return measures

    def _texts(self, model: nn.Module, output: EarOutput, chunk_tokens: int) -> list[str]:
        """What the decoder writes, or without one the likeliest characters."""
        if isinstance(model, MoonshineEar) and model.decoder is not None:
            return model.written(output, chunk_tokens)
        best = zip(output.token_logits.argmax(-1), output.num_tokens, strict=True)
        return [greedy_text(row[: int(count)].tolist()) for row, count in best]

    def export(self, model: nn.Module, step: int, path: Path) -> None:
        """A ``model.pt`` that :func:`load_model` reads, with the recipe that a model card tells of."""
        stored = {
            "family": family_of(self.config),
            "config": self.config.as_dict(),
            "model": self._with_initial(model),
            **stored_scales(model),
            "step": step,
            "recipe": json.dumps(asdict(self.recipe)),
        }
        save_atomically(stored, path)

    def _with_initial(self, model: nn.Module) -> dict[str, Tensor]:
        """The weights of ``model``, and in them the recipe's share of those that the run began with."""
        share, weights = self.recipe.initial_share, self.recipe.initial_weights
        if share == 0.0 or weights is None:
            return plain_state(model)
        assert isinstance(model, EarNetwork)
        task = copy(self)  # of another network, which begins as this one did
        task.model = deepcopy(model)
        task._take_initial(weights)
        ended, begun = plain_state(model), plain_state(task.model)
        # A decoder was trained through four bits: a mean of two roundings is none.
        return {
            name: torch.lerp(value, begun[name], share)
            if value.is_floating_point() and not name.startswith("decoder.")
            else value
            for name, value in ended.items()
        }


def _hear_silence(model: nn.Module) -> None:
    assert isinstance(model, EarNetwork)
    front_end = model.front_end
    shape = (1, 4 * front_end.frames_per_token, front_end.values_per_frame)
    frames = next(model.parameters()).new_zeros(shape)
    model(frames, torch.tensor([shape[1]], device=frames.device))


def dev_batches(data: BatchMaker, *, clips_per_corpus: int = 24) -> list[tuple[Batch, list[str]]]:
    """A few held-out clips of every corpus that has a dev split, unaugmented, with their texts."""
    batches = []
    for part in data.parts:
        clips = [c for c in part.corpus.split("dev") if c.words][:clips_per_corpus]
        if clips:
            examples = [data.plain_example(part.source(clip)) for clip in clips]
            batches.append((data.collate(examples), [" ".join(c.words or []) for c in clips]))
    return batches


def run_identity(recipe: Recipe) -> dict[str, Any]:
    """What a checkpoint must agree with: network, seed, name; label minutes, integers, teachers' files.

    Raises:
        RecipeError: the network cannot be. OSError: a teacher's file cannot be read.
    """
    network = network_config(recipe).as_dict()
    who: dict[str, Any] = {"network": network, "seed": recipe.schedule.seed, "name": recipe.name}
    if recipe.label_minutes is not None:
        who["label_minutes"] = recipe.label_minutes
    if recipe.quantization_aware is not None:
        who["quantization_aware"] = asdict(recipe.quantization_aware)
    if recipe.distillation is not None:
        who["teachers"] = files_sha256(recipe.distillation.teachers)
    return who


def train(
    recipe: Recipe,
    folder: Path,
    *,
    root: Path,
    cache: Path,
    device: str = "cpu",
    num_workers: int = 1,
    should_stop: Callable[[], bool] = lambda: False,
) -> Run[EarTask]:
    """Train ``recipe`` into ``folder`` (resuming what is there), where its ``model.pt`` then stands.

    Args:
        root: what the recipe's paths are relative to. cache: where decoded corpora are kept.

    Raises:
        CorpusError, CheckpointError, TrainingDivergedError, OSError: as :class:`BatchMaker` and
            :class:`~galago.models.training.loop.Run` say.
    """
    data = BatchMaker(recipe, root, cache)
    run = Run(EarTask(recipe, data, dev_batches(data), device=device), folder)
    run.train(num_workers=num_workers, should_stop=should_stop)
    return run
