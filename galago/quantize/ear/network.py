"""The networks that are packed: of a training run, or an imported one with a CTC head of characters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from galago.models.checkpoint import load_network
from galago.models.ctc_ear import CtcEar, published_tokens
from galago.models.ear import Ear
from galago.models.training.checkpoints import CheckpointError, load
from galago.models.training.ear.checkpoint import load_model
from galago.models.training.toml_tables import RecipeError
from galago.models.wav2vec2 import Wav2Vec2

__all__ = ["IMPORTED_EARS", "check_chunks", "check_second_pass", "load_ear"]

#: Kinds of imported networks that are ears.
IMPORTED_EARS = ("wav2vec2",)


def load_ear(path: Path) -> Ear:
    """The ear of a run's ``model.pt`` or of a galago model file, in evaluation mode.

    Raises:
        CheckpointError: the file is damaged, or its network cannot be an ear.
    """
    if load(path).get("role", "ear") not in IMPORTED_EARS:
        return load_model(path)
    stored = load_network(path)
    assert isinstance(stored.network, Wav2Vec2)
    try:
        return CtcEar(stored.network, published_tokens(stored.details)).eval()
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its head is no ear's: {error}") from error


def check_chunks(model: Ear, chunk_tokens: Sequence[int], path: Path) -> None:
    """Raises RecipeError where the network at ``path`` cannot hear chunks of one of these sizes."""
    step = model.chunk_step_tokens
    for n in chunk_tokens:
        if n % step:
            raise RecipeError(f"chunk_tokens: {path}, {model.family}, hears multiples of {step}, and not {n}")


def check_second_pass(first: Ear, second: Ear, first_path: Path, second_path: Path) -> None:
    """Raises CheckpointError unless rows of both networks last as long and mean the same."""
    durations = [model.front_end.token_samples for model in (first, second)]
    if durations[0] != durations[1]:
        raise CheckpointError(
            f"{second_path}: a token has {durations[1]} samples, and {durations[0]} in {first_path}: it "
            "cannot be its second pass"
        )
    for what in ("tokens", "phones"):
        if getattr(first, what) != getattr(second, what):
            raise CheckpointError(
                f"{second_path}: has other {what} than {first_path}: it cannot be its second pass"
            )
