"""The network of a trained ear, from the ``model.pt`` of its run."""

from __future__ import annotations

from pathlib import Path

from galago.models.conformer import Conformer, ConformerConfig
from galago.models.training.checkpoints import CheckpointError, load

__all__ = ["load_model"]


def load_model(path: Path) -> Conformer:
    """The network stored in a run's ``model.pt``, in evaluation mode.

    Raises:
        CheckpointError: the file is damaged or holds no network.
    """
    stored = load(path)
    try:
        model = Conformer(ConformerConfig(**stored["config"]))
        model.load_state_dict(stored["model"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: holds no network of this version: {error}") from error
    return model.eval()
