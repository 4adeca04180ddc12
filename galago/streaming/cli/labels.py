"""What an eye saw, in words and as JSON: the same in `galago see` and `galago watch`."""

from __future__ import annotations

from typing import Any

from galago.runtime.bundle import Bundle
from galago.runtime.errors import UnsupportedError
from galago.runtime.events import Labels

NOTHING = "nothing I know"
LEAST_SCORE = 0.01  # people need not read of less


def check_eye(bundle: Bundle) -> None:
    """Ask before a camera is opened.

    Raises:
        UnsupportedError: the bundle has no eye.
    """
    if bundle.manifest.eye is None:
        raise UnsupportedError(
            f"{bundle.manifest.name}: this bundle has no eye; `galago info` says what it has"
        )


def labels_line(event: Labels) -> str:
    """ "Golden-Delicious 0.93, Royal-Gala 0.04", or that it is nothing known."""
    shown = [label for label in event.labels if label.score >= LEAST_SCORE]
    return ", ".join(f"{label.name} {label.score:.2f}" for label in shown) or NOTHING


def labels_row(event: Labels, file: str) -> dict[str, Any]:
    """The object of one JSON line: "type", "file" and "labels", best first; empty where nothing is known."""
    labels = [{"name": label.name, "score": round(label.score, 4)} for label in event.labels]
    return {"type": "labels", "file": file, "labels": labels}


def best_name(event: Labels) -> str:
    """The label that counts."""
    return event.labels[0].name if event.labels else NOTHING
