"""The packing recipe of an eye: quantization, photos for calibration and evaluation, how it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from galago.models.training.toml_tables import Count, Positive, Range
from galago.quantize.accuracy_control import AccuracyConfig
from galago.quantize.quantize import QuantizationConfig
from galago.quantize.recipe import PackRecipe, check_precision

__all__ = ["EyeCalibration", "EyeEvaluation", "EyeGolden", "EyePackRecipe"]


@dataclass(frozen=True)
class EyeCalibration:
    """Images for the ranges: those named, or photos of the albums that the run learned from.

    With neither they are pictures of nothing alone, which serves tests only.
    """

    images: tuple[str, ...] = ()  # files, relative to the recipe
    splits: tuple[str, ...] = ()  # of the albums that model.pt names
    num_samples: Positive = 128
    num_held_out: Positive = 32
    num_pictures_of_nothing: Count = 8  # among the samples: the ranges must hold for them too
    seed: Count = 1
    sha256: str | None = None  # of the set: packing refuses another one


@dataclass(frozen=True)
class EyeEvaluation:
    """Photos for the accuracies of the report and of the card. Without splits they are left out."""

    splits: tuple[str, ...] = ()  # of the albums that model.pt names; "dev-test" is what no run learns from
    max_photos: Positive = 2000
    max_accuracy_points: float = 1.0  # that int8 may lose; packing warns where it loses more


@dataclass(frozen=True)
class EyeGolden:
    """Of the golden picture, which code draws."""

    tolerance: float = 0.25  # of a logit


@dataclass(frozen=True, kw_only=True)
class EyePackRecipe(PackRecipe):
    """Everything that decides the bytes of an eye beside its checkpoint."""

    role: Literal["eye"] = "eye"
    inference_precision: str = "f32"  # of everything that is not int8
    smoothing_half_life_ms: Annotated[int, Range(0, 60_000)] = 400
    quantization: QuantizationConfig = QuantizationConfig()
    accuracy: AccuracyConfig = AccuracyConfig(max_cost=0.01)
    calibration: EyeCalibration = EyeCalibration()
    evaluation: EyeEvaluation = EyeEvaluation()
    golden: EyeGolden = EyeGolden()

    def __post_init__(self) -> None:
        check_precision(self.inference_precision)
