"""Numbers in documents are made from rows, and the documents in the tree are up to date."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import render
from benchmarks.common import RESULTS
from benchmarks.tables import TABLES, Column, Table
from tests.house.repository import ROOT

TABLE = Table(
    "example",
    (
        Column("set", "variant", is_number=False),
        Column("WER", "numbers.wer_percent", unit=" %"),
        Column("p99", "numbers.step_ms.p99", digits=2),
    ),
    variants=("dev-*",),
)
DOCUMENT = "before\n\n<!-- table: example -->\nold\n<!-- end of table -->\n\nafter\n"


def row(variant: str, **numbers: Any) -> dict[str, Any]:
    return {
        "name": "example",
        "variant": variant,
        "date": "2026-01-31T12:00:00Z",
        "commit": "0123456789ab",
        "cpu": "a processor",
        "cores": 2,
        "numbers": numbers,
    }


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rows = [row("dev-a", wer_percent=12.34, step_ms={"p99": 1.5}), row("dev-b", wer_percent=5), row("train")]
    (tmp_path / "example.json").write_text(json.dumps(rows))
    monkeypatch.setitem(TABLES, "example", TABLE)
    return tmp_path


@pytest.mark.parametrize("path", list(render.documents()), ids=lambda path: path.name)
def test_the_tables_in_the_tree_equal_their_rows(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    where = path.relative_to(ROOT).as_posix()
    assert render.render_document(text, where) == text, "run: python -m benchmarks.render"


def test_a_table_is_made_from_the_rows_it_asks_for(results: Path) -> None:
    rendered = render.render_document(DOCUMENT, "a.md", results)
    assert rendered.startswith("before\n\n<!-- table: example -->\n| set | WER | p99 |\n|---|---:|---:|\n")
    assert "| dev-a | 12.3 % | 1.50 |" in rendered
    assert "| dev-b | 5.0 % | – |" in rendered
    assert "train" not in rendered and "old" not in rendered
    assert "2026-01-31, commit 0123456789ab, a processor, 2 cores" in rendered
    assert rendered.endswith("<!-- end of table -->\n\nafter\n")


def test_rendering_twice_changes_nothing(results: Path) -> None:
    once = render.render_document(DOCUMENT, "a.md", results)
    assert render.render_document(once, "a.md", results) == once


def test_what_was_not_measured_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLES, "example", TABLE)
    assert "Not measured yet" in render.render_document(DOCUMENT, "a.md", tmp_path)


def test_a_misspelt_column_is_refused(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLES, "example", Table("example", (Column("WER", "numbers.wr"),)))
    with pytest.raises(render.RenderError, match=r"no row has 'numbers\.wr'"):
        render.render_document(DOCUMENT, "a.md", results)


def test_a_mapping_becomes_a_line_for_each_entry(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = (Column("name", "key", is_number=False), Column("value", "entry.wer", digits=0))
    monkeypatch.setitem(TABLES, "example", Table("example", columns, variants=("sets",), each="numbers"))
    (results / "example.json").write_text(json.dumps([row("sets", lj={"wer": 7}, kathleen={"wer": 9})]))
    assert "| lj | 7 |\n| kathleen | 9 |\n" in render.render_document(DOCUMENT, "a.md", results)


def test_a_partial_run_stays_out(results: Path) -> None:
    (results / "example.json").write_text(json.dumps([row("dev-a-limit20", wer_percent=1)]))
    assert "Not measured yet" in render.render_document(DOCUMENT, "a.md", results)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- table: nowhere -->\n<!-- end of table -->", "not in benchmarks/tables.py"),
        ("<!-- table: example -->\nno end", "not closed"),
        ("<!-- table:example -->\n<!-- end of table -->", "misspelt"),
    ],
)
def test_a_broken_marker_is_refused(results: Path, text: str, message: str) -> None:
    with pytest.raises(render.RenderError, match=message):
        render.render_document(text, "a.md", results)


def test_what_was_measured_is_shown() -> None:
    """A result that no document shows is one that nobody compares with the last."""
    measured = {path.stem for path in RESULTS.glob("*.json")}
    assert measured - {table.benchmark for table in TABLES.values()} == set()


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_table_has_a_program_and_a_place(name: str) -> None:
    program = ROOT / "benchmarks" / f"{TABLES[name].benchmark}.py"
    assert "common.finish(" in program.read_text(encoding="utf-8")
    assert any(f"<!-- table: {name} -->" in path.read_text(encoding="utf-8") for path in render.documents())
