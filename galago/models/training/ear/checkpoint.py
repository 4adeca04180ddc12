"""The network of a trained ear, from the ``model.pt`` of its run."""

from __future__ import annotations

from pathlib import Path

from galago.models.conformer import Conformer, ConformerConfig
from galago.models.moonshine_ear import MoonshineEar, MoonshineEarConfig
from galago.models.training.checkpoints import CheckpointError, load
from galago.models.wav2vec2_ear import Wav2Vec2Ear, Wav2Vec2EarConfig

__all__ = ["EarNetwork", "EarShape", "build_ear", "family_of", "load_conformer", "load_model"]

EarShape = ConformerConfig | Wav2Vec2EarConfig | MoonshineEarConfig
EarNetwork = Conformer | Wav2Vec2Ear | MoonshineEar

#: As recipes and checkpoints call them; a checkpoint of no named family is a Conformer's.
SHAPES: dict[str, type[EarShape]] = {
    "conformer": ConformerConfig,
    "wav2vec2": Wav2Vec2EarConfig,
    "moonshine": MoonshineEarConfig,
}


def build_ear(config: EarShape) -> EarNetwork:
    """The network of this shape, with random weights."""
    if isinstance(config, MoonshineEarConfig):
        return MoonshineEar(config)
    return Wav2Vec2Ear(config) if isinstance(config, Wav2Vec2EarConfig) else Conformer(config)


def family_of(config: EarShape) -> str:
    """How recipes and checkpoints call the family of a network."""
    return next(family for family, shape in SHAPES.items() if type(config) is shape)


def load_model(path: Path) -> EarNetwork:
    """The network stored in a run's ``model.pt``, in evaluation mode; of no named family, a Conformer.

    Raises:
        CheckpointError: the file is damaged or holds no network.
    """
    stored = load(path)
    try:
        model = build_ear(SHAPES[stored.get("family", "conformer")](**stored["config"]))
        model.load_state_dict(stored["model"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: holds no network of this version: {error}") from error
    return model.eval()


def load_conformer(path: Path) -> Conformer:
    """The same for what only a Conformer can be.

    Raises:
        CheckpointError: the file is damaged, or holds no Conformer.
    """
    model = load_model(path)
    if not isinstance(model, Conformer):
        family = family_of(model.config)
        raise CheckpointError(f"{path}: holds an ear of the family {family}; a Conformer is needed here")
    return model
