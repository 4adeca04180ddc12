"""From labelled photos to the weights of an eye: ``galago train RECIPE``, or these functions.

    album ────► batches ───────► trainer ──────► calibrate
    decoded,    cut, coloured,   checkpoints,    temperature and
    in memory   mixed, by step   model.pt        "nothing I know"

Importing this package loads nothing; a name loads its module, and what that needs, when it is asked for.
"""

from __future__ import annotations

import typing

from galago.models.doors import lazy_names as _lazy_names

if typing.TYPE_CHECKING:
    from galago.models.training.eye.album import Album, cover, read_album
    from galago.models.training.eye.checkpoint import load_eye, save_eye
    from galago.models.training.eye.labels import EyeDescription, EyeLabel, ImageFormat
    from galago.models.training.eye.recipe import EyeRecipe, load_eye_recipe
    from galago.models.training.eye.trainer import EyeTask, scores_of

__all__ = [
    "Album",
    "EyeDescription",
    "EyeLabel",
    "EyeRecipe",
    "EyeTask",
    "ImageFormat",
    "cover",
    "load_eye",
    "load_eye_recipe",
    "read_album",
    "save_eye",
    "scores_of",
]

__getattr__, __dir__ = _lazy_names(
    __name__,
    {
        "album": ("Album", "cover", "read_album"),
        "checkpoint": ("load_eye", "save_eye"),
        "labels": ("EyeDescription", "EyeLabel", "ImageFormat"),
        "recipe": ("EyeRecipe", "load_eye_recipe"),
        "trainer": ("EyeTask", "scores_of"),
    },
)
