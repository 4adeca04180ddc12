"""The packing recipe of an ear: chunks, quantization, what it is measured on, how it decodes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from galago.models.training.toml_tables import Positive, RecipeError
from galago.quantize.accuracy_control import AccuracyConfig
from galago.quantize.ear.golden import TOLERANCE
from galago.quantize.quantize import QuantizationConfig
from galago.quantize.recipe import DataSource, PackRecipe, check_precision

__all__ = [
    "EarCalibration",
    "EarEvaluation",
    "EarGolden",
    "EarPackRecipe",
    "EarSecondPass",
    "PassRecipe",
    "SecondPassCalibration",
]

UTTERANCE_S = 0.6  # longer than any pause that is drawn: a stream of this length or more has one clip


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
class SecondPassCalibration:
    """How much is drawn for the second pass; from where, and how loud, is as for the first.

    It hears utterances, each a stream of its own: so a stream is one clip, and first chunks are many.
    """

    num_streams: Positive = 120
    num_noise_streams: int = 6
    num_samples: int = 128
    num_held_out: int = 32
    seed: int = 2
    sha256: str | None = None  # of the set: packing refuses another one

    def of_clips(self, ears: EarCalibration) -> EarCalibration:
        """The whole table, beside the ear's own."""
        return replace(
            ears,
            stream_s=UTTERANCE_S if ears.corpora else ears.stream_s,
            num_streams=self.num_streams,
            num_noise_streams=self.num_noise_streams,
            num_samples=self.num_samples,
            num_held_out=self.num_held_out,
            seed=self.seed,
            sha256=self.sha256,
        )


@dataclass(frozen=True)
class EarSecondPass:
    """A larger network, which hears each utterance again for what is final; its checkpoint is named apart."""

    chunk_tokens: tuple[int, ...]  # the first is what a program gets
    quantization: QuantizationConfig = QuantizationConfig()
    accuracy: AccuracyConfig = AccuracyConfig()
    calibration: SecondPassCalibration = SecondPassCalibration()
    data: tuple[DataSource, ...] = ()  # what it has learned from beside what the ear has

    def __post_init__(self) -> None:
        _check_chunks(self.chunk_tokens)


@dataclass(frozen=True)
class PassRecipe:
    """How one of an ear's networks is packed."""

    mark: str  # in the names of its graphs and files: nothing, or "second-"
    set_name: str  # of its calibration set
    chunk_tokens: tuple[int, ...]
    quantization: QuantizationConfig
    accuracy: AccuracyConfig
    calibration: EarCalibration


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
    second_pass: EarSecondPass | None = None
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
        _check_chunks(self.chunk_tokens)
        check_precision(self.inference_precision)
        if self.second_pass is not None and "second_pass_chunk_tokens" in self.decoding:
            raise RecipeError(
                "decoding.second_pass_chunk_tokens is a second pass by one network, [second_pass] by two: "
                "leave one of them out"
            )

    @property
    def first_pass_recipe(self) -> PassRecipe:
        return PassRecipe(
            "", self._set_name, self.chunk_tokens, self.quantization, self.accuracy, self.calibration
        )

    @property
    def second_pass_recipe(self) -> PassRecipe | None:
        second = self.second_pass
        if second is None:
            return None
        calibration = second.calibration.of_clips(self.calibration)
        name = f"{self._set_name}-second-pass"
        return PassRecipe(
            "second-", name, second.chunk_tokens, second.quantization, second.accuracy, calibration
        )

    @property
    def _set_name(self) -> str:
        return f"{self.name}-{self.version}"


def _check_chunks(chunk_tokens: tuple[int, ...]) -> None:
    if not chunk_tokens or len(set(chunk_tokens)) != len(chunk_tokens):
        raise RecipeError(f"chunk_tokens: expected different chunk sizes, found {list(chunk_tokens)}")
    if min(chunk_tokens) < 1:
        raise RecipeError(f"chunk_tokens: {min(chunk_tokens)} is no chunk")
