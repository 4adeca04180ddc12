"""Tables on the terminal, alike in every command."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> None:
    """Print a table; columns named with a leading ">" are numbers and stand right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        number = column.startswith(">")
        table.add_column(column.lstrip(">"), justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # cells are data: brackets are no markup
    Console(highlight=False).print(table)


def milliseconds(value_ns: float | None) -> str:
    """ "0.86 ms", or "–" where nothing was measured."""
    return "–" if value_ns is None else f"{value_ns / 1e6:.2f} ms"


def megabytes(value_bytes: float | None) -> str:
    """ "13.4 MB", or "–" where it is not known."""
    return "–" if value_bytes is None else f"{value_bytes / 1e6:.1f} MB"
