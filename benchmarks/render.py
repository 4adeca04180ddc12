"""Put measured numbers into documents: what stands between markers is made from benchmarks/results.

    python -m benchmarks.render            rewrite the tables of README.md, docs/ and benchmarks/README.md
    python -m benchmarks.render --check    change nothing; exit 1 if a table differs from its rows

A document marks the place of a table by its name in `benchmarks/tables.py`::

    <!-- table: wer -->
    (what stands here is replaced)
    <!-- end of table -->

Where no row was measured yet, the table says so: a number that no program wrote cannot stand there.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, ROOT
from benchmarks.tables import TABLES, Column, Table, look_up

MARKED = re.compile(r"(<!-- table: (?P<name>[\w-]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
OPENING = re.compile(r"<!-- table:")


class RenderError(ValueError):
    """A marker that is not closed, a table that is not defined, or a row that lacks a column."""


def documents() -> Iterator[Path]:
    """The files that may hold tables."""
    yield ROOT / "README.md"
    yield from sorted((ROOT / "docs").glob("*.md"))
    yield ROOT / "benchmarks" / "README.md"


def read_rows(name: str, results: Path = RESULTS) -> list[dict[str, Any]]:
    """The rows of one benchmark; none where it was not run."""
    path = results / f"{name}.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return rows


def cell(column: Column, row: Mapping[str, Any]) -> str:
    """One cell: a number with the column's digits and unit; a dash where this row has no such number."""
    value = look_up(row, column.value)
    if value is None:
        return "–"
    if isinstance(value, float | int) and not isinstance(value, bool):
        value = f"{value * column.scale:,.{column.digits}f}"
    return f"{value}{column.unit}".replace("|", "\\|")


def render_table(table: Table, rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown of one table, with a line below it that says what measured it, where and when.

    Raises:
        RenderError: a column that no row has: a misspelt path would else be a column of dashes for ever.
    """
    if not rows:
        return f"*Not measured yet: `python -m benchmarks.{table.benchmark}` writes this table.*\n"
    entries = table.lines(rows)
    columns = []
    for column in table.columns:
        if any(look_up(entry, column.value) is not None for entry in entries):
            columns.append(column)
        elif not column.optional:
            raise RenderError(f"benchmarks/results/{table.benchmark}.json: no row has {column.value!r}")
    lines = [
        "| " + " | ".join(column.title for column in columns) + " |",
        "|" + "|".join("---:" if column.is_number else "---" for column in columns) + "|",
    ]
    for entry in entries:
        lines.append("| " + " | ".join(cell(column, entry) for column in columns) + " |")
    return "\n".join([*lines, "", f"*{provenance(table, rows)}*", ""])


def provenance(table: Table, rows: Sequence[Mapping[str, Any]]) -> str:
    """Command, commit, day and machine of the rows."""
    days = sorted({str(row["date"])[:10] for row in rows})
    commits = sorted({str(row["commit"]) for row in rows})
    machines = sorted({f"{row['cpu']}, {row['cores']} cores" for row in rows})
    span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    command = f"`python -m benchmarks.{table.benchmark}`"
    return f"{command}, {span}, commit {', '.join(commits)}, {'; '.join(machines)}."


def render_document(text: str, where: str, results: Path = RESULTS) -> str:
    """The document with every marked table made anew.

    Raises:
        RenderError: an unknown table, or a marker without its end.
    """

    def replaced(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in TABLES:
            raise RenderError(f"{where}: table {name!r} is not in benchmarks/tables.py")
        table = TABLES[name]
        rows = [row for row in read_rows(table.benchmark, results) if table.takes(row)]
        return f"{match[1]}{render_table(table, rows)}{match[3]}"

    if len(OPENING.findall(text)) != len(MARKED.findall(text)):
        raise RenderError(f"{where}: a table marker is misspelt, or not closed by <!-- end of table -->")
    return MARKED.sub(replaced, text)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing, only tell what differs")
    arguments = parser.parse_args()
    differing = 0
    for path in documents():
        before = path.read_text(encoding="utf-8")
        after = render_document(before, path.relative_to(ROOT).as_posix())
        if after == before:
            continue
        differing += 1
        print(f"{path.relative_to(ROOT)}: {'differs from its rows' if arguments.check else 'rewritten'}")
        if not arguments.check:
            path.write_text(after, encoding="utf-8")
    return 1 if arguments.check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
