"""Self-supervised pre-training of the networks on raw samples: no labels, sound alone.

wav2vec 2.0   masked spans; which of the quantized true features and of K false ones stood here?
HuBERT        masked spans; which cluster does the frame belong to? clusters of MFCC, then of a network's own

``galago train`` runs it from a recipe with ``role = "pretraining"``; an ear begins with what it leaves.
"""

from __future__ import annotations

import typing

from galago.models.doors import lazy_names as _lazy_names

if typing.TYPE_CHECKING:
    from galago.models.training.pretrain.checkpoint import load_pretrained
    from galago.models.training.pretrain.contrastive import (
        ContrastivePretraining,
        PretrainingLosses,
        contrastive_loss,
        sample_negatives,
    )
    from galago.models.training.pretrain.kmeans import KMeans, fit_kmeans
    from galago.models.training.pretrain.masked_prediction import MaskedPrediction, PredictionLosses
    from galago.models.training.pretrain.quantizer import GumbelQuantizer, Quantized
    from galago.models.training.pretrain.recipe import PretrainingRecipe, load_pretraining_recipe
    from galago.models.training.pretrain.spans import mask_spans
    from galago.models.training.pretrain.trainer import PretrainingTask, pretrain

__all__ = [
    "ContrastivePretraining",
    "GumbelQuantizer",
    "KMeans",
    "MaskedPrediction",
    "PredictionLosses",
    "PretrainingLosses",
    "PretrainingRecipe",
    "PretrainingTask",
    "Quantized",
    "contrastive_loss",
    "fit_kmeans",
    "load_pretrained",
    "load_pretraining_recipe",
    "mask_spans",
    "pretrain",
    "sample_negatives",
]

__getattr__, __dir__ = _lazy_names(
    __name__,
    {
        "checkpoint": ("load_pretrained",),
        "contrastive": (
            "ContrastivePretraining",
            "PretrainingLosses",
            "contrastive_loss",
            "sample_negatives",
        ),
        "kmeans": ("KMeans", "fit_kmeans"),
        "masked_prediction": ("MaskedPrediction", "PredictionLosses"),
        "quantizer": ("GumbelQuantizer", "Quantized"),
        "recipe": ("PretrainingRecipe", "load_pretraining_recipe"),
        "spans": ("mask_spans",),
        "trainer": ("PretrainingTask", "pretrain"),
    },
)
