"""The `galago` command's first step: it finds out whether the command line is installed at all."""

from __future__ import annotations

import importlib.util
import io
import sys

from galago.streaming.cli.interrupts import leave_interrupts_to_the_system

_NEEDED = ("typer", "rich")


def main() -> None:
    """Run the command line, or say how to install it."""
    leave_interrupts_to_the_system()
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"galago: the command line needs {' and '.join(missing)}: pip install 'galago[cli]'",
            file=sys.stderr,
        )
        sys.exit(1)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal of another encoding shows "?" for an arrow or an accent; that is no reason to end.
        sys.stdout.reconfigure(errors="replace")
    from galago.streaming.cli.app import run

    run()


if __name__ == "__main__":
    main()
