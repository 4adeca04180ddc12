"""Rows, percentiles and tables of the benchmarks."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from benchmarks.common import make_row, percentiles, progress, table, write_rows

REQUIRED = {
    "name", "variant", "commit", "date", "cpu", "cores", "versions", "bundle", "target", "threads", "warm_up",
    "settings", "numbers",
}  # fmt: skip


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(v) for v in range(1, 101)]
    assert percentiles(values) == {"p50": 50.0, "p95": 95.0, "p99": 99.0}
    assert percentiles([7.0]) == {"p50": 7.0, "p95": 7.0, "p99": 7.0}


def test_percentiles_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="no measurements"):
        percentiles([])


def test_a_row_says_what_was_measured_with_what_on_what(tmp_path: Path) -> None:
    manifest = json.dumps({"name": "tiny", "version": "1.2", "files": {}})
    (tmp_path / "manifest.json").write_text(manifest)
    row = make_row("ear_speed", {"rtf": 0.01}, bundle=tmp_path, target="t", threads=1, warm_up="50 steps")
    assert set(row) >= REQUIRED
    sha256 = hashlib.sha256(manifest.encode()).hexdigest()
    assert row["bundle"] == {"name": "tiny", "version": "1.2", "sha256": sha256}
    assert row["cores"] >= 1 and row["versions"]["numpy"]
    assert json.loads(json.dumps(row)) == row


def test_a_row_replaces_the_one_with_its_variant(tmp_path: Path) -> None:
    write_rows([make_row("x", {"n": 1}, variant="a"), make_row("x", {"n": 2}, variant="b")], tmp_path)
    path = write_rows([make_row("x", {"n": 3}, variant="a"), make_row("x", {"n": 4}, variant="c")], tmp_path)
    rows = json.loads(path.read_text())
    assert [(r["variant"], r["numbers"]["n"]) for r in rows] == [("a", 3), ("b", 2), ("c", 4)]


def test_rows_of_two_benchmarks_do_not_share_a_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one benchmark"):
        write_rows([make_row("x", {}), make_row("y", {})], tmp_path)


def test_progress_yields_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress([3, 1, 2], "clips")) == [3, 1, 2]
    assert "clips: 3 in" in capsys.readouterr().err


def test_tables_align() -> None:
    assert table(["set", "WER"], [["lj", 7.0], ["so762", 31.25]]).splitlines() == [
        "set    WER",
        "-----  -----",
        "lj      7.00",
        "so762  31.25",
    ]
