"""A turn as a picture: what was said, seen and answered over one axis of time.  Drawn with Pillow."""

from __future__ import annotations

import math
import os
from typing import Any

from galago.runtime.errors import SinkError
from galago.runtime.events import NS_PER_MS, NS_PER_S
from galago.streaming.extras import import_extra
from galago.streaming.turns.timeline import WINDOW_MS, Envelope, Row, Timeline

WIDTH, HEIGHT = 1600, 560
_LEFT, _RIGHT = 110, 24
_PAPER, _INK, _FAINT, _GRID = "#ffffff", "#1c2430", "#6b7686", "#e4e8ee"
_PERSON, _EYE, _DEVICE = "#2f6db5", "#3c8f5a", "#c2622d"
#: Lanes: (middle of the waveform or bar, top of the words).
_PERSON_Y, _EYE_Y, _DEVICE_Y, _NOTE_Y = 110, 255, 375, 470
_AMPLITUDE_PIXELS = 60
#: The font that comes with Pillow has none of these.
_PLAIN = str.maketrans({"→": ">", "—": "...", "✗": "x", "◆": "*", "…": "..."})
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60)


def save_picture(timeline: Timeline, path: str | os.PathLike[str]) -> None:
    """Draw a timeline into a PNG file.

    Raises:
        UnsupportedError: Pillow is not installed.
        SinkError: the file cannot be written.
    """
    drawing = _Drawing(timeline)
    try:
        drawing.draw().save(path, format="PNG")
    except OSError as error:
        raise SinkError(f"{os.fspath(path)}: {error.strerror or error}") from error


class _Drawing:
    def __init__(self, timeline: Timeline) -> None:
        import_extra("PIL", extra="camera", purpose="the picture of a turn")
        from PIL import Image, ImageDraw, ImageFont

        self._timeline = timeline
        self._image = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
        self._draw: Any = ImageDraw.Draw(self._image)
        self._font = ImageFont.load_default(15)
        self._small = ImageFont.load_default(12)
        rows = timeline.rows
        times = [time for row in rows for time in (row.begin_ns, row.end_ns)]
        times += [time for envelope in (timeline.heard, timeline.said) for time, _ in envelope.peaks()[:1]]
        times += [time for envelope in (timeline.heard, timeline.said) for time, _ in envelope.peaks()[-1:]]
        self._begin_ns = min(times, default=0)
        self._end_ns = max([*times, self._begin_ns + NS_PER_S // 2])

    def draw(self) -> Any:
        self._axis()
        for name, y in (("person", _PERSON_Y), ("eye", _EYE_Y), ("device", _DEVICE_Y)):
            self._draw.text((16, y - 10), name, fill=_FAINT, font=self._font)
        self._waveform(self._timeline.heard, _PERSON_Y, _PERSON)
        self._waveform(self._timeline.said, _DEVICE_Y, _DEVICE)
        for row in self._timeline.rows:
            if row.who == "person":
                self._person(row)
            elif row.who == "eye":
                self._eye(row)
            elif row.who == "device":
                self._text(row.begin_ns, _DEVICE_Y + 45, row.what, _DEVICE)
                self._text(row.begin_ns, _DEVICE_Y + 63, row.detail, _FAINT, small=True)
        self._notes([row for row in self._timeline.rows if row.who == "note"])
        return self._image

    def _x(self, time_ns: int) -> float:
        share = (time_ns - self._begin_ns) / (self._end_ns - self._begin_ns)
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def _axis(self) -> None:
        length_s = (self._end_ns - self._begin_ns) / NS_PER_S
        step_s = next((step for step in _STEPS_S if length_s / step <= 16), 120)
        for index in range(int(length_s / step_s) + 1):
            x = self._x(self._begin_ns + round(index * step_s * NS_PER_S))
            self._draw.line((x, 30, x, HEIGHT - 30), fill=_GRID)
            self._draw.text((x + 3, HEIGHT - 26), f"{index * step_s:g} s", fill=_FAINT, font=self._small)

    def _waveform(self, envelope: Envelope, y: int, colour: str) -> None:
        peaks = envelope.peaks()
        loudest = max((peak for _, peak in peaks), default=0.0) or 1.0
        width = max(1, math.ceil(self._x(self._begin_ns + WINDOW_MS * NS_PER_MS) - _LEFT))
        for time_ns, peak in peaks:
            half = max(0.5, peak / loudest * _AMPLITUDE_PIXELS / 2)
            x = self._x(time_ns)
            self._draw.line((x, y - half, x, y + half), fill=colour, width=width)

    def _person(self, row: Row) -> None:
        for word in row.words:
            x, right = self._x(word.begin_ns), self._x(word.end_ns)
            self._draw.line((x, _PERSON_Y + 42, right, _PERSON_Y + 42), fill=_PERSON, width=2)
            self._draw.text((x, _PERSON_Y + 46), word.text, fill=_PERSON, font=self._font)
        if not row.words:
            self._text(row.begin_ns, _PERSON_Y + 46, row.what, _PERSON)

    def _eye(self, row: Row) -> None:
        left, right = self._x(row.begin_ns), max(self._x(row.end_ns), self._x(row.begin_ns) + 3)
        self._draw.rectangle((left, _EYE_Y - 12, right, _EYE_Y + 12), fill="#dcefe2", outline=_EYE)
        is_wide = right - left > self._draw.textlength(row.what, font=self._small) + 6
        at = (left + 3, _EYE_Y - 7) if is_wide else (left, _EYE_Y + 14)
        self._draw.text(at, row.what, fill=_EYE, font=self._small)

    def _notes(self, rows: list[Row]) -> None:
        """Below each other where they would overlap."""
        ends = [0.0, 0.0, 0.0]
        for row in rows:
            x = self._x(row.begin_ns)
            line = next((index for index, end in enumerate(ends) if end < x), len(ends) - 1)
            ends[line] = x + self._draw.textlength(row.what, font=self._small) + 12
            self._text(row.begin_ns, _NOTE_Y + 18 * line, row.what, _INK, small=True)

    def _text(self, time_ns: int, y: float, text: str, colour: str, *, small: bool = False) -> None:
        font = self._small if small else self._font
        text = text.translate(_PLAIN)
        x = min(self._x(time_ns), WIDTH - _RIGHT - self._draw.textlength(text, font=font))
        self._draw.text((max(_LEFT, x), y), text, fill=colour, font=font)
