"""Pre-trained networks: the ``model.pt`` of a run, and how an ear begins with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from galago.models.network_config import NetworkConfig
from galago.models.training.checkpoints import CheckpointError, load
from galago.models.wav2vec2 import Wav2Vec2
from galago.models.wav2vec2_ear import Wav2Vec2Ear, Wav2Vec2EarConfig

__all__ = ["begin_pretrained", "differing_fields", "is_pretrained", "load_pretrained", "network_from"]

ROLE = "pretraining"
HEAD = "head."  # of characters: pre-training does not touch it

#: Fields of a network in which an ear may differ from what it begins with: no pre-trained weight knows them.
FREE = (
    "num_tokens",
    "num_phones",
    "phone_block",
    "left_context_tokens",
    "left_context_rows",
    "norm_horizon_tokens",
    "norm_horizon_rows",
    "dropout",
    "decoder_blocks",
    "num_pieces",
)


def is_pretrained(stored: dict[str, Any]) -> bool:
    """Whether a loaded ``model.pt`` is one of a pre-training."""
    return stored.get("role") == ROLE


def network_from(stored: dict[str, Any], path: Path) -> Wav2Vec2:
    """The network of a loaded ``model.pt``, in evaluation mode; its head has random weights.

    Raises:
        CheckpointError: it holds none of this version.
    """
    try:
        network = Wav2Vec2(Wav2Vec2EarConfig(**stored["config"]))
        missing, unexpected = network.load_state_dict(stored["model"], strict=False)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: holds no pre-trained network of this version: {error}") from error
    wrong = [name for name in missing if not name.startswith(HEAD)] + unexpected
    if wrong:
        raise CheckpointError(f"{path}: holds no pre-trained network of this version: {', '.join(wrong)}")
    return network.eval()


def load_pretrained(path: Path) -> Wav2Vec2:
    """The same from its file.

    Raises:
        CheckpointError: the file is damaged, or is no pre-trained network.
    """
    stored = load(path)
    if not is_pretrained(stored):
        raise CheckpointError(f"{path}: holds a network of role {stored.get('role', 'ear')!r}, not {ROLE!r}")
    return network_from(stored, path)


def differing_fields(pretrained: NetworkConfig, wanted: NetworkConfig) -> list[str]:
    """Fields of two networks of a family that keep one from beginning with the other, with both values."""
    theirs, ours = pretrained.as_dict(), wanted.as_dict()
    return [
        f"{name} {theirs[name]} there and {ours[name]} here"
        for name in ours
        if name not in FREE and theirs[name] != ours[name]
    ]


def begin_pretrained(model: Wav2Vec2Ear, stored: dict[str, Any], path: Path) -> str:
    """Give an ear the weights of a pre-trained network; its heads stay as they are.

    Returns:
        what was taken and what is new, for people.

    Raises:
        CheckpointError: the file is damaged, or its network is not that of the ear; the message names the
            fields that differ.
    """
    network = network_from(stored, path)
    assert isinstance(network.config, Wav2Vec2EarConfig)
    differing = differing_fields(network.config, model.config)
    if differing:
        raise CheckpointError(f"{path}: holds a network of another shape: {'; '.join(differing)}")
    taken = {name: value for name, value in network.state_dict().items() if not name.startswith(HEAD)}
    model.network.load_state_dict(taken, strict=False)
    new = [name for name in model.state_dict() if name.removeprefix("network.") not in taken]
    millions = sum(value.numel() for value in taken.values()) / 1e6
    return f"{millions:.2f} M weights in {len(taken)} tensors of {path}; new are {', '.join(new)}"
