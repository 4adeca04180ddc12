"""Recipes of ears: corpora, augmentation, network, losses and schedule as frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from galago.models.conformer import PRESETS
from galago.models.moonshine_ear import MOONSHINE_EAR_PRESETS, MoonshineEar
from galago.models.training.distill.recipe import PruningRecipe
from galago.models.training.ear.checkpoint import EarShape
from galago.models.training.ear.synthesize import SpeechPlan
from galago.models.training.quantization_aware import QuantizationAware
from galago.models.training.schedule import linear_decay
from galago.models.training.toml_tables import (
    SCHEMA_VERSION,
    Count,
    NotEmpty,
    Positive,
    Range,
    RecipeError,
    Rising,
    Share,
    Weight,
    build,
    read_toml,
)
from galago.models.wav2vec2_ear import WAV2VEC2_EAR_PRESETS

__all__ = [
    "AugmentationRecipe",
    "CorpusRecipe",
    "EarDistillationRecipe",
    "LossRecipe",
    "Recipe",
    "ScheduleRecipe",
    "SyntheticRecipe",
    "load_recipe",
    "network_config",
    "shape_of",
]

#: Networks by family and preset.
FAMILIES: dict[str, Mapping[str, EarShape]] = {
    "conformer": PRESETS,
    "wav2vec2": WAV2VEC2_EAR_PRESETS,
    "moonshine": MOONSHINE_EAR_PRESETS,
}
FIXED_NETWORK_FIELDS = ("num_mels", "num_phones", "num_tokens")  # given by the features and the alphabets


@dataclass(frozen=True)
class CorpusRecipe:
    """One corpus. ``share`` is the part of its clips that an epoch draws; ``speech = false`` marks noise.

    ``licence`` decides nothing here: it goes into ``model.pt``, and from there into the card of a bundle.
    """

    path: str
    name: str | None = None  # of its decoded copy; by default as ``import_corpus`` says
    splits: Annotated[tuple[str, ...], NotEmpty()] = ("train",)
    share: Share = 1.0
    speech: bool = True
    without_labels: tuple[str, ...] = ()  # clips held out by label or id
    licence: str | None = None


@dataclass(frozen=True)
class SyntheticRecipe:
    """Synthetic speech (see ``synthesize.SpeechPlan``); ``sentences`` is a text file or ``TAR:MEMBER``."""

    sentences: str
    name: str | None = (
        None  # of its corpus, for recipes that share one; None: synthetic- and the recipe's name
    )
    num_sentences: Count = 3000
    num_commands: Count = 2500
    num_word_sequences: Count = 1500
    flite_share: Share = 0.2
    festival_share: Share = 0.0
    seed: int = 1
    share: Share = 1.0

    def plan(self) -> SpeechPlan:
        return SpeechPlan(
            self.num_sentences,
            self.num_commands,
            self.num_word_sequences,
            self.flite_share,
            self.festival_share,
            self.seed,
        )


@dataclass(frozen=True)
class AugmentationRecipe:
    """What is done to a clip on its way into a batch, each with its probability."""

    speed_factors: Annotated[tuple[float, ...], NotEmpty(), Range(0.5, 2.0)] = (
        0.85,
        0.92,
        1.0,
        1.0,
        1.08,
        1.18,
    )
    level_dbfs: Annotated[tuple[float, float], Range(-96.0, 0.0), Rising()] = (
        -42.0,
        -14.0,
    )  # RMS after the gain
    noise_probability: Share = 0.6
    noise_snr_db: Annotated[tuple[float, float], Range(-40.0, 100.0), Rising()] = (3.0, 30.0)
    reverberation_probability: Share = 0.3
    num_rooms: Positive = 120
    trim_probability: Share = 0.0  # of aligned clips: as a session hears utterances, with little around them
    #: What stays before the first phone, and behind the last.
    trim_to_s: Annotated[tuple[float, float], Range(0.0, 10.0), Rising()] = (0.2, 0.7)
    silence_probability: Share = 0.6
    silence_s: Annotated[tuple[float, float], Range(0.0, 10.0), Rising()] = (0.1, 0.8)
    concatenate_probability: Share = 0.6  # short clips become one longer clip
    concatenate_below_s: Annotated[float, Range(0.0)] = 2.5  # what is short
    concatenate_up_to_s: Annotated[float, Range(0.1)] = 60.0  # what one longer clip may last
    noise_only_share: Share = 0.03  # batch examples in which nobody speaks
    frequency_masks: Count = 2
    frequency_mask_mels: Annotated[int, Range(0, 80)] = 14
    time_masks_per_s: Annotated[float, Range(0.0, 100.0)] = 0.25
    time_mask_frames: Count = 20  # of 10 ms


@dataclass(frozen=True)
class LossRecipe:
    """Weights of the losses that are added up; ``pieces`` is that of a decoder, which not every ear has.

    ``consistency`` is the weight, within each CTC loss, of what two views of an utterance answer differently;
    above 0 every utterance is heard twice, under other masks and mostly with another context, and
    ``batch_s`` counts it once.
    """

    phone_frames: Weight = 1.0
    phone_ctc: Weight = 0.3
    token_ctc: Weight = 0.7
    pieces: Weight = 1.0
    consistency: Weight = 0.0


@dataclass(frozen=True)
class EarDistillationRecipe:
    """What an ear learns from teachers beside, or instead of, its labels; each weight belongs to one loss.

    Teachers hear the whole utterance, with its room and noise or ``clean``, without the masks of
    SpecAugment; the student hears what every other one does. See :mod:`galago.models.training.distill`.
    """

    #: model.pt of ears, model files of wav2vec 2.0 and its kin with a CTC head of characters, or a graph
    #: of ONNX or ORT from samples to hidden states.
    teachers: Annotated[tuple[str, ...], NotEmpty()]
    temperature: Annotated[float, Range(0.1, 20.0)] = 1.0
    supervised: Weight = 1.0  # of the losses of ``[loss]``
    phones: Weight = 0.0  # KL of the phones; only an ear teaches them
    tokens: Weight = 0.0  # KL of the characters, at the delay that fits best
    guided: Weight = 0.0  # characters where, or soon after, the teacher is sure
    sequence: Weight = 0.0  # CTC with what the teacher may have heard
    hidden: Weight = 0.0  # hidden states by ``layer_map``
    relation: Weight = 0.0  # queries, keys and values by ``layer_map``
    max_delay_tokens: Annotated[int, Range(0, 50)] = 4  # of 40 ms
    relation_heads: Positive = 12
    layer_map: tuple[tuple[int, int], ...] = ()  # (student, teacher) blocks from 1; by default all, evenly
    #: What the teacher's hidden states are brought to mean 0 and variance 1 over: the channels of each row,
    #: or each channel by itself over the batch, where a few channels outgrow all others.
    hidden_norm: Literal["row", "channel"] = "row"
    clean: bool = False  # teachers hear what is said before its room, its noise and its level
    unlabelled: tuple[CorpusRecipe, ...] = ()  # recordings whose words are unknown, or not to be used

    def __post_init__(self) -> None:
        weights = (self.phones, self.tokens, self.guided, self.sequence, self.hidden, self.relation)
        if not any(weights):
            raise ValueError("every weight is 0, so nothing is learned from the teachers")


@dataclass(frozen=True)
class ScheduleRecipe:
    """Warm-up, constant rate, linear decay: the decay may be moved by changing ``num_steps`` and resuming."""

    num_steps: Positive = 6000
    decay_steps: Count = 1500
    warmup_steps: Count = 300
    head_steps: Count = 0  # with initial_weights: what stands below the heads is left as it is at first
    #: Of these steps; None: as if they were others.
    head_learning_rate: Annotated[float, Range(0.0, 1.0)] | None = None
    clean_steps: Count = 300  # full context and no augmentation at first: CTC leaves its plateau sooner
    peak_learning_rate: Annotated[float, Range(0.0, 1.0)] = 1e-3
    final_learning_rate: Annotated[float, Range(0.0, 1.0)] = 2e-5
    weight_decay: Share = 0.01
    batch_s: Annotated[float, Range(0.1)] = 80.0
    max_clip_s: Annotated[float, Range(0.1)] = 16.0
    full_context_probability: Share = 0.25
    chunk_tokens: Annotated[tuple[int, ...], NotEmpty(), Range(1)] = (4, 8, 8, 16)
    average_decay: Share = 0.999
    checkpoint_steps: Positive = 100
    evaluate_steps: Positive = 500
    seed: Count = 1

    def learning_rate(self, step: int) -> float:
        """See :func:`galago.models.training.schedule.linear_decay`; the heads' steps may have their own."""
        if step < self.head_steps and self.head_learning_rate is not None:
            return self.head_learning_rate
        return linear_decay(self, step)


