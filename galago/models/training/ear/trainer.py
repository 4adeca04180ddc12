"""The training loop: mixed precision, checkpoints, exact resume, progress, curves.

A run is a folder::

    checkpoint.pt   everything that a resumed run needs, written aside and renamed
    model.pt        the averaged weights and their configuration: what is exported and packed
    log.jsonl       a line a step and a line an evaluation
    curves.png      losses and accuracies over steps
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.conformer import Conformer, ConformerConfig, EarOutput
from galago.models.tokenizer import greedy_text
from galago.models.training.checkpoints import (
    CheckpointError,
    check_identity,
    load,
    rewind_log,
    save_atomically,
)
from galago.models.training.ear.batches import IGNORED, Batch, BatchMaker, collate
from galago.models.training.ear.recipe import LossRecipe, Recipe, network_config
from galago.models.training.errors import TrainingDivergedError
from galago.models.training.plots import Panel, save_curves
from galago.models.training.schedule import learning_rate

__all__ = [
    "Losses",
    "Trainer",
    "TrainingDivergedError",
    "load_model",
    "losses",
    "train",
]

PANELS = (
    Panel("loss", ("phone_frames", "phone_ctc", "token_ctc")),
    Panel("how far two views are apart", ("phones_apart", "tokens_apart")),
    Panel("phones right, of 40 ms tokens", ("phone_accuracy", "dev_phone_accuracy")),
    Panel("greedy word error rate on dev clips, 320 ms chunks", ("dev_wer",)),
    Panel("learning rate", ("learning_rate",), is_smoothed=False),
)


class Disagreement(NamedTuple):
    """How far two views of the same utterances are from each other, per label, as CTC is counted."""

    phones: Tensor
    tokens: Tensor


class Losses(NamedTuple):
    total: Tensor
    phone_frames: Tensor
    phone_ctc: Tensor
    token_ctc: Tensor
    phone_accuracy: Tensor  # of the aligned tokens, [0, 1]


def losses(output: EarOutput, batch: Batch, weights: LossRecipe) -> Losses:
    """Frame-wise cross-entropy and CTC of the phones, CTC of the tokens, and their weighted sum."""
    phone_logits, token_logits = output.phone_logits.float(), output.token_logits.float()
    targets = batch.phone_frames
    known = targets != IGNORED
    # A sum over a count that is never 0: in a batch where nothing is aligned, a mean would be NaN.
    each_frame = F.cross_entropy(
        phone_logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    phone_frames = each_frame / known.sum().clamp_min(1)
    accuracy = ((phone_logits.argmax(-1) == targets) & known).sum() / known.sum().clamp_min(1)

    def ctc(logits: Tensor, labels: Tensor, num_labels: Tensor, use: Tensor) -> Tensor:
        log_probs = torch.log_softmax(logits, dim=-1).transpose(0, 1)
        each = F.ctc_loss(
            log_probs, labels, output.num_tokens, num_labels, reduction="none", zero_infinity=True
        )
        # Per label, with a floor so that an utterance without labels (noise) still counts.
        return (each / num_labels.clamp_min(4) * use).sum() / use.sum().clamp_min(1)

    phone_ctc = ctc(phone_logits, batch.phones, batch.num_phones, batch.has_phones)
    token_ctc = ctc(token_logits, batch.tokens, batch.num_tokens, torch.ones_like(batch.has_phones))
    total = (
        weights.phone_frames * phone_frames + weights.phone_ctc * phone_ctc + weights.token_ctc * token_ctc
    )
    return Losses(total, phone_frames, phone_ctc, token_ctc, accuracy)


def disagreement(one: EarOutput, other: EarOutput, batch: Batch) -> Disagreement:
    """Consistency regularisation (Yao et al. 2024, "CR-CTC"): at each token, the mean of both directions of
    KL(target || answer), where the target is the other view's distribution and gets no gradient.
    Summed over tokens and divided by the labels, as the CTC losses are.

    Where one view hears the whole utterance and the other goes chunk by chunk, this is also dual-mode
    training (Yu et al. 2020): the streaming ear learns what the one that knows the future would say.
    """
    positions = torch.arange(one.token_logits.shape[1], device=one.num_tokens.device)
    valid = positions[None, :] < one.num_tokens[:, None]

    def apart(a: Tensor, b: Tensor) -> Tensor:
        log_a, log_b = torch.log_softmax(a.float(), -1), torch.log_softmax(b.float(), -1)
        target_a, target_b = log_a.detach(), log_b.detach()
        each = (target_a.exp() * (target_a - log_b) + target_b.exp() * (target_b - log_a)).sum(-1) / 2
        return ((each * valid).sum(-1) / batch.num_tokens.clamp_min(4)).mean()

    # The phones are compared in every utterance: no alignment is needed to agree.
    return Disagreement(
        apart(one.phone_logits, other.phone_logits), apart(one.token_logits, other.token_logits)
    )


def load_model(path: Path) -> Conformer:
    """The network stored in a run's ``model.pt``, in evaluation mode.

    Raises:
        CheckpointError: the file is damaged or holds no network.
    """
    stored = load(path)
    try:
        model = Conformer(ConformerConfig(**stored["config"]))
        model.load_state_dict(stored["model"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: holds no network of this version: {error}") from error
    return model.eval()


def _word_errors(reference: list[str], hypothesis: list[str]) -> int:
    row = list(range(len(hypothesis) + 1))
    for i, word in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(hypothesis, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1]


class Trainer:
    """One run in one folder, gone on with where it was left. :meth:`run` trains until the recipe's last step.

    Raises:
        CheckpointError: the folder's checkpoint is damaged or belongs to another recipe, or the recipe's
            initial weights are damaged or of another shape.
    """

    def __init__(self, recipe: Recipe, data: BatchMaker, folder: Path, *, device: str = "cpu") -> None:
        self.recipe, self.data, self.folder, self.device = recipe, data, folder, torch.device(device)
        self.folder.mkdir(parents=True, exist_ok=True)
        schedule = recipe.schedule
        torch.manual_seed(schedule.seed)
        self.config = network_config(recipe)
        self.model = Conformer(self.config).to(self.device)
        self.average = Conformer(self.config).to(self.device).eval()
        self.average.load_state_dict(self.model.state_dict())
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        plain = [p for p in self.model.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": schedule.weight_decay},
                {"params": plain, "weight_decay": 0.0},
            ],
            lr=schedule.peak_learning_rate,
            betas=(0.9, 0.98),
            fused=True,
        )
        self.step = 0
        self.history: list[dict[str, float]] = []
        if (self.folder / "checkpoint.pt").is_file():
            self._resume()
        elif recipe.initial_weights is not None:
            self._begin_with(Path(recipe.initial_weights))
        else:
            self._measure_features()

    def _begin_with(self, path: Path) -> None:
        """Take over another run's averaged weights; a lookahead that they lack begins as a pure delay."""
        weights = load_model(path).state_dict()
        if self.model.lookahead is not None:
            for name, value in self.model.lookahead.state_dict(prefix="lookahead.").items():
                weights.setdefault(name, torch.zeros_like(value))
        try:
            self.model.load_state_dict(weights)
        except RuntimeError as error:
            raise CheckpointError(f"{path}: holds a network of another shape: {error}") from error
        self.average.load_state_dict(self.model.state_dict())

    def _measure_features(self) -> None:
        """Mean and deviation of each mel band over a few hundred seconds of augmented training data."""
        batches = [self.data[self.recipe.schedule.clean_steps + i] for i in range(4)]
        frames = torch.cat(
            [b.features[i, : b.num_frames[i]] for b in batches for i in range(len(b.num_frames))]
        )
        for model in (self.model, self.average):
            model.mean.copy_(frames.mean(dim=0))
            model.std.copy_(frames.std(dim=0).clamp_min(0.1))

    def _identity(self) -> dict[str, Any]:
        return {"network": self.config.as_dict(), "seed": self.recipe.schedule.seed, "name": self.recipe.name}

    def _resume(self) -> None:
        path = self.folder / "checkpoint.pt"
        stored = load(path, self.device)
        check_identity(stored, self._identity(), path)
        self.model.load_state_dict(stored["model"])
        self.average.load_state_dict(stored["average"])
        self.optimizer.load_state_dict(stored["optimizer"])
        torch.set_rng_state(stored["rng"].cpu())
        if self.device.type == "cuda" and "cuda_rng" in stored:
            torch.cuda.set_rng_state(stored["cuda_rng"].cpu(), self.device)
        self.step = stored["step"]
        self.history = rewind_log(self.folder / "log.jsonl", self.step)

    def save(self) -> None:
        recipe = json.dumps(asdict(self.recipe))
        state = {
            "identity": json.dumps(self._identity()),
            "recipe": recipe,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": torch.get_rng_state(),
            "step": self.step,
        }
        if self.device.type == "cuda":  # dropout masks are drawn there
            state["cuda_rng"] = torch.cuda.get_rng_state(self.device)
        save_atomically(state, self.folder / "checkpoint.pt")
        save_atomically(
            {
                "config": self.config.as_dict(),
                "model": self.average.state_dict(),
                "step": self.step,
                "recipe": recipe,
            },
            self.folder / "model.pt",
        )

    def _chunks(self) -> tuple[int | None, int | None]:
        """Tokens a chunk of this step, None for the full context: of the utterances, and of their twins."""
        schedule = self.recipe.schedule
        rng = random.Random(schedule.seed * 1_000_003 + self.step)

        def drawn(full_context_probability: float) -> int | None:
            if self.step < schedule.clean_steps or rng.random() < full_context_probability:
                return None
            return rng.choice(schedule.chunk_tokens)

        return drawn(schedule.full_context_probability), drawn(0.5)

    def _moved(self, batch: Batch) -> Batch:
        moved = (v.to(self.device, non_blocking=True) if isinstance(v, Tensor) else v for v in batch)
        return Batch._make(moved)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def _train_step(self, batch: Batch) -> dict[str, float]:
        rate = learning_rate(self.recipe.schedule, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        weights = self.recipe.loss
        chunk, twin_chunk = self._chunks()
        with self._autocast():
            output = self.model(batch.features, batch.num_frames, chunk_tokens=chunk)
        found = losses(output, batch, weights)
        apart: dict[str, float] = {}
        if batch.twin is not None:
            with self._autocast():
                twin = self.model(batch.twin, batch.num_frames, chunk_tokens=twin_chunk)
            of_twin = losses(twin, batch, weights)
            found = Losses(*((a + b) / 2 for a, b in zip(found, of_twin, strict=True)))
            views = disagreement(output, twin, batch)
            total = found.total + weights.consistency * (
                weights.phone_ctc * views.phones + weights.token_ctc * views.tokens
            )
            found = found._replace(total=total)
            apart = {f"{name}_apart": float(value.detach()) for name, value in views._asdict().items()}
        if not math.isfinite(found.total.item()):
            raise TrainingDivergedError(
                f"{self.folder}: the loss of step {self.step} is {found.total.item()}; "
                "the last checkpoint is the last good state"
            )
        self.optimizer.zero_grad(set_to_none=True)
        found.total.backward()  # type: ignore[no-untyped-call]
        norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), 2.0))
        if not math.isfinite(norm):  # clipped by such a norm, every weight would become NaN, and be saved
            raise TrainingDivergedError(
                f"{self.folder}: the gradient of step {self.step} is {norm}; "
                "the last checkpoint is the last good state"
            )
        self.optimizer.step()
        decay = min(self.recipe.schedule.average_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for kept, new in zip(self.average.parameters(), self.model.parameters(), strict=True):
                kept.lerp_(new, 1.0 - decay)
        values = {name: float(value.detach()) for name, value in found._asdict().items()}
        return {**values, **apart, "learning_rate": rate, "gradient_norm": norm}

    @torch.no_grad()
    def evaluate(self, batches: list[tuple[Batch, list[str]]]) -> dict[str, float]:
        """Frame accuracy of the phones and greedy WER of the tokens: averaged weights, chunks of 8 tokens."""
        errors = num_words = 0
        correct = known = 0.0
        for batch, texts in batches:
            batch = self._moved(batch)
            with self._autocast():
                output = self.average(batch.features, batch.num_frames, chunk_tokens=8)
            mask = batch.phone_frames != IGNORED
            correct += float(((output.phone_logits.argmax(-1) == batch.phone_frames) & mask).sum())
            known += float(mask.sum())
            for row, count, text in zip(
                output.token_logits.argmax(-1), output.num_tokens, texts, strict=True
            ):
                reference = text.split()
                errors += _word_errors(reference, greedy_text(row[: int(count)].tolist()).split())
                num_words += len(reference)
        return {"dev_phone_accuracy": correct / max(1.0, known), "dev_wer": errors / max(1, num_words)}

    def run(
        self,
        dev: list[tuple[Batch, list[str]]],
        *,
        num_workers: int = 1,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Train to the last step, with progress on standard error.

        Args:
            dev: batches and texts for :meth:`evaluate`.
            num_workers: processes that make batches ahead; 0 makes them here.
            should_stop: asked after every step; where it says yes, a checkpoint is saved and the run ends.

        Raises:
            TrainingDivergedError: loss or gradient is no number.
            OSError: a checkpoint cannot be written; the one before it is whole.
        """
        from tqdm import tqdm

        schedule = self.recipe.schedule
        steps = range(self.step, schedule.num_steps)
        loader = torch.utils.data.DataLoader(
            self.data,
            batch_size=None,
            sampler=steps,
            num_workers=num_workers,
            prefetch_factor=4 if num_workers else None,
            multiprocessing_context="fork" if num_workers else None,
            pin_memory=self.device.type == "cuda",
            # A loader draws a seed when it starts; from torch's own generator, that would shift every dropout
            # mask of a resumed run. (Batches do not use it: each has a generator of its own.)
            generator=torch.Generator(),
        )
        began, heard_s = time.monotonic(), 0.0
        self.model.train()
        with tqdm(
            total=schedule.num_steps, initial=self.step, desc=self.recipe.name, unit="step"
        ) as progress:
            for batch in loader:
                batch = self._moved(batch)
                row = {"step": self.step, **self._train_step(batch)}
                self.step += 1
                heard_s += batch.duration_s
                if dev and self.step % schedule.evaluate_steps == 0:
                    row.update(self.evaluate(dev))
                    progress.write(f"step {self.step}: " + ", ".join(f"{k} {v:.3f}" for k, v in row.items()))
                self.history.append(row)
                with open(self.folder / "log.jsonl", "a", encoding="utf-8") as log:
                    log.write(json.dumps(row) + "\n")
                stopping = should_stop()
                if stopping or self.step % schedule.checkpoint_steps == 0 or self.step == schedule.num_steps:
                    self.save()
                    save_curves(self.history, PANELS, self.folder / "curves.png")
                rate = heard_s / (time.monotonic() - began)
                progress.set_postfix_str(
                    f"loss {row['total']:.2f} phones {row['phone_accuracy']:.0%} {rate:.0f}x real time"
                )
                progress.update()
                if stopping:
                    break


def dev_batches(data: BatchMaker, *, clips_per_corpus: int = 24) -> list[tuple[Batch, list[str]]]:
    """A few held-out clips of every corpus that has a dev split, unaugmented, with their texts."""
    batches = []
    for part in data.parts:
        clips = [c for c in part.corpus.split("dev") if c.words][:clips_per_corpus]
        if clips:
            examples = [data.plain_example(part.source(clip)) for clip in clips]
            batches.append((collate(examples), [" ".join(c.words or []) for c in clips]))
    return batches


def train(
    recipe: Recipe,
    folder: Path,
    *,
    root: Path,
    cache: Path,
    device: str = "cpu",
    num_workers: int = 1,
    should_stop: Callable[[], bool] = lambda: False,
) -> Trainer:
    """Train ``recipe`` into ``folder`` (resuming what is there), where its ``model.pt`` then stands.

    Args:
        root: what the recipe's paths are relative to. cache: where decoded corpora are kept.

    Raises:
        CorpusError, CheckpointError, TrainingDivergedError, OSError: as :class:`BatchMaker` and
            :class:`Trainer` say.
    """
    data = BatchMaker(recipe, root, cache)
    trainer = Trainer(recipe, data, folder, device=device)
    trainer.run(dev_batches(data), num_workers=num_workers, should_stop=should_stop)
    return trainer
