"""From recordings to the weights of an ear: ``galago train RECIPE``, or these functions.

    sources ──► corpus ──► align ──► batches ──► trainer
    tar, JSONL,  16 kHz     phones    augmented,  checkpoints,
    folder       PCM        in time   by step     model.pt

Importing this package loads nothing; a name loads its module, and what that needs, when it is asked for.
"""

from __future__ import annotations

import typing

from galago.models.doors import lazy_names as _lazy_names

if typing.TYPE_CHECKING:
    from galago.models.training.ear.align import align_corpus
    from galago.models.training.ear.batches import BatchMaker
    from galago.models.training.ear.checkpoint import load_model
    from galago.models.training.ear.corpus import Corpus, CorpusError, import_corpus
    from galago.models.training.ear.recipe import Recipe, load_recipe
    from galago.models.training.ear.synthesize import SpeechPlan, synthesize_corpus
    from galago.models.training.ear.trainer import EarTask, train

__all__ = [
    "BatchMaker",
    "Corpus",
    "CorpusError",
    "EarTask",
    "Recipe",
    "SpeechPlan",
    "align_corpus",
    "import_corpus",
    "load_model",
    "load_recipe",
    "synthesize_corpus",
    "train",
]

__getattr__, __dir__ = _lazy_names(
    __name__,
    {
        "align": ("align_corpus",),
        "batches": ("BatchMaker",),
        "checkpoint": ("load_model",),
        "corpus": ("Corpus", "CorpusError", "import_corpus"),
        "recipe": ("Recipe", "load_recipe"),
        "synthesize": ("SpeechPlan", "synthesize_corpus"),
        "trainer": ("EarTask", "train"),
    },
)
