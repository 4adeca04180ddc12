"""Shares of held-out photos that graphs label rightly, and how honest their probabilities are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from galago.models.training.eye.album import Photo
from galago.models.training.eye.calibrate import confidences, expected_calibration_error
from galago.models.training.eye.labels import EyeDescription
from galago.models.training.eye.trainer import accuracy
from galago.models.training.sources import CorpusError
from galago.quantize.eye.oracle import EyeOracle
from galago.quantize.eye.recipe import EyeEvaluation

__all__ = ["accuracies"]


def accuracies(
    oracles: Mapping[str, EyeOracle],
    photos: Sequence[Photo],
    description: EyeDescription,
    settings: EyeEvaluation,
    say: Callable[[str], None],
) -> dict[str, dict[str, Any]]:
    """Accuracies in percent by graph: of all photos, of each group, and of coarse classes.

    Args:
        oracles: "float" first, then "packed".
        photos: at most ``settings.max_photos`` of them, evenly spread, are looked at.

    Raises:
        CorpusError: a photo's label is none of the eye's.
    """
    numbers = {label: i for i, label in enumerate(description.labels)}
    strange = [photo for photo in photos if photo.label not in numbers]
    if strange:
        raise CorpusError(f"{strange[0].id}: the eye does not know the label {strange[0].label.name!r}")
    count = min(settings.max_photos, len(photos))
    chosen = [photos[i * len(photos) // count] for i in range(count)]
    say(f"evaluate: {count} photos")
    truth = torch.tensor([numbers[photo.label] for photo in chosen])
    found: dict[str, dict[str, Any]] = {}
    for name, oracle in oracles.items():
        logits = torch.from_numpy(np.stack([oracle.logits(photo.pixels) for photo in chosen]))
        shares = accuracy(logits, truth, description)
        error = expected_calibration_error(
            confidences(logits, description.temperature), logits.argmax(-1) == truth
        )
        percents = {f"{key}_percent": round(100.0 * share, 2) for key, share in shares.items()}
        found[name] = {
            **percents,
            "calibration_error_percent": round(100.0 * error, 2),
            "num_photos": count,
        }
        say(f"  {name}: {percents['accuracy_percent']:.2f} % right")
    lost = found["float"]["accuracy_percent"] - found["packed"]["accuracy_percent"]
    if lost > settings.max_accuracy_points:
        say(
            f"  WARNING: packed, it loses {lost:.2f} points of accuracy; "
            f"{settings.max_accuracy_points} are allowed"
        )
    return found
