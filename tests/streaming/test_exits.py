"""Ctrl-C ends a command, wherever in it the signal arrives."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from galago.streaming.cli.exits import until_interrupted


class InterruptedWhileFreed:
    """Where Python raises nothing that anybody could catch."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        # The handler runs between two instructions of Python, so here at the latest.
        for _ in range(100):
            pass


def test_items_pass_and_the_handler_before_comes_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    assert list(until_interrupted([1, 2, 3])) == [1, 2, 3]
    assert signal.getsignal(signal.SIGINT) == before


def test_an_interrupt_while_waiting_breaks_off() -> None:
    def waiting() -> Iterator[int]:
        yield 1
        os.kill(os.getpid(), signal.SIGINT)
        yield 2

    seen = []
    with pytest.raises(KeyboardInterrupt):
        for item in until_interrupted(waiting()):
            seen.append(item)  # noqa: PERF402 - what came before the interrupt
    assert seen == [1]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_python_drops_is_raised_with_the_next_item() -> None:
    seen = []
    with pytest.raises(KeyboardInterrupt):
        for item in until_interrupted(range(10)):
            seen.append(item)
            if item == 3:
                InterruptedWhileFreed()
    assert seen == [0, 1, 2, 3]


def test_elsewhere_than_in_the_main_thread_items_pass() -> None:
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.extend(until_interrupted([1, 2])))
    thread.start()
    thread.join()
    assert seen == [1, 2]
