"""Ctrl-C while a network trains: the step is finished and saved first."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interrupt"]


class Interrupt:
    """Remembers Ctrl-C until a step is done; a second one is not waited with.

    Called, it says whether somebody asked; a training loop asks after every step.
    """

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        return self.asked

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Handle Ctrl-C inside this block, in the main thread; the handler of before comes back after it."""
        before = signal.signal(signal.SIGINT, self._handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
