"""Where a network comes from: its checkpoint, the recipe of its training, and the corpora that it names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galago.models.training.checkpoints import load

__all__ = ["describe_training", "provenance"]


def provenance(checkpoint: Path) -> dict[str, Any]:
    """SHA-256, step and training recipe of a ``model.pt``.

    Returns:
        ``sha256``, ``step`` and ``recipe``: the recipe as tables, or None. Files from before galago kept
        recipes with the weights have none; the run's ``checkpoint.pt`` beside it has.

    Raises:
        CheckpointError: a file is damaged.
    """
    stored = load(checkpoint)
    text = stored.get("recipe")
    beside = checkpoint.parent / "checkpoint.pt"
    if text is None and beside.is_file():
        text = load(beside).get("recipe")
    return {
        "sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        "step": int(stored.get("step", 0)),
        "recipe": None if text is None else json.loads(text),
    }


def describe_training(recipe: Mapping[str, Any] | None) -> str:
    """The recipe in sentences: its name, its number of steps, its corpora with their licences."""
    if recipe is None:
        return "Recipe not recorded."
    sentences = [f"Recipe `{recipe['name']}`, {recipe['schedule']['num_steps']} steps."]
    for what, key in (("Corpora", "corpora"), ("Albums", "albums"), ("Noise", "noise")):
        # A corpus may stand in several entries, with different splits.
        named = dict.fromkeys(_describe_corpus(entry) for entry in recipe.get(key, ()))
        if named:
            sentences.append(f"{what}: {'; '.join(named)}.")
    if recipe.get("initial_weights"):
        sentences.append("It began with the weights of another run.")
    if recipe.get("quantization_aware"):
        sentences.append("It was trained with its integers.")
    return " ".join(sentences)


def _describe_corpus(entry: Mapping[str, Any]) -> str:
    path = Path(entry["path"])
    name = entry.get("name") or (path.parent.name if path.name == "manifest.jsonl" else path.stem)
    return f"{name} ({entry.get('licence') or 'licence not stated'})"