@dataclass(frozen=True)
class Recipe:
    """A training run.

    ``network`` is a preset's name plus the fields of ``ConformerConfig`` that differ, or, with ``family =
    "wav2vec2"`` or ``"moonshine"``, of ``Wav2Vec2EarConfig`` or ``MoonshineEarConfig``.
    """

    name: str
    corpora: tuple[CorpusRecipe, ...]
    noise: tuple[CorpusRecipe, ...] = ()
    synthetic: SyntheticRecipe | None = None
    network: dict[str, Any] = field(default_factory=lambda: {"preset": "3m"})
    augmentation: AugmentationRecipe = AugmentationRecipe()
    loss: LossRecipe = LossRecipe()
    schedule: ScheduleRecipe = ScheduleRecipe()
    distillation: EarDistillationRecipe | None = None
    pruning: PruningRecipe | None = None
    quantization_aware: QuantizationAware | None = None
    label_minutes: Annotated[float, Range(0.1)] | None = None  # learn from so much of the corpora; None: all
    dictionary: str | None = None  # a CMUdict-style file; None: the one that PocketSphinx ships
    #: Another run's model.pt to begin with: an ear of this shape, or without its lookahead, or what a
    #: pre-training left; or a galago model file of Moonshine's encoder.
    initial_weights: str | None = None
    #: A galago model file of a decoder that the network's begins with, and the pieces that it keeps of it.
    initial_decoder: str | None = None
    #: Of the weights that the run ends with, so much is what it began with: it answers strangers better than
    #: either (Wortsman et al., "Robust fine-tuning of zero-shot models", 2022). New heads have nothing of it;
    #: a decoder, which is trained through its four bits, keeps what it learned.
    initial_share: Share = 0.0
    role: Literal["ear"] = "ear"
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if self.pruning is not None and self.initial_weights is not None:
            raise ValueError("pruning.weights and initial_weights: a run begins with one of them")
        if self.schedule.head_steps and self.network.get("family", "conformer") == "conformer":
            raise ValueError(
                "schedule.head_steps: only networks that begin with another's encoder, of the families "
                '"wav2vec2" and "moonshine", learn by their heads alone'
            )
        if self.initial_share and (self.initial_weights is None or self.quantization_aware is not None):
            raise ValueError("initial_share: needs initial_weights, and no integers that were learned")
        step = MoonshineEar.chunk_step_tokens if self.network.get("family") == "moonshine" else 1
        if any(count % step for count in self.schedule.chunk_tokens):
            raise ValueError(f'schedule.chunk_tokens: of the family "moonshine", multiples of {step}')
        if self.initial_decoder is not None and not self.network.get("decoder_blocks"):
            raise ValueError(
                "initial_decoder: network.decoder_blocks is 0, so there is none to begin with it"
            )
        if self.network.get("decoder_blocks") and self.initial_weights is None:
            raise ValueError(
                "network.decoder_blocks: needs initial_weights, and initial_decoder where they have none"
            )
        if self.quantization_aware is not None and self.initial_weights is None:
            raise ValueError("quantization_aware: needs initial_weights, a network that was trained in float")

    @property
    def synthetic_name(self) -> str:
        """What the corpus of synthetic speech is called in the cache."""
        named = None if self.synthetic is None else self.synthetic.name
        return f"synthetic-{self.name}" if named is None else named


