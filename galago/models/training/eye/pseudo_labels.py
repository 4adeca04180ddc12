"""Labels for photos that nobody looked at: what teachers see in them, where they are sure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from galago.models.training.distill.pseudo_labels import Verdict, unlabelled
from galago.models.training.eye.album import Pixels, cover, decode_photo
from galago.models.training.eye.teachers import EyeTeacher, label_columns
from galago.models.training.sources import IMAGE_SUFFIXES
from galago.models.training.toml_tables import RecipeError

__all__ = ["PhotoSettings", "label_photos"]


@dataclass(frozen=True)
class PhotoSettings:
    """What a label must be to be believed."""

    min_confidence: float = 0.9  # of the teachers' mean, each at the temperature that it was calibrated to
    group: str | None = None  # whose labels are asked for; needed where the first teacher knows several


def _columns(teachers: Sequence[EyeTeacher], group: str | None) -> tuple[list[int], list[torch.Tensor]]:
    """The labels that count, and where each teacher's scores have them."""
    groups = sorted({label.group for label in teachers[0].labels})
    if group is None and len(groups) > 1:
        raise RecipeError(f"{teachers[0].name}: knows {' and '.join(groups)}; say which group is asked for")
    chosen = [i for i, label in enumerate(teachers[0].labels) if group in (None, label.group)]
    if not chosen:
        raise RecipeError(f"{teachers[0].name}: knows no group {group!r} (known: {', '.join(groups)})")
    wanted = [teachers[0].labels[i] for i in chosen]
    places = [label_columns(teacher.labels, wanted, teacher.name) for teacher in teachers]
    return chosen, [torch.tensor(place) for place in places]


@torch.no_grad()
def label_photos(
    teachers: Sequence[EyeTeacher],
    source: Path,
    settings: PhotoSettings,
    *,
    splits: tuple[str, ...] = (),
    device: torch.device | str = "cpu",
) -> Iterator[Verdict]:
    """Look at every photo of an album or a folder; labels that it may have are not looked at.

    Raises:
        RecipeError: the group is not said, or the first teacher does not know it.
        CheckpointError: another teacher lacks one of its labels.
        CorpusError: the source cannot be read, or a file of it is no image.
    """
    chosen, columns = _columns(teachers, settings.group)

    def probabilities(teacher: EyeTeacher, pixels: Pixels, places: torch.Tensor) -> torch.Tensor:
        image = teacher.image
        seen = image.batch(np.stack([cover(pixels, image.height, image.width)])).to(device)
        scores = teacher.network(seen)[0].float().cpu()
        return torch.softmax(scores / teacher.temperature, dim=-1)[places]

    for row, data in unlabelled(source, IMAGE_SUFFIXES, splits):
        pixels = decode_photo(data, f"{source}:{row['file']}")
        answers = [probabilities(t, pixels, c) for t, c in zip(teachers, columns, strict=True)]
        confidence, best = torch.stack(answers).mean(dim=0).max(dim=0)
        if float(confidence) < settings.min_confidence:
            yield Verdict(row, data, None, reason="not sure")
            continue
        label = teachers[0].labels[chosen[int(best)]]
        yield Verdict(row, data, {"label": label.name, "coarse": label.coarse}, float(confidence))
