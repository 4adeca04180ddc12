"""A small network learns from a large one: what students of every role share.

    losses          softened answers, hard labels, hidden states, relations
    alignment       CTC: teachers with other rows and spikes that come earlier
    layers          layer maps, taps, projections
    pruning         a student that begins as a part of its teacher
    pseudo_labels   what teachers are sure of, written as a corpus or an album
    command         ``galago label``

The roles call it: ``[distillation]`` in a recipe of an ear, an eye or a voice, and ``galago train`` as ever.
Importing this package loads nothing; a name loads its module, and what that needs, when it is asked for.
"""

from __future__ import annotations

import typing

from galago.models.doors import lazy_names as _lazy_names

if typing.TYPE_CHECKING:
    from galago.models.training.distill.alignment import (
        RowClock,
        delayed_kl,
        guided_loss,
        sampled_labels,
        sequence_loss,
    )
    from galago.models.training.distill.layers import Projections, block_names, layer_pairs, spread, tapped
    from galago.models.training.distill.losses import (
        deit_loss,
        hard_label_loss,
        hint_loss,
        mean_answer,
        relation_loss,
        similarity_loss,
        softened_kl,
    )
    from galago.models.training.distill.pruning import begin_as_part, head_importance, pruned
    from galago.models.training.distill.recipe import PruningRecipe

__all__ = [
    "Projections",
    "PruningRecipe",
    "RowClock",
    "begin_as_part",
    "block_names",
    "deit_loss",
    "delayed_kl",
    "guided_loss",
    "hard_label_loss",
    "head_importance",
    "hint_loss",
    "layer_pairs",
    "mean_answer",
    "pruned",
    "relation_loss",
    "sampled_labels",
    "sequence_loss",
    "similarity_loss",
    "softened_kl",
    "spread",
    "tapped",
]

__getattr__, __dir__ = _lazy_names(
    __name__,
    {
        "alignment": ("RowClock", "delayed_kl", "guided_loss", "sampled_labels", "sequence_loss"),
        "layers": ("Projections", "block_names", "layer_pairs", "spread", "tapped"),
        "losses": (
            "deit_loss",
            "hard_label_loss",
            "hint_loss",
            "mean_answer",
            "relation_loss",
            "similarity_loss",
            "softened_kl",
        ),
        "pruning": ("begin_as_part", "head_importance", "pruned"),
        "recipe": ("PruningRecipe",),
    },
)