def network_config(recipe: Recipe, where: str = "network") -> EarShape:
    """The network of a recipe; see :func:`shape_of`."""
    return shape_of(recipe.network, where)


def shape_of(network: Mapping[str, Any], where: str) -> EarShape:
    """The network of a ``[network]`` table: its preset with the fields that differ.

    Raises:
        RecipeError: an unknown family, preset or field, or values that make no network.
    """
    changes = dict(network)
    family, preset = changes.pop("family", "conformer"), changes.pop("preset", "3m")
    if family not in tuple(FAMILIES):
        raise RecipeError(f"{where}.family: no family {family!r} (known: {', '.join(FAMILIES)})")
    presets = FAMILIES[family]
    if preset not in tuple(presets):
        raise RecipeError(f"{where}.preset: no preset {preset!r} (known: {', '.join(presets)})")
    for name in FIXED_NETWORK_FIELDS:
        if name in changes:
            raise RecipeError(f"{where}.{name}: is given by the features and alphabets and cannot be set")
    shape = presets[preset]
    config: EarShape = build(type(shape), {**shape.as_dict(), **changes}, where)
    return config


def load_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe, with ``changes`` as ``read_toml`` has them.

    Raises:
        RecipeError: no such file, no UTF-8, no TOML, an unknown or missing key, a wrong type, a value out
            of range, a network that cannot be, another schema version.
    """
    data = read_toml(path, SCHEMA_VERSION, changes)
    recipe: Recipe = build(Recipe, data, path.name)
    network_config(recipe, f"{path.name}.network")
    return recipe
