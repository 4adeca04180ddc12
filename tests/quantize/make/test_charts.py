from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest

from galago.quantize.make.charts import Line, Point, bars, histogram, lines, points


def drawn(figure: str) -> ElementTree.Element:
    """The chart, which must be well-formed, inside its frame, and free of what no browser understands."""
    assert "nan" not in figure and "inf" not in figure
    svg = ElementTree.fromstring(figure).find("svg")
    assert svg is not None
    return svg


def places(svg: ElementTree.Element, tag: str, *names: str) -> list[list[float]]:
    return [[float(node.attrib[name]) for name in names] for node in svg.iter(tag)]


def test_curves_go_where_their_values_are() -> None:
    svg = drawn(lines("loss & more", [Line("a", [0, 10, 20], [1.0, 3.0, 2.0])], "step", "loss"))
    (line,) = svg.iter("polyline")
    first, highest, last = (tuple(map(float, p.split(","))) for p in line.attrib["points"].split())
    assert first[0] < highest[0] < last[0]
    assert highest[1] < last[1] < first[1]  # y grows downwards
    assert svg.attrib["aria-label"] == "loss & more"


def test_long_curves_are_thinned_and_keep_their_end() -> None:
    svg = drawn(lines("t", [Line("a", range(10_000), [float(i) for i in range(10_000)])], "x", "y"))
    (line,) = svg.iter("polyline")
    found = line.attrib["points"].split()
    assert len(found) <= 402
    whole = drawn(lines("t", [Line("a", [0, 9999], [0.0, 9999.0])], "x", "y"))
    (straight,) = whole.iter("polyline")
    assert found[-1] == straight.attrib["points"].split()[-1]


@pytest.mark.parametrize("ys", [[5.0], [0.0, 0.0, 0.0], [1e-12, 2e-12], [-3e6, 4e6], [float("nan"), 1.0]])
def test_odd_values_are_drawn(ys: list[float]) -> None:
    svg = drawn(lines("t", [Line("a", list(range(len(ys))), ys, is_marked=True)], "x", "y"))
    for x, y in places(svg, "circle", "cx", "cy"):
        assert 0 <= x <= 460 and 0 <= y <= 250


def test_nothing_to_draw_is_no_figure() -> None:
    assert lines("t", [], "x", "y") == points("t", [], "x", "y") == bars("t", [], (), "dB") == ""
    assert lines("t", [Line("a", [1.0], [float("nan")])], "x", "y") == ""


def test_points_are_measured_from_zero_and_named() -> None:
    figure = points("t", [Point("one <b>", 1.0, 10.0), Point("two", 2.0, 5.0)], "x", "y")
    svg = drawn(figure)
    (a, b) = places(svg, "circle", "cx", "cy")
    assert a[0] < b[0] and a[1] < b[1]
    assert (b[0] - 56) / (a[0] - 56) == pytest.approx(2.0, abs=0.01)  # 56 px is where x is 0
    assert "one &lt;b&gt;" in figure


def test_bars_reach_as_far_as_their_values() -> None:
    svg = drawn(bars("t", [("up", (30.0, 15.0), False), ("bad", (-5.0, 1.0), True)], ("a", "b"), "dB"))
    (one, half, below, _) = places(svg, "rect", "x", "width")
    assert one[1] == pytest.approx(2 * half[1], abs=0.2) and one[0] == half[0]
    assert below[0] + below[1] == pytest.approx(one[0], abs=0.2)
    marked = [node.text for node in svg.iter("text") if "out" in node.attrib["class"].split()]
    assert marked == ["bad"]


def test_histograms_keep_their_ends() -> None:
    figure = histogram("t", -1.5, 2.25, [0, 3, 100, 1])
    heights = [height for (height,) in places(drawn(figure), "rect", "height")]
    assert heights[0] == 0.0 and heights[2] > heights[1] > heights[3] > 0.0
    assert re.search(r">-1\.5<", figure) and re.search(r">2\.25<", figure)
