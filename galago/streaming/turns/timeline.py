"""Who said, saw and answered what, and when: the rows of a turn, and its waveforms as they came."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from galago.runtime.events import (
    NS_PER_MS,
    NS_PER_S,
    Failed,
    Final,
    Gap,
    Intent,
    Labels,
    Phrase,
    Rejected,
    VoiceStart,
    VoiceStop,
    Word,
)
from galago.streaming.turns.conversation import Interrupted, Told, Trouble
from galago.streaming.turns.dialogue import Reply
from galago.streaming.turns.player import PlaybackEnded, PlaybackStarted

Who = Literal["person", "eye", "device", "note"]
NOTHING = "nothing it knows"
_MAX_ROWS = 2000
_MAX_S = 120.0  # of waveforms, the last ones
WINDOW_MS = 10


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that happened."""

    who: Who
    what: str
    begin_ns: int
    end_ns: int
    words: tuple[Word, ...] = ()
    detail: str = ""


class Envelope:
    """The loudness of a waveform over time, 10 ms a point, for the last minutes.  From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._peaks: deque[tuple[int, float]] = deque(maxlen=round(_MAX_S * 1000 / WINDOW_MS))

    def add(self, samples: npt.NDArray[np.float32], begin_ns: int, sample_rate_hz: int) -> None:
        """(num_samples,) that begin at begin_ns."""
        window = max(1, sample_rate_hz * WINDOW_MS // 1000)
        with self._lock:
            for begin in range(0, len(samples), window):
                peak = float(np.abs(samples[begin : begin + window]).max())
                self._peaks.append((begin_ns + begin * NS_PER_S // sample_rate_hz, peak))

    def peaks(self) -> list[tuple[int, float]]:
        """(time, peak in [0, 1]) of each window, in the order in which they came."""
        with self._lock:
            return list(self._peaks)


class Timeline:
    """Rows out of what a conversation tells.  Give `heard` and `said` to it as taps."""

    def __init__(self) -> None:
        self._rows: deque[Row] = deque(maxlen=_MAX_ROWS)
        self.heard = Envelope()
        self.said = Envelope()
        self._reply: Reply | None = None
        self._reply_row: Row | None = None

    @property
    def rows(self) -> list[Row]:
        """In the order in which things began."""
        return sorted(self._rows, key=lambda row: row.begin_ns)

    def add(self, told: Told) -> None:
        """One thing was told."""
        match told:
            case Final():
                self._rows.append(Row("person", told.text, told.begin_ns, told.end_ns, told.words))
            case Intent():
                slots = "".join(f" {name}={value}" for name, value in told.slots.items())
                text = f"→ {told.name}{slots} ({told.confidence:.2f})"
                self._rows.append(Row("note", text, told.end_ns, told.end_ns))
            case Rejected():
                text = f"✗ {told.text or '…'}"
                self._rows.append(Row("person", text, told.begin_ns, told.end_ns))
            case Phrase():
                self._rows.append(Row("person", f"◆ {told.text}", told.begin_ns, told.end_ns))
            case Labels():
                self._add_labels(told)
            case Reply():
                self._reply = told
            case PlaybackStarted():
                self._playback_started(told)
            case PlaybackEnded():
                self._playback_ended(told)
            case Interrupted():
                late_ms = (told.silent_ns - told.begin_ns) / NS_PER_MS
                text = f"interrupted; silent {late_ms:.0f} ms after they began"
                self._rows.append(Row("note", text, told.begin_ns, told.silent_ns))
            case Gap():
                text = f"not listening for {(told.end_ns - told.begin_ns) / NS_PER_S:.2f} s"
                self._rows.append(Row("note", text, told.begin_ns, told.end_ns))
            case Failed() | Trouble():
                when_ns = told.emitted_ns if isinstance(told, Failed) else told.when_ns
                self._rows.append(Row("note", told.text, when_ns, when_ns))
            case VoiceStart() | VoiceStop() | _:
                pass

    def table(self) -> list[tuple[str, str, str, str]]:
        """(begin in s, end in s, who, what) of each row, as text; times count from the first row."""
        rows = self.rows
        origin_ns = rows[0].begin_ns if rows else 0

        def seconds(time_ns: int) -> str:
            return f"{(time_ns - origin_ns) / NS_PER_S:.2f}"

        return [
            (
                seconds(row.begin_ns),
                seconds(row.end_ns) if row.end_ns > row.begin_ns else "",
                "" if row.who == "note" else row.who,
                f"{row.what}{f'  [{row.detail}]' if row.detail else ''}",
            )
            for row in rows
        ]

    def _add_labels(self, told: Labels) -> None:
        """An image that shows what the one before it showed makes its row longer."""
        name = told.labels[0].name if told.labels else NOTHING
        detail = f"{told.labels[0].score:.2f}" if told.labels else ""
        for index in range(len(self._rows) - 1, -1, -1):
            row = self._rows[index]
            if row.who == "eye":
                if row.what == name:
                    self._rows[index] = replace(row, end_ns=told.end_ns, detail=detail)
                    return
                break
        self._rows.append(Row("eye", name, told.begin_ns, told.end_ns, detail=detail))

    def _playback_started(self, told: PlaybackStarted) -> None:
        text = self._reply.text if self._reply is not None else "…"
        detail = ""
        if self._reply is not None:
            latency_ms = (told.begin_ns - self._reply.question.end_ns) / NS_PER_MS
            detail = f"{latency_ms:.0f} ms after the question"
        self._reply_row = Row("device", text, told.begin_ns, told.begin_ns, detail=detail)
        self._rows.append(self._reply_row)

    def _playback_ended(self, told: PlaybackEnded) -> None:
        row, self._reply_row = self._reply_row, None
        if row is None:
            return
        text = f"{row.what} —" if told.was_interrupted else row.what
        ended = replace(row, what=text, end_ns=told.end_ns)
        for index, other in enumerate(self._rows):
            if other is row:
                self._rows[index] = ended
                return
