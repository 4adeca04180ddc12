"""Which clips a recipe with ``label_minutes`` learns from, so that runs with fewer labels can be compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from galago.models.training.ear.corpus import Clip

__all__ = ["within_minutes"]


def within_minutes(clips: Iterable[tuple[str, Clip]], minutes: float) -> set[tuple[str, str]]:
    """Corpus and id of the first clips, at least one, that are together no longer than ``minutes``.

    One clip of each speaker comes first, then a second one of each who has another, and so on; which ones is
    decided by hashes of their ids. So the choice depends on nothing but the clips, fewer minutes are part of
    more, and few minutes have many voices. Of unknown speakers, each corpus has one.

    Args:
        clips: names of corpora, and a clip of each.
    """

    def drawn(corpus: str, clip: Clip) -> str:
        return hashlib.sha256(f"{corpus}/{clip.id}".encode()).hexdigest()

    of_speaker: dict[tuple[str, str | None], list[tuple[str, str, Clip]]] = {}
    for corpus, clip in clips:
        of_speaker.setdefault((corpus, clip.speaker), []).append((drawn(corpus, clip), corpus, clip))
    turns: list[tuple[int, str, str, Clip]] = []
    for found in of_speaker.values():
        ordered = sorted(found, key=lambda entry: entry[0])
        turns += [(turn, order, corpus, clip) for turn, (order, corpus, clip) in enumerate(ordered)]
    chosen: set[tuple[str, str]] = set()
    total_s = 0.0
    for _, _, corpus, clip in sorted(turns, key=lambda entry: entry[:3]):
        total_s += clip.duration_s
        if chosen and total_s > minutes * 60.0:
            break
        chosen.add((corpus, clip.id))
    return chosen
