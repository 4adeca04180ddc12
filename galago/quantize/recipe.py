"""Packing recipes: what the bundle is called, how it is quantized, what it is measured on, how it decodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from galago.models.training.toml_tables import RecipeError, build, read_toml
from galago.quantize.accuracy_control import AccuracyConfig
from galago.quantize.golden import TOLERANCE
from galago.quantize.quantize import QuantizationConfig

__all__ = [
    "CalibrationRecipe",
    "DataSource",
    "EvaluationRecipe",
    "GoldenRecipe",
    "PackRecipe",
    "load_pack_recipe",
]

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class CalibrationRecipe:
    """Streams for the ranges and, those with speech, for the phone priors.

    Without corpora the streams are white noise, which serves tests only.
    """

    corpora: tuple[str, ...] = ()
    splits: tuple[str, ...] = ("train",)
    noise: tuple[str, ...] = ()  # corpora without speech
    noise_splits: tuple[str, ...] = ()
    num_streams: int = 40
    num_noise_streams: int = 0
    stream_s: float = 12.0
    num_samples: int = 128
    num_held_out: int = 32
    level_dbfs: tuple[float, float] = (-42.0, -14.0)
    seed: int = 1


@dataclass(frozen=True)
class EvaluationRecipe:
    """Clips for the word error rates of the report and of the card. Without corpora they are left out."""

    corpora: tuple[str, ...] = ()
    splits: tuple[str, ...] = ("dev",)
    clips_per_corpus: int = 60
    max_wer_points: float = 0.3  # that int8 may lose on all together; packing warns where it loses more


@dataclass(frozen=True)
class GoldenRecipe:
    """Recordings, relative to the recipe, that become golden vectors; none: a sweep."""

    audio: tuple[str, ...] = ()
    tolerance: float = TOLERANCE  # in nats


@dataclass(frozen=True)
class DataSource:
    """One source of training data, as the card names it."""

    name: str
    what: str
    licence: str
    source: str


@dataclass(frozen=True)
class PackRecipe:
    """Everything that decides the bytes of a bundle beside the checkpoint."""

    name: str
    version: str
    description: str
    languages: tuple[str, ...]
    license: str = "Apache-2.0"
    chunk_tokens: tuple[int, ...] = (8, 4, 16)  # the first is what a program gets that does not ask
    inference_precision: str = "f32"  # of everything that is not int8
    quantization: QuantizationConfig = QuantizationConfig()
    accuracy: AccuracyConfig = AccuracyConfig()
    calibration: CalibrationRecipe = CalibrationRecipe()
    evaluation: EvaluationRecipe = EvaluationRecipe()
    golden: GoldenRecipe = GoldenRecipe()
    decoding: dict[str, Any] = field(
        default_factory=lambda: {"method": "greedy", "beam_width": 8, "hotword_boost": 2.0}
    )
    voice_activity: dict[str, Any] = field(
        default_factory=lambda: {
            "start_probability": 0.6,
            "stop_probability": 0.35,
            "start_ms": 80,
            "padding_ms": 200,
        }
    )
    endpoint: dict[str, Any] = field(default_factory=lambda: {"silence_ms": 600, "max_utterance_ms": 20000})
    grammar: dict[str, Any] = field(
        default_factory=lambda: {
            "prior_scale": 0.3,
            "accept_mean": -1.0,
            "accept_worst_word": -2.5,
            "phrase_threshold": -1.0,
        }
    )
    files: tuple[
        str, ...
    ] = ()  # shipped as they are, relative to the recipe; "lexicon.gz" is the ear's lexicon
    data: tuple[DataSource, ...] = ()
    limits: tuple[str, ...] = ()  # sentences for the card: what the ear cannot do
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if not self.chunk_tokens or len(set(self.chunk_tokens)) != len(self.chunk_tokens):
            raise RecipeError(
                f"chunk_tokens: expected different chunk sizes, found {list(self.chunk_tokens)}"
            )
        if min(self.chunk_tokens) < 1:
            raise RecipeError(f"chunk_tokens: {min(self.chunk_tokens)} is no chunk")
        if self.inference_precision not in ("f32", "bf16"):
            raise RecipeError(
                f"inference_precision: {self.inference_precision!r} is neither 'f32' nor 'bf16'"
            )


def load_pack_recipe(path: Path) -> PackRecipe:
    """Read a recipe.

    Raises:
        RecipeError: no such file, no UTF-8, no TOML, an unknown or missing key, a wrong type or value,
            another schema version.
    """
    recipe: PackRecipe = build(PackRecipe, read_toml(path, SCHEMA_VERSION), path.name)
    return recipe
