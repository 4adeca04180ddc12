"""What a device is asked: an event of its ear, and what its eye saw at that moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from galago.runtime.events import Event, Final, Intent, Phrase, Rejected
from galago.streaming.turns.sight import LabelHistory, Sight

Heard = Literal["intent", "rejected", "text", "phrase"]
HEARD: tuple[Heard, ...] = ("intent", "rejected", "text", "phrase")


@dataclass(frozen=True, slots=True)
class Question:
    """What was heard, and what was to be seen when it was said."""

    heard: Heard
    end_ns: int  # capture time of the end of the utterance
    intent: str = ""
    slots: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    confidence: float = 1.0  # [0, 1]
    sight: Sight = Sight()
    utterance: int = 0

    @classmethod
    def of(cls, event: Event, history: LabelHistory) -> Question | None:
        """The question that an event of a session asks; None for events that ask nothing.

        What was seen is looked up at the end of what was said, not at the moment in which it is answered.
        """
        if not isinstance(event, Intent | Rejected | Phrase | Final) or (
            isinstance(event, Final) and not event.text
        ):
            return None
        words = getattr(event, "words", ())
        # An utterance ends after the endpoint's silence, what was said with its last word.
        end_ns: int = words[-1].end_ns if words else event.end_ns
        heard: dict[type[Event], Heard] = {
            Intent: "intent",
            Rejected: "rejected",
            Phrase: "phrase",
            Final: "text",
        }
        return cls(
            heard[type(event)],
            end_ns,
            intent=event.name if isinstance(event, Intent) else "",
            slots=event.slots if isinstance(event, Intent) else {},
            text=" ".join(word.text for word in words) if isinstance(event, Intent) else event.text,
            confidence=1.0 if isinstance(event, Final) else event.confidence,
            sight=history.at(end_ns),
            utterance=event.utterance,
        )
