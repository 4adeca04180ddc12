"""The networks of a trained voice, from the ``model.pt`` of their runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from galago.models.fastspeech import FastSpeech, FastSpeechConfig
from galago.models.training.checkpoints import CheckpointError, load
from galago.models.transformer_tts import TransformerTts, TransformerTtsConfig
from galago.models.vocoder import Vocoder, VocoderConfig

__all__ = ["load_fastspeech", "load_teacher", "load_vocoder"]

Model = TypeVar("Model", bound=nn.Module)


def _load_network(path: Path, network: str, make: Callable[[dict[str, Any]], Model]) -> Model:
    stored = load(path)
    if stored.get("network") != network:
        raise CheckpointError(f"{path}: expected the network {network!r}, got {stored.get('network')!r}")
    try:
        model = make(stored["config"])
        model.load_state_dict(stored["model"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: holds no {network} of this version: {error}") from error
    return model.eval()


def load_fastspeech(path: Path) -> FastSpeech:
    """The acoustic network, in evaluation mode. Raises CheckpointError: damaged, or another network."""
    return _load_network(path, "acoustic", lambda config: FastSpeech(FastSpeechConfig(**config)))


def load_vocoder(path: Path) -> Vocoder:
    """The vocoder, in evaluation mode. Raises CheckpointError: damaged, or another network."""
    return _load_network(path, "vocoder", lambda config: Vocoder(VocoderConfig(**config)))


def load_teacher(path: Path) -> TransformerTts:
    """The teacher, in evaluation mode. Raises CheckpointError: damaged, or another network."""
    return _load_network(path, "teacher", lambda config: TransformerTts(TransformerTtsConfig(**config)))
