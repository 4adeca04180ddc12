"""Ctrl-C and SIGTERM: never forgotten, never a hang, wherever a command is when they come."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("typer", reason="the command line is the extra galago[cli]")
from galago.runtime.errors import SinkError
from galago.streaming.cli.interrupts import ended_by_signals, leave_interrupts_to_the_system, left_to_a_child
from tests.make_tiny_bundle import SAMPLE_RATE_HZ, synthesise
from tests.streaming.cli.command_process import ENVIRONMENT, HANGS_S, CommandProcess, running
from tests.tiny_eye import draw

SENTENCE = "turn on the light"

pytestmark = pytest.mark.usefixtures("interruptible")


def interrupt(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


@pytest.fixture
def handlers_stay() -> Iterator[None]:
    """What answers signals after the test is what answered them before."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert signal.set_wakeup_fd(-1) == -1


# -- what ends a block -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("handlers_stay")
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_what_works(number: signal.Signals, exit_code: int) -> None:
    stopped = threading.Event()
    with ended_by_signals(stopped.set) as ending:
        interrupt(number)
        assert stopped.wait(HANGS_S)
    assert (ending.signal, ending.exit_code) == (number, exit_code)


@pytest.mark.usefixtures("handlers_stay")
def test_what_stops_may_take_locks_that_the_main_thread_holds() -> None:
    lock, asked, stopped = threading.Lock(), threading.Event(), threading.Event()

    def stop() -> None:
        asked.set()
        with lock:
            stopped.set()

    with ended_by_signals(stop):
        with lock:
            interrupt()
            assert asked.wait(HANGS_S)
            assert not stopped.is_set()
        assert stopped.wait(HANGS_S)


@pytest.mark.usefixtures("handlers_stay")
def test_a_failure_to_stop_is_raised() -> None:
    asked = threading.Event()

    def stop() -> None:
        asked.set()
        raise SinkError("the speaker went away")

    with pytest.raises(SinkError, match="the speaker went away"), ended_by_signals(stop):
        interrupt()
        assert asked.wait(HANGS_S)


@pytest.mark.usefixtures("handlers_stay")
def test_no_signal_is_no_exit_code() -> None:
    with ended_by_signals() as ending, ending.asking(lambda: pytest.fail("nobody asked")):
        pass
    assert ending.signal is None and ending.exit_code is None


@pytest.mark.usefixtures("handlers_stay")
def test_what_is_ignored_stays_ignored() -> None:
    """As in the background of a shell script."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        leave_interrupts_to_the_system()
        with ended_by_signals(lambda: pytest.fail("it was ignored")), left_to_a_child():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            interrupt()
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_leave_signals_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def work() -> None:
        with ended_by_signals(lambda: None):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(HANGS_S)
    assert seen == [before]


@pytest.mark.usefixtures("handlers_stay")
def test_a_parent_leaves_ctrl_c_to_its_child() -> None:
    with left_to_a_child():
        interrupt()


# -- where nothing can stop --------------------------------------------------------------------------------

# A main thread that hangs for ever, in a lock that it has itself.
HANGING = """
import threading
from galago.streaming.cli.interrupts import ended_by_signals
lock = threading.Lock()
with ended_by_signals({stop}) as ending, lock:
    print("working", flush=True)
    lock.acquire()
"""
ASKED = "lambda: print('asked', flush=True)"


@pytest.mark.parametrize(("stop", "num_signals"), [(ASKED, 2), ("lock.acquire", 2), ("None", 1)])
def test_what_hangs_ends_at_once(stop: str, num_signals: int) -> None:
    """With the second signal, or with the first where there is nothing to ask."""
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING.format(stop=stop)],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
    )
    guard = threading.Timer(HANGS_S, process.kill)
    guard.start()
    try:
        assert process.stdout is not None and process.stdout.readline() == "working\n"
        process.send_signal(signal.SIGINT)
        if stop == ASKED:
            assert process.stdout.readline() == "asked\n"
        while num_signals > 1 and process.poll() is None:
            process.send_signal(signal.SIGINT)  # two that come together may be one
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.1)
        assert process.wait() == 130
    finally:
        guard.cancel()
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


# -- commands ----------------------------------------------------------------------------------------------


def ends_well(process: CommandProcess, num_lines: int) -> list[str]:
    """Interrupt it once it has printed so much; what it printed in all."""
    process.output.wait_for("{", num_lines)
    process.send(signal.SIGINT)
    assert process.exit_code() == 130, process.complaints.all()
    assert process.complaints.all() == []
    return process.output.all()


@pytest.mark.parametrize("num_lines", [1, 9, 40])
def test_listening_at_full_speed_ends(tiny_bundle: Path, tmp_path: Path, num_lines: int) -> None:
    """Here the main thread goes from lock to lock, and never rests."""
    path = tmp_path / "long.wav"
    soundfile.write(path, np.tile(synthesise(SENTENCE.split()), 300), SAMPLE_RATE_HZ)
    with running("listen", path, path, "-b", tiny_bundle, "--json") as process:
        printed = ends_well(process, num_lines)
    finals = [line for line in printed if '"final"' in line]
    assert not finals or len(finals) < 600, "it listened to its end"


def test_listening_to_a_pipe_that_is_silent_ends(tiny_bundle: Path) -> None:
    with running("listen", "-", "-b", tiny_bundle, "--json") as process:
        process.give((synthesise(SENTENCE.split()) * 32767).astype("<i2").tobytes())
        printed = ends_well(process, 2)
    assert any('"final"' in line for line in printed), "what was said before is told"


@pytest.mark.parametrize("num_lines", [1, 5])
def test_watching_in_real_time_ends(tiny_eye_bundle: Path, tmp_path: Path, num_lines: int) -> None:
    image = pytest.importorskip("PIL.Image", reason="image files are read by the extra galago[camera]")
    for number in range(100):
        image.fromarray(draw("red")).save(tmp_path / f"{number}.png")
    with running("watch", tmp_path, "-b", tiny_eye_bundle, "--json", "--realtime") as process:
        assert len(ends_well(process, num_lines)) < 100, "it watched to its end"
