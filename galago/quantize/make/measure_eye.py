"""An eye on held-out photos: accuracies, busy time of an image, the photos it was most wrong about."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from galago.models.training.eye.album import Photo
from galago.models.training.eye.calibrate import confidences
from galago.models.training.eye.labels import EyeDescription
from galago.models.training.eye.trainer import accuracy, load_eye
from galago.models.training.sources import CorpusError
from galago.quantize.compile_openvino import Precision, convert_onnx
from galago.quantize.eye.export import export_onnx
from galago.quantize.eye.oracle import EyeOracle
from galago.quantize.eye.photos import album_photos
from galago.quantize.eye.recipe import EyePackRecipe
from galago.quantize.make.pictures import photo
from galago.quantize.provenance import provenance
from galago.quantize.timing import step_ms
from galago.runtime.manifest import read_manifest

__all__ = ["measure"]

_NUM_EXAMPLES = 12


def measure(
    model: Path, bundle: Path | None, recipe: EyePackRecipe, *, albums: Path, step_times: bool
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Measures, and photos whose wrong label it was surest of.

    Args:
        model: a run's ``model.pt``, looked through in float where there is no ``bundle``.
        albums: folder of albums.

    Raises:
        CheckpointError, CorpusError, RecipeError, ExportError: as their messages say.
    """
    network, description = load_eye(model)
    if bundle is not None:
        oracle = _packed(bundle, description)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "float.onnx"
            export_onnx(network, path)
            oracle = EyeOracle(convert_onnx(path), description.image)
    measures: dict[str, float] = {"step_ms": step_ms(oracle.request)} if step_times else {}
    splits = recipe.evaluation.splits
    photos = album_photos(provenance(model)["recipe"], albums, splits) if splits else []
    if not photos:
        return measures, []
    count = min(recipe.evaluation.max_photos, len(photos))
    chosen = [photos[i * len(photos) // count] for i in range(count)]
    truth = torch.tensor(_numbers(chosen, description))
    logits = torch.from_numpy(np.stack([oracle.logits(one.pixels) for one in chosen]))
    measures |= accuracy(logits, truth, description)
    return measures, _worst(chosen, logits, truth, description)


def _packed(bundle: Path, description: EyeDescription) -> EyeOracle:
    eye = read_manifest(bundle).eye
    assert eye is not None
    target = eye.targets[0]
    precision: Precision = "bf16" if target.inference_precision == "bf16" else "f32"
    return EyeOracle(bundle / target.model, description.image, precision)


def _numbers(photos: Sequence[Photo], description: EyeDescription) -> list[int]:
    numbers = {label: i for i, label in enumerate(description.labels)}
    for one in photos:
        if one.label not in numbers:
            raise CorpusError(f"{one.id}: the eye does not know the label {one.label.name!r}")
    return [numbers[one.label] for one in photos]


def _worst(
    photos: Sequence[Photo], logits: torch.Tensor, truth: torch.Tensor, description: EyeDescription
) -> list[dict[str, Any]]:
    best = logits.argmax(-1)
    sure = confidences(logits, description.temperature)
    wrong = [i for i in range(len(photos)) if best[i] != truth[i]]
    return [
        {
            "reference": photos[i].label.name,
            "hypothesis": description.labels[int(best[i])].name,
            "confidence": round(float(sure[i]), 4),
            "picture": photo(photos[i].pixels),
        }
        for i in sorted(wrong, key=lambda i: (-float(sure[i]), i))[:_NUM_EXAMPLES]
    ]
