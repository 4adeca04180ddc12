"""What ends a training run with one line instead of a traceback."""

from __future__ import annotations

__all__ = ["TrainingDivergedError", "TrainingError"]


class TrainingError(Exception):
    """A recipe, data, a checkpoint or the run itself is at fault; the message says what and where.

    ``galago train`` prints the message and exits with 2. What a role raises for its own reasons derives
    from this, and from the built-in error that it is.
    """


class TrainingDivergedError(TrainingError, RuntimeError):
    """The loss is no number any more; the last checkpoint holds the last good state."""
