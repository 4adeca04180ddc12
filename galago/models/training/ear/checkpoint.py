"""The network of a trained ear, from the ``model.pt`` of its run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from galago.models.conformer import Conformer, ConformerConfig
from galago.models.training.checkpoints import CheckpointError, load
from galago.models.wav2vec2_ear import Wav2Vec2Ear, Wav2Vec2EarConfig

__all__ = ["EarNetwork", "EarShape", "build_ear", "family_of", "load_conformer", "load_model"]

EarShape = ConformerConfig | Wav2Vec2EarConfig
EarNetwork = Conformer | Wav2Vec2Ear


def build_ear(config: EarShape) -> EarNetwork:
    """The network of this shape, with random weights."""
    return Wav2Vec2Ear(config) if isinstance(config, Wav2Vec2EarConfig) else Conformer(config)


def family_of(config: EarShape) -> str:
    """How recipes and checkpoints call the family of a network."""
    return "wav2vec2" if isinstance(config, Wav2Vec2EarConfig) else "conformer"


def load_model(path: Path) -> EarNetwork:
    """The network stored in a run's ``model.pt``, in evaluation mode; of no named family, a Conformer.

    Raises:
        CheckpointError: the file is damaged or holds no network.
    """
    stored = load(path)
    shapes: dict[Any, type[EarShape]] = {
        "conformer": ConformerConfig,
        "wav2vec2": Wav2Vec2EarConfig,
    }
    try:
        model = build_ear(shapes[stored.get("family", "conformer")](**stored["config"]))
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
        raise CheckpointError(f"{path}: holds an ear of the family wav2vec2; a Conformer is needed here")
    return model
