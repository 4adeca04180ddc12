"""The network that is packed: of a training run, or an imported one with a CTC head of characters."""

from __future__ import annotations

from pathlib import Path

from galago.models.checkpoint import load_network
from galago.models.ctc_ear import CtcEar, published_tokens
from galago.models.ear import Ear
from galago.models.training.checkpoints import CheckpointError, load
from galago.models.training.ear.checkpoint import load_model
from galago.models.wav2vec2 import Wav2Vec2

__all__ = ["IMPORTED_EARS", "load_ear"]

#: Kinds of imported networks that are ears.
IMPORTED_EARS = ("wav2vec2",)


def load_ear(path: Path) -> Ear:
    """The ear of a run's ``model.pt`` or of a galago model file, in evaluation mode.

    Raises:
        CheckpointError: the file is damaged, or its network cannot be an ear.
    """
    if load(path).get("role", "ear") not in IMPORTED_EARS:
        return load_model(path)
    stored = load_network(path)
    assert isinstance(stored.network, Wav2Vec2)
    try:
        return CtcEar(stored.network, published_tokens(stored.details)).eval()
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its head is no ear's: {error}") from error
