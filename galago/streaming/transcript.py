"""Events for people and for programs: JSON lines, plain lines, and a live line on a terminal.

Transcript
├── JsonTranscript       one JSON object a line, every event
├── PlainTranscript      finals, intents and what went wrong, one a line: for pipes and files
└── LiveTranscript       the same above a last line that the partials rewrite: for terminals
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Any, TextIO

from galago.runtime.events import (
    NS_PER_S,
    Event,
    Failed,
    Final,
    Gap,
    Intent,
    Labels,
    Partial,
    Phrase,
    Posteriors,
    Rejected,
    SpeakStart,
    SpeakStop,
    VoiceStart,
    VoiceStop,
    Word,
)

_TYPE_NAMES: dict[type[Event], str] = {
    VoiceStart: "voice_start",
    VoiceStop: "voice_stop",
    Partial: "partial",
    Final: "final",
    Intent: "intent",
    Rejected: "rejected",
    Phrase: "phrase",
    Labels: "labels",
    SpeakStart: "speak_start",
    SpeakStop: "speak_stop",
    Gap: "gap",
    Failed: "failed",
}


def as_json(event: Event, *, file: str, origin_ns: int, live: bool) -> dict[str, Any] | None:
    """An event as the object of one JSON line; None for kinds that are no text (posteriors).

    Every line has every key: "type", "file", "text", "words" (each with "word", "begin_s", "end_s" and
    "confidence"), "name", "slots", "confidence", "begin_s", "end_s", "latency_ms".  "confidence" in [0, 1]
    is of intents, rejections and phrases.  Times count from the first sample of the source; "latency_ms" is
    null where the source does not run in real time.

    Args:
        event: what the session told.
        file: the name of the source.
        origin_ns: capture time of its first sample.
        live: its capture times are monotonic time.
    """
    kind = _TYPE_NAMES.get(type(event))
    if kind is None:
        return None

    def seconds(time_ns: int) -> float:
        return round((time_ns - origin_ns) / NS_PER_S, 3)

    def spelled(word: Word) -> dict[str, Any]:
        return {
            "word": word.text,
            "begin_s": seconds(word.begin_ns),
            "end_s": seconds(word.end_ns),
            "confidence": round(word.confidence, 3),
        }

    words: tuple[Word, ...] = getattr(event, "words", ())
    text: str | None = getattr(event, "text", None)
    confidence: float | None = getattr(event, "confidence", None)
    if isinstance(event, Intent):
        text = " ".join(word.text for word in words)
    return {
        "type": kind,
        "file": file,
        "text": text,
        "words": [spelled(word) for word in words],
        "name": event.name if isinstance(event, Intent) else None,
        "slots": dict(event.slots) if isinstance(event, Intent) else None,
        "confidence": None if confidence is None else round(confidence, 3),
        "begin_s": seconds(event.begin_ns),
        "end_s": seconds(event.end_ns),
        "latency_ms": round(event.latency_ms, 1) if live else None,
    }


class Transcript(ABC):
    """Shows the events of one source after the other.  A context manager."""

    def __init__(self) -> None:
        self.file = ""
        self.live = False
        self.origin_ns: int | None = None

    def begin(self, file: str, *, live: bool) -> None:
        """The next events belong to this source."""
        self.file = file
        self.live = live
        self.origin_ns = None

    @abstractmethod
    def show(self, event: Event) -> None:
        """Show one event now; raises BrokenPipeError where nobody reads any more."""

    def __enter__(self) -> Transcript:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027 - a stream that is the caller's stays open
        """Leave the output as it was."""


class JsonTranscript(Transcript):
    """One JSON object a line, flushed at once."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def show(self, event: Event) -> None:
        line = as_json(event, file=self.file, origin_ns=self.origin_ns or 0, live=self.live)
        if line is not None:
            self._stream.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._stream.flush()


class PlainTranscript(Transcript):
    """One line for each event that lasts: finals, intents, rejections, phrases, gaps and failures."""

    def __init__(self, stream: TextIO, *, name_files: bool = False) -> None:
        super().__init__()
        self._stream = stream
        self._name_files = name_files

    def show(self, event: Event) -> None:
        line = lasting_line(event)
        if line is not None:
            prefix = f"{self.file}: " if self._name_files else ""
            self._stream.write(prefix + line + "\n")
            self._stream.flush()


class LiveTranscript(Transcript):
    """Partials rewrite the last line of the terminal; what lasts scrolls up above it."""

    def __init__(self, *, name_files: bool = False) -> None:
        super().__init__()
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        self._text = Text
        self._console = Console(highlight=False)
        self._live = Live(Text(), console=self._console, transient=True, auto_refresh=False)
        self._name_files = name_files

    def begin(self, file: str, *, live: bool) -> None:
        super().begin(file, live=live)
        if self._name_files:
            self._console.print(self._text(file, style="bold"))

    def show(self, event: Event) -> None:
        if isinstance(event, Partial):
            # What is stable stands still; the rest may change, and looks like it.
            tail = event.text[len(event.stable_text) :]
            line = self._text.assemble(
                "… ", event.stable_text, (tail, "dim"), no_wrap=True, overflow="ellipsis"
            )
            self._live.update(line, refresh=True)
            return
        lasting = lasting_line(event)
        if lasting is None:
            return
        style = {Intent: "green", Rejected: "yellow", Phrase: "cyan", Gap: "red", Failed: "red"}
        line = self._text(lasting, style=style.get(type(event), ""))
        if self.live and isinstance(event, Final | Intent | Rejected):
            line.append(f"  {event.latency_ms:.0f} ms", style="dim")
        self._live.update(self._text(), refresh=True)
        self._console.print(line)

    def __enter__(self) -> Transcript:
        self._live.start()
        return self

    def close(self) -> None:
        self._live.stop()


def lasting_line(event: Event) -> str | None:
    """One line for an event that lasts; None for those that come and go."""
    match event:
        case Final():
            return event.text
        case Intent():
            slots = "".join(f" {name}={value!r}" for name, value in event.slots.items())
            return f"→ {event.name}{slots} ({event.confidence:.2f})"
        case Rejected():
            return f"✗ not understood: {event.text or '…'} ({event.confidence:.2f})"
        case Phrase():
            return f"◆ {event.text} ({event.confidence:.2f})"
        case Labels():
            return ", ".join(f"{label.name} {label.score:.2f}" for label in event.labels)
        case Gap():
            return f"[gap of {(event.end_ns - event.begin_ns) / NS_PER_S:.2f} s]"
        case Failed():
            return f"[failed: {event.text}]"
        case VoiceStart() | VoiceStop() | Partial() | Posteriors():
            return None
    return None
