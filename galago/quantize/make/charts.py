"""Charts as SVG that a page's style colours: lines, bars, points, histograms. Text stays text, and prints."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Line", "Point", "bars", "histogram", "lines", "points"]

_WIDTH, _HEIGHT = 460, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 12, 40
_MAX_POINTS = 400
_NUM_COLOURS = 6  # classes c0 to c5 of the page


class Line(NamedTuple):
    """A curve; ``is_marked`` draws its few values as dots too."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    is_marked: bool = False


class Point(NamedTuple):
    name: str
    x: float
    y: float


class _Axis(NamedTuple):
    low: float
    high: float
    begin_px: float
    end_px: float

    def place(self, value: float) -> float:
        return self.begin_px + (value - self.low) / (self.high - self.low) * (self.end_px - self.begin_px)

    def ticks(self) -> list[float]:
        """Five or so round numbers."""
        raw = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(power * f for f in (1, 2, 2.5, 5, 10) if power * f >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def _axes(xs: Sequence[float], ys: Sequence[float], *, height: int, from_zero: bool) -> tuple[_Axis, _Axis]:
    def ends(values: Sequence[float], *, zero: bool, margin: float) -> tuple[float, float]:
        low, high = min(values), max(values)
        low = min(low, 0.0) if zero else low
        room = (high - low or abs(high) or 1.0) * margin
        return (low if zero and low == 0.0 else low - room), high + room

    return (
        _Axis(*ends(xs, zero=from_zero, margin=0.08 if from_zero else 0.0001), _LEFT, _WIDTH - _RIGHT),
        _Axis(*ends(ys, zero=from_zero, margin=0.08), height - _BOTTOM, _TOP),
    )


def _number(value: float) -> str:
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k"
    return f"{0.0 if abs(value) < 1e-12 else value:.4g}"


def _frame(x: _Axis, y: _Axis, x_label: str, y_label: str, *, height: int) -> list[str]:
    parts = []
    for value in y.ticks():
        place = y.place(value)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{place:.1f}" y2="{place:.1f}"/>'
        )
        parts.append(f'<text class="tick end" x="{_LEFT - 6}" y="{place + 4:.1f}">{_number(value)}</text>')
    for value in x.ticks():
        place = x.place(value)
        parts.append(
            f'<text class="tick mid" x="{place:.1f}" y="{height - _BOTTOM + 16}">{_number(value)}</text>'
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text class="axis mid" x="{middle}" y="{height - 6}">{html.escape(x_label)}</text>')
    centre = (_TOP + height - _BOTTOM) / 2
    parts.append(
        f'<text class="axis mid" transform="translate(12 {centre}) rotate(-90)">{html.escape(y_label)}</text>'
    )
    return parts


def _svg(parts: Sequence[str], title: str, *, width: int = _WIDTH, height: int = _HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(title, quote=True)}">'
        + "".join(parts)
        + "</svg>"
    )


def _legend(names: Sequence[str]) -> str:
    if len(names) < 2:
        return ""
    keys = (f'<span class="k{i % _NUM_COLOURS}">{html.escape(name)}</span>' for i, name in enumerate(names))
    return f'<p class="legend">{"".join(keys)}</p>'


def _figure(title: str, svg: str, legend: str = "") -> str:
    return f"<figure><figcaption>{html.escape(title)}</figcaption>{svg}{legend}</figure>"


