"""A `galago` process under test: every wait has a bound, and what hangs fails with what was printed."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

ROOT = Path(__file__).resolve().parents[3]
ENTRY = [sys.executable, "-m", "galago.streaming.entry"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
HANGS_S = 120  # nothing takes a tenth of it


class Lines:
    """Lines of a process, read on a thread so that a test can wait for one with a limit."""

    def __init__(self, stream: IO[str] | None) -> None:
        assert stream is not None
        self._lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def have(self, text: str) -> bool:
        return any(text in line for line in self._lines)

    def wait_for(self, text: str, count: int = 1) -> None:
        """Until so many lines hold the text; fails where they never come."""

        def enough() -> bool:
            return sum(text in line for line in self._lines) >= count

        with self._changed:
            self._changed.wait_for(lambda: enough() or self._ended, HANGS_S)
            found = enough()
        assert found, f"{count} lines with {text!r} never came; there was {self._lines}"

    def all(self) -> list[str]:
        """Every line, once the process has closed its end."""
        self._thread.join(timeout=HANGS_S)
        return list(self._lines)


class CommandProcess:
    """`galago` with these arguments.  `output` and `complaints` are its two streams."""

    def __init__(self, *arguments: str | Path) -> None:
        self._process = subprocess.Popen(
            [*ENTRY, *map(str, arguments)],
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self.output = Lines(self._process.stdout)
        self.complaints = Lines(self._process.stderr)

    def give(self, content: bytes) -> None:
        """Write to its standard input, which stays open."""
        assert isinstance(self._process.stdin, io.TextIOWrapper)
        self._process.stdin.buffer.write(content)
        self._process.stdin.flush()

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def exit_code(self) -> int:
        """Once it has ended; a process that does not is a failure that tells what it printed."""
        try:
            return self._process.wait(timeout=HANGS_S)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"it hangs; it printed {self.output.all()} and {self.complaints.all()}")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(timeout=HANGS_S)

    def close(self) -> None:
        """End it, and close its pipes."""
        self.kill()
        self.output.all()
        self.complaints.all()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()


@contextmanager
def running(*arguments: str | Path) -> Iterator[CommandProcess]:
    """A process that does not outlive the test."""
    process = CommandProcess(*arguments)
    try:
        yield process
    finally:
        process.close()
