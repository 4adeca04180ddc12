"""Curves: smoothed by the mean of the last values, drawn for the keys that the rows have."""

from __future__ import annotations

from pathlib import Path

import pytest

from galago.models.training.plots import Panel, moving_average, save_curves


def test_curves_are_smoothed_by_the_mean_of_the_last_values() -> None:
    values = [float(i * i) for i in range(9)]
    expected = [sum(values[max(0, i - 2) : i + 1]) / min(i + 1, 3) for i in range(9)]
    assert moving_average(values, 3).tolist() == pytest.approx(expected)
    assert moving_average(values, 1).tolist() == values


@pytest.mark.parametrize("num_panels", [1, 3, 4])
def test_a_picture_has_room_for_every_panel(num_panels: int, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: nothing draws")
    rows = [{"step": i, "total": 5.0 - i} for i in range(4)]
    rows[3]["dev_wer"] = 0.5
    panels = [Panel(str(i), ("total", "dev_wer", "never_there")) for i in range(num_panels)]
    save_curves([], panels, tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()
    save_curves(rows, panels, tmp_path / "curves.png")
    data = (tmp_path / "curves.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(data[20:24], "big") == 325 * (-(-num_panels // 2))
