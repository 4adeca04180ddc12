"""Training recipes: versioned TOML read into frozen dataclasses; an unknown key is refused by name."""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from galago.models.training.synthesize import SpeechPlan

__all__ = ["AugmentationRecipe", "CorpusRecipe", "LossRecipe", "Recipe", "RecipeError", "ScheduleRecipe", "load_recipe"]

SCHEMA_VERSION = 1


class RecipeError(ValueError):
    """A recipe cannot be used; the message names the file, the table and the key."""


@dataclass(frozen=True)
class CorpusRecipe:
    """One corpus. ``share`` is the part of its clips that an epoch draws; ``speech = false`` marks noise."""

    path: str
    splits: tuple[str, ...] = ("train",)
    share: float = 1.0
    speech: bool = True
    without_labels: tuple[str, ...] = ()  # clips held out by label or id


@dataclass(frozen=True)
class SyntheticRecipe:
    """Synthetic speech (see ``synthesize.SpeechPlan``); ``sentences`` is a text file or ``TAR:MEMBER``."""

    sentences: str
    num_sentences: int = 3000
    num_commands: int = 2500
    num_word_sequences: int = 1500
    flite_share: float = 0.2
    seed: int = 1
    share: float = 1.0

    def plan(self) -> SpeechPlan:
        return SpeechPlan(
            self.num_sentences, self.num_commands, self.num_word_sequences, self.flite_share, self.seed
        )


@dataclass(frozen=True)
class AugmentationRecipe:
    """What is done to a clip on its way into a batch, each with its probability."""

    speed_factors: tuple[float, ...] = (0.9, 1.0, 1.1)
    level_dbfs: tuple[float, float] = (-42.0, -14.0)  # RMS of the clip after the random gain
    noise_probability: float = 0.6
    noise_snr_db: tuple[float, float] = (3.0, 30.0)
    reverberation_probability: float = 0.3
    num_rooms: int = 120
    silence_probability: float = 0.6
    silence_s: tuple[float, float] = (0.1, 0.8)
    concatenate_probability: float = 0.6  # short clips become one longer clip
    noise_only_share: float = 0.03  # batch examples in which nobody speaks
    frequency_masks: int = 2
    frequency_mask_mels: int = 14
    time_masks_per_s: float = 0.25
    time_mask_frames: int = 20


@dataclass(frozen=True)
class LossRecipe:
    """Weights of the three losses that are added up."""

    phone_frames: float = 1.0
    phone_ctc: float = 0.3
    token_ctc: float = 0.7


@dataclass(frozen=True)
class ScheduleRecipe:
    """Warm-up, constant rate, linear decay: the decay may be moved by changing ``num_steps`` and resuming."""

    num_steps: int = 6000
    decay_steps: int = 1500
    warmup_steps: int = 300
    clean_steps: int = 300  # full context and no augmentation at first: CTC leaves its plateau sooner
    peak_learning_rate: float = 1e-3
    final_learning_rate: float = 2e-5
    weight_decay: float = 0.01
    batch_s: float = 80.0
    max_clip_s: float = 16.0
    full_context_probability: float = 0.25
    chunk_tokens: tuple[int, ...] = (4, 8, 8, 16)
    average_decay: float = 0.999
    checkpoint_steps: int = 100
    evaluate_steps: int = 500
    seed: int = 1


@dataclass(frozen=True)
class Recipe:
    """A training run. ``network`` is a preset's name plus fields of ``ConformerConfig`` that differ."""

    name: str
    corpora: tuple[CorpusRecipe, ...]
    noise: tuple[CorpusRecipe, ...] = ()
    synthetic: SyntheticRecipe | None = None
    network: dict[str, Any] = field(default_factory=lambda: {"preset": "3m"})
    augmentation: AugmentationRecipe = AugmentationRecipe()
    loss: LossRecipe = LossRecipe()
    schedule: ScheduleRecipe = ScheduleRecipe()
    dictionary: str | None = None  # a CMUdict-style file; None: the one that PocketSphinx ships
    schema_version: int = SCHEMA_VERSION


def _build(kind: Any, value: Any, where: str) -> Any:
    """Turn a TOML value into ``kind``, refusing what does not fit with the place it stands at."""
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        kinds = [k for k in typing.get_args(kind) if k is not type(None)]
        return _build(kinds[0], value, where)
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise RecipeError(f"{where}: expected a table, got {value!r}")
        hints = typing.get_type_hints(kind)
        known = {f.name: f for f in dataclasses.fields(kind)}
        for key in value:
            if key not in known:
                raise RecipeError(f"{where}: unknown key {key!r} (known: {', '.join(known)})")
        for name, fld in known.items():
            needed = fld.default is dataclasses.MISSING and fld.default_factory is dataclasses.MISSING
            if needed and name not in value:
                raise RecipeError(f"{where}: key {name!r} is missing")
        return kind(**{k: _build(hints[k], v, f"{where}.{k}") for k, v in value.items()})  # type: ignore[operator]
    if origin is tuple:
        if not isinstance(value, list):
            raise RecipeError(f"{where}: expected a list, got {value!r}")
        item = typing.get_args(kind)[0]
        return tuple(_build(item, v, f"{where}[{i}]") for i, v in enumerate(value))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    plain = dict if origin is dict else kind
    if not isinstance(value, plain) or (isinstance(value, bool) and plain is not bool):
        raise RecipeError(f"{where}: expected {plain.__name__}, got {value!r}")
    return value


def load_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        RecipeError: no such file, no TOML, an unknown or missing key, a wrong type, another schema version.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path}: {error}") from error
    if data.get("schema_version") != SCHEMA_VERSION:
        raise RecipeError(f"{path}: schema_version must be {SCHEMA_VERSION}, got {data.get('schema_version')!r}")
    recipe: Recipe = _build(Recipe, data, path.name)
    return recipe
