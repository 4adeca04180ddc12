"""A lock for a thread that takes it again and again, and others that want it in between."""

from __future__ import annotations

import threading

__all__ = ["FairLock"]


class FairLock:
    """A lock that whoever waits for it gets next.

    `Session.wait` takes it again at once after each nap; with a plain lock it would win every time, and a
    thread that wants to change the grammar meanwhile could starve.
    """

    def __init__(self) -> None:
        self._turnstile = threading.Lock()  # held by the one who is next
        # Again by whoever has it: a KeyboardInterrupt that comes as it is taken leaves it taken, and this
        # thread must still be able to close.
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        with self._turnstile:
            self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()
