"""A hook of what-do-you-see.toml: what the device does, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Mapping

from galago.streaming import Question


def switch(question: Question) -> Mapping[str, str]:
    """Where a lamp would be switched; returns the slots that the reply fills in."""
    return {"state": "on" if question.slots["area"] == "kitchen" else "off"}
