"""Threads that begin and end together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

JOIN_S = 5.0


class Crew:
    """The threads of one job: each has a name, and what ends one before its time is told.

    Args:
        failed: is told the name and the exception of a thread that raised, on that thread.
    """

    def __init__(self, failed: Callable[[str, BaseException], None]) -> None:
        self._failed = failed
        self._threads: list[threading.Thread] = []

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Run `work` on a thread of its own.  No process waits for it at its end."""

        def run() -> None:
            try:
                work()
            except BaseException as error:  # of any kind: nobody else would hear of it
                self._failed(name, error)

        thread = threading.Thread(target=run, name=f"galago-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self, timeout_s: float = JOIN_S) -> list[str]:
        """Wait for all of them together; returns the names of those that are stuck in their library."""
        deadline_s = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        return [thread.name.removeprefix("galago-") for thread in self._threads if thread.is_alive()]
