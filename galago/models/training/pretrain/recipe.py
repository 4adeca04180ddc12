"""Recipes of self-supervised pre-training: recordings, a network on samples, what is asked about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from galago.models.training.ear.recipe import AugmentationRecipe, CorpusRecipe, shape_of
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
from galago.models.wav2vec2_ear import Wav2Vec2EarConfig

__all__ = [
    "ClusterRecipe",
    "ContrastiveRecipe",
    "MaskRecipe",
    "PretrainingRecipe",
    "PretrainingSchedule",
    "SceneRecipe",
    "load_pretraining_recipe",
    "pretrained_config",
]


@dataclass(frozen=True)
class MaskRecipe:
    """Spans of tokens (20 ms each) that are hidden; see ``spans.mask_spans``."""

    start_share: Annotated[float, Range(0.001, 1.0)] = 0.08
    span_tokens: Positive = 10


@dataclass(frozen=True)
class ClusterRecipe:
    """The hidden units of objective ``hubert``: k-means over MFCC, or over features of an earlier run.

    ``features_of`` is another run's ``model.pt``, pre-trained or an ear on raw samples, relative to the
    current folder; the clusters are then made of what stands behind its block ``layer``.
    """

    num_clusters: Annotated[int, Range(2, 60_000)] = 100
    features_of: str | None = None
    layer: Positive | None = None
    num_rows: Positive = 300_000  # tokens, drawn by whole clips, that k-means is fitted to
    code_width: Positive = 256
    temperature: Annotated[float, Range(0.001, 10.0)] = 0.1
    unmasked_weight: Weight = 0.0  # of telling what is not hidden

    def __post_init__(self) -> None:
        if (self.features_of is None) != (self.layer is None):
            raise ValueError("features_of and layer: one needs the other")


@dataclass(frozen=True)
class ContrastiveRecipe:
    """Objective ``wav2vec2``; see ``contrastive.ContrastivePretraining`` and ``quantizer.GumbelQuantizer``.

    The Gumbel temperature falls from the first of ``gumbel_temperature`` to the second over the run, by the
    same factor each step.
    """

    num_codebooks: Positive = 2
    num_entries: Annotated[int, Range(2)] = 320
    code_width: Positive = 256
    projection_width: Positive = 256
    num_negatives: Positive = 100
    kappa: Annotated[float, Range(0.001, 10.0)] = 0.1
    diversity: Weight = 0.1
    gumbel_temperature: Annotated[tuple[float, float], Range(0.01, 100.0)] = (2.0, 0.5)

    def __post_init__(self) -> None:
        if self.code_width % self.num_codebooks:
            raise ValueError(f"code_width {self.code_width} is no multiple of {self.num_codebooks} codebooks")


@dataclass(frozen=True)
class SceneRecipe:
    """What the network hears instead of the plain recording: as ``[augmentation]`` of an ear, as far as it
    moves nothing in time. Clusters are those of the plain recording.
    """

    level_dbfs: Annotated[tuple[float, float], Range(-96.0, 0.0), Rising()] = (-42.0, -14.0)
    noise_probability: Share = 0.3
    noise_snr_db: Annotated[tuple[float, float], Range(-40.0, 100.0), Rising()] = (3.0, 30.0)
    reverberation_probability: Share = 0.2
    num_rooms: Positive = 120

    def augmentation(self) -> AugmentationRecipe:
        return AugmentationRecipe(**asdict(self))


@dataclass(frozen=True)
class PretrainingSchedule:
    """Warm-up, constant rate, linear decay: the decay may be moved by changing ``num_steps`` and resuming."""

    num_steps: Positive = 20_000
    decay_steps: Count = 5000
    warmup_steps: Count = 500
    peak_learning_rate: Annotated[float, Range(0.0, 1.0)] = 1e-3
    final_learning_rate: Annotated[float, Range(0.0, 1.0)] = 2e-5
    weight_decay: Share = 0.01
    batch_s: Annotated[float, Range(0.1)] = 80.0
    max_crop_s: Annotated[float, Range(0.1)] = 8.0  # of a longer clip, a part is heard
    min_clip_s: Annotated[float, Range(0.0)] = 0.5  # shorter clips are left out
    full_context_probability: Share = 0.5
    chunk_tokens: Annotated[tuple[int, ...], NotEmpty(), Range(1)] = (8, 16, 16, 32)
    average_decay: Share = 0.999
    checkpoint_steps: Positive = 100
    evaluate_steps: Positive = 500
    seed: Count = 1

    def learning_rate(self, step: int) -> float:
        """See :func:`galago.models.training.schedule.linear_decay`."""
        return linear_decay(self, step)


@dataclass(frozen=True)
class PretrainingRecipe:
    """A run. ``network`` is that of the ear which is to begin with it: ``family = "wav2vec2"``, its preset
    and the fields that differ. Texts of the corpora are not read.
    """

    name: str
    corpora: Annotated[tuple[CorpusRecipe, ...], NotEmpty()]
    noise: tuple[CorpusRecipe, ...] = ()
    objective: Literal["hubert", "wav2vec2"] = "hubert"
    network: dict[str, Any] = field(default_factory=lambda: {"family": "wav2vec2", "preset": "3m"})
    mask: MaskRecipe = MaskRecipe()
    clusters: ClusterRecipe = ClusterRecipe()
    contrastive: ContrastiveRecipe = ContrastiveRecipe()
    scene: SceneRecipe = SceneRecipe()
    schedule: PretrainingSchedule = PretrainingSchedule()
    initial_weights: str | None = None  # another pre-training's model.pt to begin with
    role: Literal["pretraining"] = "pretraining"
    schema_version: int = SCHEMA_VERSION


def pretrained_config(recipe: PretrainingRecipe, where: str = "network") -> Wav2Vec2EarConfig:
    """The network of a recipe.

    Raises:
        RecipeError: as ``ear.recipe.shape_of``, or the network does not hear samples.
    """
    config = shape_of(recipe.network, where)
    if not isinstance(config, Wav2Vec2EarConfig):
        raise RecipeError(f'{where}.family: must be "wav2vec2": only networks on samples are pre-trained')
    return config


def load_pretraining_recipe(path: Path, changes: Sequence[str] = ()) -> PretrainingRecipe:
    """Read a recipe with ``role = "pretraining"``, with ``changes`` as ``read_toml`` has them.

    Raises:
        RecipeError: no such file, no UTF-8, no TOML, an unknown or missing key, a wrong type, a value out
            of range, a network that cannot be, a table of the other objective, another schema version.
    """
    data = read_toml(path, SCHEMA_VERSION, changes)
    recipe: PretrainingRecipe = build(PretrainingRecipe, data, path.name)
    pretrained_config(recipe, f"{path.name}.network")
    other = "contrastive" if recipe.objective == "hubert" else "clusters"
    if other in data:
        raise RecipeError(f"{path.name}.{other}: has no meaning where the objective is {recipe.objective!r}")
    return recipe
