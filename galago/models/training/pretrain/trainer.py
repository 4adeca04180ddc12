"""Pre-trains a network on raw samples: what a step's losses are, and how well held-out sound is told."""

from __future__ import annotations

import json
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from galago.models.training.checkpoints import CheckpointError, save_atomically
from galago.models.training.loop import Run
from galago.models.training.plots import Panel
from galago.models.training.pretrain.checkpoint import HEAD, ROLE, differing_fields, load_pretrained
from galago.models.training.pretrain.clusters import cluster_labels
from galago.models.training.pretrain.contrastive import ContrastivePretraining
from galago.models.training.pretrain.masked_prediction import MaskedPrediction
from galago.models.training.pretrain.recipe import PretrainingRecipe, pretrained_config
from galago.models.training.pretrain.sound import LoadedSound, SoundBatch, SoundBatches
from galago.models.training.task import NetworkLosses, Row, Task, moved
from galago.models.wav2vec2 import Wav2Vec2
from galago.models.wav2vec2_ear import Wav2Vec2EarConfig

__all__ = ["PretrainingTask", "pretrain"]

EVALUATION_CHUNK_MS = 320
DEV_CLIPS_PER_CORPUS = 24


class Objective(ABC, nn.Module):
    """A network and what hidden parts of a recording are asked. ``network`` is what is exported."""

    network: Wav2Vec2

    @abstractmethod
    def scalars(self, batch: SoundBatch, chunk_tokens: int, progress: float) -> dict[str, Tensor]:
        """The losses of a batch; ``total`` is the one that teaches. ``progress`` goes from 0 to 1."""


class HubertObjective(Objective):
    """Which cluster? See :class:`MaskedPrediction`."""

    def __init__(self, network: Wav2Vec2, recipe: PretrainingRecipe) -> None:
        super().__init__()
        self.network = network
        clusters = recipe.clusters
        self.prediction = MaskedPrediction(
            network,
            clusters.num_clusters,
            code_width=clusters.code_width,
            temperature=clusters.temperature,
            unmasked_weight=clusters.unmasked_weight,
        )

    def scalars(self, batch: SoundBatch, chunk_tokens: int, progress: float) -> dict[str, Tensor]:
        assert batch.targets is not None
        found = self.prediction(
            batch.samples, batch.num_samples, batch.is_masked, batch.targets, chunk_tokens=chunk_tokens
        )
        scalars: dict[str, Tensor] = found._asdict()
        return scalars


class Wav2Vec2Objective(Objective):
    """Which code? See :class:`ContrastivePretraining`; losses are a masked token's."""

    def __init__(self, network: Wav2Vec2, recipe: PretrainingRecipe) -> None:
        super().__init__()
        self.network = network
        chosen = recipe.contrastive
        self.temperature = chosen.gumbel_temperature
        self.contrast = ContrastivePretraining(
            network,
            num_codebooks=chosen.num_codebooks,
            num_entries=chosen.num_entries,
            code_width=chosen.code_width,
            projection_width=chosen.projection_width,
            kappa=chosen.kappa,
            diversity=chosen.diversity,
        )

    def scalars(self, batch: SoundBatch, chunk_tokens: int, progress: float) -> dict[str, Tensor]:
        assert batch.negatives is not None
        first, last = self.temperature
        found = self.contrast(
            batch.samples,
            batch.num_samples,
            batch.is_masked,
            batch.negatives,
            temperature=first * (last / first) ** progress,
            chunk_tokens=chunk_tokens,
        )
        masked = found.num_masked.clamp_min(1)
        return {
            "total": found.total / masked,
            "contrastive": found.contrastive / masked,
            "diversity": found.diversity / masked,
            "masked_accuracy": found.accuracy,
            "perplexity": found.perplexity,
        }


