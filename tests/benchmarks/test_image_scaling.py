"""The benchmark of image scaling compares what it times: both sides make the same of a frame."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import image_scaling
from tests.runtime.native_tools import find_tool


@pytest.mark.parametrize("format", image_scaling.FORMATS)
def test_both_sides_make_the_same_of_a_frame(format: str, native_library: Path) -> None:
    numbers = image_scaling.measure(find_tool(native_library, "tool_image"), format, (320, 240), 3)
    assert numbers["largest_difference_of_255"] <= 2
    for side in ("galago_us", "pillow_numpy_us"):
        assert 0 < numbers[side]["p50"] <= numbers[side]["p99"]
