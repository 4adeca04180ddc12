"""The packing recipe of an ear: chunks, quantization, what it is measured on, how it decodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from galago.models.training.toml_tables import RecipeError
from galago.quantize.accuracy_control import AccuracyConfig
from galago.quantize.ear.golden import TOLERANCE
from galago.quantize.quantize import QuantizationConfig
from galago.quantize.recipe import PackRecipe, check_precision

__all__ = ["EarCalibration", "EarEvaluation", "EarGolden", "EarPackRecipe"]


@dataclass(frozen=True)
class EarCalibration:
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
    sha256: str | None = None  # of the set: packing refuses another one


@dataclass(frozen=True)
class EarEvaluation:
    """Clips for the word error rates of the report and of the card. Without corpora they are left out."""

    corpora: tuple[str, ...] = ()
    splits: tuple[str, ...] = ("dev",)
    clips_per_corpus: int = 60
    max_wer_points: float = 0.3  # that int8 may lose on all together; packing warns where it loses more


@dataclass(frozen=True)
class EarGolden:
    """Recordings, relative to the recipe, that become golden vectors; none: a sweep."""

    audio: tuple[str, ...] = ()
    tolerance: float = TOLERANCE  # of a probability


@dataclass(frozen=True, kw_only=True)
class EarPackRecipe(PackRecipe):
    """Everything that decides the bytes of an ear beside its checkpoint.

    Of the shipped ``files``, "lexicon.gz" is the ear's lexicon.
    """

    role: Literal["ear"] = "ear"
    languages: tuple[str, ...]
    chunk_tokens: tuple[int, ...] = (8, 4, 16)  # the first is what a program gets that does not ask
    inference_precision: str = "f32"  # of everything that is not int8
    quantization: QuantizationConfig = QuantizationConfig()
    accuracy: AccuracyConfig = AccuracyConfig()
    calibration: EarCalibration = EarCalibration()
    evaluation: EarEvaluation = EarEvaluation()
    golden: EarGolden = EarGolden()
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

    def __post_init__(self) -> None:
        if not self.chunk_tokens or len(set(self.chunk_tokens)) != len(self.chunk_tokens):
            raise RecipeError(
                f"chunk_tokens: expected different chunk sizes, found {list(self.chunk_tokens)}"
            )
        if min(self.chunk_tokens) < 1:
            raise RecipeError(f"chunk_tokens: {min(self.chunk_tokens)} is no chunk")
        check_precision(self.inference_precision)