class PretrainingTask(Task):
    """See :class:`galago.models.training.task.Task`.

    ``begin`` raises CheckpointError where the recipe's initial weights are damaged or of another shape.
    """

    max_gradient_norm = 2.0
    rate_unit = "x real time"
    panels = (
        Panel("loss", ("total", "masked", "unmasked", "contrastive", "diversity", "dev_total")),
        Panel("right, of tokens", ("masked_accuracy", "unmasked_accuracy", "dev_masked_accuracy")),
        Panel("perplexity of what is told", ("perplexity", "dev_perplexity")),
        Panel("learning rate", ("learning_rate",), is_smoothed=False),
    )

    def __init__(
        self,
        recipe: PretrainingRecipe,
        data: SoundBatches,
        dev: Sequence[SoundBatch] = (),
        *,
        device: str = "cpu",
    ) -> None:
        """``dev`` has batches of held-out recordings; see :meth:`SoundBatches.plain_batches`."""
        self.recipe, self.dev, self.device = recipe, dev, torch.device(device)
        self.name, self.schedule, self.batches = recipe.name, recipe.schedule, data
        torch.manual_seed(recipe.schedule.seed)
        self.config = pretrained_config(recipe)
        network = Wav2Vec2(self.config)
        kind = HubertObjective if recipe.objective == "hubert" else Wav2Vec2Objective
        self.model = kind(network, recipe).to(self.device)
        self.networks: dict[str, nn.Module] = {"model": self.model}

    def begin(self) -> None:
        """Another pre-training's averaged weights, where the recipe says so."""
        if self.recipe.initial_weights is None:
            return
        path = Path(self.recipe.initial_weights)
        network = load_pretrained(path)
        assert isinstance(network.config, Wav2Vec2EarConfig)
        differing = differing_fields(network.config, self.config)
        if differing:
            raise CheckpointError(f"{path}: holds a network of another shape: {'; '.join(differing)}")
        self.model.network.load_state_dict(network.state_dict())

    def identity(self) -> dict[str, Any]:
        """The network, the objective with its table, the seed and the recipe's name."""
        recipe = self.recipe
        table = recipe.clusters if recipe.objective == "hubert" else recipe.contrastive
        return {
            "network": self.config.as_dict(),
            "objective": recipe.objective,
            recipe.objective: asdict(table),
            "seed": recipe.schedule.seed,
            "name": recipe.name,
        }

    def amount(self, batch: SoundBatch) -> float:
        """Seconds of sound, padding included."""
        return batch.duration_s

    def _chunk_tokens(self, batch: SoundBatch, step: int) -> int:
        """The chunk of this step; the full context is one chunk of everything, as an ear has it."""
        schedule = self.recipe.schedule
        rng = random.Random(schedule.seed * 1_000_003 + step)
        if rng.random() < schedule.full_context_probability:
            return batch.is_masked.shape[1] + self.config.position_lookahead_tokens
        return rng.choice(schedule.chunk_tokens)

    def _scalars(
        self, model: Objective, batch: SoundBatch, chunk_tokens: int, step: int
    ) -> dict[str, Tensor]:
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            return model.scalars(batch, chunk_tokens, step / self.schedule.num_steps)

    def losses(self, batch: SoundBatch, step: int) -> NetworkLosses:
        """Those of the objective."""
        scalars = self._scalars(self.model, batch, self._chunk_tokens(batch, step), step)
        yield "model", scalars["total"], scalars

    def evaluate(self, model: nn.Module, samples: Path) -> Row:
        """Loss, accuracy and perplexity on held-out recordings in chunks, the mean over masked tokens."""
        assert isinstance(model, Objective)
        chunk_tokens = max(1, EVALUATION_CHUNK_MS * 16 // model.network.samples_per_token)
        sums: dict[str, float] = {}
        total = 0.0
        for batch in self.dev:
            batch = moved(batch, self.device)
            weight = float(batch.is_masked.sum())
            found = self._scalars(model, batch, chunk_tokens, self.schedule.num_steps)
            for name in ("total", "masked_accuracy", "perplexity"):
                sums[name] = sums.get(name, 0.0) + weight * float(found[name])
            total += weight
        return {f"dev_{name}": value / total for name, value in sums.items() if total}

    def export(self, model: nn.Module, step: int, path: Path) -> None:
        """A ``model.pt`` that :func:`load_pretrained` reads and an ear begins with: the network alone."""
        assert isinstance(model, Objective)
        weights = model.network.state_dict()
        stored = {
            "role": ROLE,
            "family": "wav2vec2",
            "config": self.config.as_dict(),
            "model": {name: value for name, value in weights.items() if not name.startswith(HEAD)},
            "step": step,
            "recipe": json.dumps(asdict(self.recipe)),
        }
        save_atomically(stored, path)


def pretrain(
    recipe: PretrainingRecipe,
    sound: LoadedSound,
    folder: Path,
    *,
    cache: Path,
    device: str = "cpu",
    num_workers: int = 1,
    should_stop: Callable[[], bool] = lambda: False,
) -> Run[PretrainingTask]:
    """Train ``recipe`` into ``folder`` (resuming what is there), where its ``model.pt`` then stands.

    Args:
        sound: what :func:`~galago.models.training.pretrain.sound.load_recordings` gives for ``recipe``.
        cache: where decoded corpora are kept.

    Raises:
        TrainingError: recipe, corpora, checkpoints or the run are at fault; the message says how.
        OSError: nothing can be written.
    """
    learned, held_out, noise = sound
    front_end = pretrained_config(recipe).front_end
    labels = None
    if recipe.objective == "hubert":
        labels = cluster_labels(
            recipe.clusters,
            [*learned, *held_out],
            front_end=front_end,
            seed=recipe.schedule.seed,
            path=folder / "clusters.npz",
            name=recipe.name,
        )
    data = SoundBatches(
        recipe, learned, noise, samples_per_token=front_end.hop_samples, labels=labels, cache=cache
    )
    dev = data.plain_batches(held_out, DEV_CLIPS_PER_CORPUS)
    run = Run(PretrainingTask(recipe, data, dev, device=device), folder)
    run.train(num_workers=num_workers, should_stop=should_stop)
    return run