def lines(title: str, curves: Sequence[Line], x_label: str, y_label: str) -> str:
    """Curves in one frame, as an HTML figure. Long ones are thinned; what is not finite is left out."""
    drawn = []
    for curve in curves:
        pairs = [(x, y) for x, y in zip(curve.xs, curve.ys, strict=True) if math.isfinite(y)]
        step = -(-len(pairs) // _MAX_POINTS) or 1
        thinned = pairs[::step] + (pairs[-1:] if (len(pairs) - 1) % step else [])
        if thinned:
            drawn.append((curve, thinned))
    if not drawn:
        return ""
    x, y = _axes(
        [p[0] for _, pairs in drawn for p in pairs],
        [p[1] for _, pairs in drawn for p in pairs],
        height=_HEIGHT,
        from_zero=False,
    )
    parts = _frame(x, y, x_label, y_label, height=_HEIGHT)
    for number, (curve, pairs) in enumerate(drawn):
        places = [(x.place(a), y.place(b)) for a, b in pairs]
        colour = f"c{number % _NUM_COLOURS}"
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
        parts.append(f'<polyline class="curve {colour}" points="{path}"/>')
        if curve.is_marked or len(places) == 1:
            parts += [f'<circle class="dot {colour}" cx="{a:.1f}" cy="{b:.1f}" r="2.5"/>' for a, b in places]
    return _figure(title, _svg(parts, title), _legend([curve.name for curve, _ in drawn]))


def points(title: str, found: Sequence[Point], x_label: str, y_label: str) -> str:
    """Named points, both axes from 0."""
    if not found:
        return ""
    x, y = _axes([p.x for p in found], [p.y for p in found], height=_HEIGHT, from_zero=True)
    parts = _frame(x, y, x_label, y_label, height=_HEIGHT)
    for number, point in enumerate(found):
        a, b = x.place(point.x), y.place(point.y)
        parts.append(
            f'<circle class="dot c{number % _NUM_COLOURS}" cx="{a:.1f}" cy="{b:.1f}" r="5">'
            f"<title>{html.escape(point.name)}: {point.x:.4g}, {point.y:.4g}</title></circle>"
        )
    return _figure(title, _svg(parts, title), _legend([point.name for point in found]))


def bars(
    title: str, rows: Sequence[tuple[str, Sequence[float], bool]], names: Sequence[str], unit: str
) -> str:
    """Horizontal bars: (label, a value for each of ``names``, whether it is to stand out)."""
    if not rows:
        return ""
    width, left, row_px = 940, 330, 9 * len(names) + 7
    height = row_px * len(rows) + 34
    values = [value for _, numbers, _ in rows for value in numbers]
    x = _Axis(min(0.0, *values), max(1e-9, *values) * 1.02, left, width - 14)
    parts = []
    for value in x.ticks():
        place = x.place(value)
        parts.append(f'<line class="grid" x1="{place:.1f}" x2="{place:.1f}" y1="0" y2="{height - 30}"/>')
        parts.append(f'<text class="tick mid" x="{place:.1f}" y="{height - 16}">{_number(value)}</text>')
    for number, (label, numbers, stands_out) in enumerate(rows):
        top = row_px * number + 3
        marked = " out" if stands_out else ""
        parts.append(
            f'<text class="tick end{marked}" x="{left - 6}" y="{top + row_px / 2 + 2:.1f}">'
            f"{html.escape(label)}</text>"
        )
        for i, value in enumerate(numbers):
            begin, end = sorted((x.place(0.0), x.place(value)))
            parts.append(
                f'<rect class="bar c{i}" x="{begin:.1f}" y="{top + 9 * i}" '
                f'width="{max(0.5, end - begin):.1f}" height="8"/>'
            )
    parts.append(
        f'<text class="axis mid" x="{(left + width) / 2}" y="{height - 2}">{html.escape(unit)}</text>'
    )
    return _figure(title, _svg(parts, title, width=width, height=height), _legend(names))


def histogram(title: str, low: float, high: float, counts: Sequence[int]) -> str:
    """Counts of equal bins; high ones by their logarithm, as a few outliers decide a range."""
    width, height, bottom = 300, 120, 18
    tallest = math.log1p(max(counts))
    bar_px = (width - 8) / len(counts)
    parts = [
        f'<rect class="bar c0" x="{4 + i * bar_px:.1f}" width="{max(0.5, bar_px - 0.6):.1f}" '
        f'y="{height - bottom - h:.1f}" height="{h:.1f}"/>'
        for i, h in enumerate((height - bottom - 6) * math.log1p(count) / tallest for count in counts)
    ]
    parts.append(f'<text class="tick" x="4" y="{height - 4}">{_number(low)}</text>')
    parts.append(f'<text class="tick end" x="{width - 4}" y="{height - 4}">{_number(high)}</text>')
    return _figure(title, _svg(parts, title, width=width, height=height))
