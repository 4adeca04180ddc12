"""Word error rate over a set, and the one normalisation that all recognisers and all texts go through."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from galago.models.training.ear.transcripts import UnspeakableTextError, normalise

__all__ = ["UnspeakableTextError", "WordErrors", "count_errors", "normalise", "reference_words"]


@dataclass(frozen=True)
class WordErrors:
    """Errors of a set, added up over its clips (long clips weigh more, as usual in the literature)."""

    num_clips: int
    num_words: int
    substitutions: int
    deletions: int
    insertions: int

    @property
    def wer(self) -> float:
        """Word error rate in percent; above 100 where more is inserted than was said."""
        errors = self.substitutions + self.deletions + self.insertions
        return 100.0 * errors / self.num_words

    def as_row(self) -> dict[str, float | int]:
        return {"wer_percent": round(self.wer, 2), **asdict(self)}


def reference_words(text: str) -> list[str] | None:
    """Words of a reference; ``None`` where its spoken form is not known (digits, stage directions)."""
    if any(bracket in text for bracket in "[]<>{}"):
        return None
    try:
        return normalise(text) or None
    except UnspeakableTextError:
        return None


def hypothesis_words(text: str) -> list[str]:
    """Words of what a recogniser wrote. What the normalisation refuses stays, and counts as wrong."""
    words: list[str] = []
    for piece in text.split():
        try:
            words.extend(normalise(piece))
        except UnspeakableTextError:
            words.append(piece.lower())
    return words


def count_errors(pairs: Iterable[tuple[list[str], str]]) -> WordErrors:
    """Count the errors of (reference words, recogniser's text) pairs.

    Raises:
        ValueError: there are no pairs, or a reference is empty.
    """
    import jiwer

    references, hypotheses = [], []
    for reference, text in pairs:
        if not reference:
            raise ValueError("a reference without words has no word error rate")
        references.append(" ".join(reference))
        hypotheses.append(" ".join(hypothesis_words(text)))
    if not references:
        raise ValueError("no clips: nothing to count errors of")
    out = jiwer.process_words(references, hypotheses)
    num_words = out.hits + out.substitutions + out.deletions
    return WordErrors(len(references), num_words, out.substitutions, out.deletions, out.insertions)
