"""From recordings to weights: ``galago train RECIPE``, or these functions.

    sources ──► corpus ──► align ──► batches ──► trainer
    tar, JSONL,  16 kHz     phones    augmented,  checkpoints,
    folder       PCM        in time   by step     model.pt

Importing this package loads nothing; a name loads its module, and what that needs, when it is asked for.
"""

from __future__ import annotations

import importlib
import typing

if typing.TYPE_CHECKING:
    from galago.models.training.align import align_corpus
    from galago.models.training.batches import BatchMaker
    from galago.models.training.corpus import Corpus, CorpusError, import_corpus
    from galago.models.training.recipe import Recipe, RecipeError, load_recipe
    from galago.models.training.synthesize import SpeechPlan, synthesize_corpus
    from galago.models.training.trainer import (
        CheckpointError,
        Trainer,
        TrainingDivergedError,
        load_model,
        train,
    )

__all__ = [
    "BatchMaker",
    "CheckpointError",
    "Corpus",
    "CorpusError",
    "Recipe",
    "RecipeError",
    "SpeechPlan",
    "Trainer",
    "TrainingDivergedError",
    "align_corpus",
    "import_corpus",
    "load_model",
    "load_recipe",
    "synthesize_corpus",
    "train",
]

_MODULES = {
    "align": ("align_corpus",),
    "batches": ("BatchMaker",),
    "corpus": ("Corpus", "CorpusError", "import_corpus"),
    "recipe": ("Recipe", "RecipeError", "load_recipe"),
    "synthesize": ("SpeechPlan", "synthesize_corpus"),
    "trainer": ("CheckpointError", "Trainer", "TrainingDivergedError", "load_model", "train"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
