"""Exit codes of every command, and the one place that turns failures into them.

0    done
1    a bundle, a source or a device failed; the message is on standard error
2    wrong usage; of `galago see`: an image could not be read, the others were answered
130  Ctrl-C (128 + SIGINT)
143  SIGTERM (128 + SIGTERM); of `galago run`, a device that is switched off: 0
141  nobody reads the output any more (128 + SIGPIPE), as in `galago listen f.wav | head -1`
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from galago.runtime.errors import GalagoError

FAILED = 1
UNREADABLE = 2
INTERRUPTED = 130
PIPE_CLOSED = 141


def complain(message: str) -> None:
    """One line (or what the message holds) on standard error."""
    print(f"galago: {message}", file=sys.stderr, flush=True)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Run a command's body; what goes wrong becomes a message and an exit code, never a traceback."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes again at exit: let it flush into nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(PIPE_CLOSED) from None
    except GalagoError as error:
        complain(str(error))
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
