"""A trained eye on disk: its network and what it can say, in the ``model.pt`` of its run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch

from galago.models.fake_quantization import plain_state, stored_scales
from galago.models.training.checkpoints import CheckpointError, load, save_atomically
from galago.models.training.eye.labels import EyeDescription
from galago.models.training.eye.networks import KINDS, EyeNetwork, kind_of, new_eye
from galago.models.training.eye.recipe import EyeRecipe

__all__ = ["load_eye", "save_eye"]


def save_eye(
    path: Path,
    model: EyeNetwork,
    description: EyeDescription,
    *,
    recipe: EyeRecipe | None = None,
    step: int = 0,
) -> None:
    """Write a ``model.pt`` that :func:`load_eye` reads, with the recipe that a model card tells of."""
    stored = {
        "role": "eye",
        "kind": kind_of(model),
        "config": model.config.as_dict(),
        "description": json.dumps(description.as_dict()),
        "model": plain_state(model),
        **stored_scales(model),
        "recipe": None if recipe is None else json.dumps(asdict(recipe)),
        "step": step,
    }
    save_atomically(stored, path)


def load_eye(path: Path, device: torch.device | str = "cpu") -> tuple[EyeNetwork, EyeDescription]:
    """The network stored in a run's ``model.pt``, in evaluation mode, and what it says.

    Raises:
        CheckpointError: the file is damaged or holds no eye.
    """
    stored = load(path, device)
    try:
        model = new_eye(KINDS[stored.get("kind", "swin")](**stored["config"])).to(device)
        model.load_state_dict(stored["model"])
        description = EyeDescription.of_dict(json.loads(stored["description"]))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: holds no eye of this version: {error}") from error
    return model.eval(), description
