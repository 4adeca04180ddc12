"""Ctrl-C waits for the step that is being made, and a second one does not."""

from __future__ import annotations

import os
import signal

import pytest

from galago.models.training.interrupt import Interrupt


def test_ctrl_c_waits_for_the_step_and_a_second_one_does_not() -> None:
    interrupt = Interrupt()
    before = signal.getsignal(signal.SIGINT)
    with interrupt.caught():
        assert not interrupt()
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
