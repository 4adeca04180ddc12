"""Ctrl-C and SIGTERM: the one way in which commands end before their time.

Left to itself Python answers Ctrl-C with a KeyboardInterrupt between any two steps of its main thread.  One
that comes as a lock is taken leaves it taken, and whoever closes things afterwards waits for ever; one that
comes in a callback or a destructor is dropped, and the command goes on.  So none is raised here:

    while something works that can stop     a signal asks it to, and the command ends when all is told
    the second signal, and at other times   the process ends at once, whatever it hangs in

Signals are read by a thread: the main thread may sit in a library, and what it asks to stop may hold locks.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

from galago.streaming.crew import Crew

_SHOW_CURSOR = b"\x1b[?25h"


def leave_interrupts_to_the_system() -> None:
    """From here on Ctrl-C ends this process as it ends a program in C, where nothing else answers it.

    Where SIGINT is ignored, as in the background of a shell script, it stays so.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


class Ending:
    """Whether a signal came, and what it stops.

    Attributes:
        signal: the one that came while something was asked to stop; None: none did.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._stop: Callable[[], None] | None = None
        self._failure: BaseException | None = None
        self._crew = Crew(self._stop_failed)

    @property
    def exit_code(self) -> int | None:
        """128 + the signal, as a shell has it; None: none came."""
        return None if self.signal is None else 128 + self.signal

    @contextmanager
    def asking(self, stop: Callable[[], None]) -> Iterator[None]:
        """Inside, the first signal calls `stop`, on a thread of its own.

        Raises:
            BaseException: what `stop` raised, once the block is left.
        """
        self._stop = stop
        try:
            yield
        finally:
            self._stop = None
            self._crew.join()
        if self._failure is not None:
            raise self._failure

    def came(self, number: int) -> None:
        """A signal came: for the thread that reads them."""
        stop = self._stop
        if stop is None or self.signal is not None:
            _end_at_once(number)
        else:
            self.signal = number
            self._crew.start("stop", stop)

    def _stop_failed(self, name: str, error: BaseException) -> None:
        self._failure = error


@contextmanager
def ended_by_signals(stop: Callable[[], None] | None = None) -> Iterator[Ending]:
    """Ctrl-C and SIGTERM end what the block does, never the block itself; see above.

    Only a process's main thread may ask for signals; elsewhere nothing is changed.  A signal that is ignored
    stays so.

    Args:
        stop: `Ending.asking` of the whole block.
    """
    ending = Ending()
    with _read_by(ending.came), nullcontext() if stop is None else ending.asking(stop):
        yield ending


@contextmanager
def left_to_a_child() -> Iterator[None]:
    """Ctrl-C is for the process that is waited for, whom the terminal tells as well."""
    with _unanswered(_heeded(signal.SIGINT)):
        yield


def _heeded(*numbers: int) -> list[int]:
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


@contextmanager
def _read_by(came: Callable[[int], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = _heeded(signal.SIGINT, signal.SIGTERM)
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)

    def read() -> None:
        with open(read_end, "rb", buffering=0) as stream:
            while received := stream.read(1):
                if received[0] in numbers:
                    came(received[0])

    reader = threading.Thread(target=read, name="galago-signals", daemon=True)
    reader.start()
    wakeup_fd = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    try:
        with _unanswered(numbers):  # in Python; the handler in C writes the number into the pipe
            yield
    finally:
        signal.set_wakeup_fd(wakeup_fd)
        os.close(write_end)
        reader.join()


@contextmanager
def _unanswered(numbers: Sequence[int]) -> Iterator[None]:
    before = {number: signal.signal(number, lambda number, frame: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_at_once(number: int) -> None:
    """End this process without a further step of it: no lock and no library can hold it."""
    try:
        if sys.stdout.isatty():
            os.write(sys.stdout.fileno(), _SHOW_CURSOR)  # a live line hides it
    finally:
        os._exit(128 + number)
