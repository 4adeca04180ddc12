"""The clock and the queue between a sound card's thread and a reader."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from galago.runtime.errors import SourceError
from galago.streaming.sound import capture
from galago.streaming.sound.capture import CaptureClock, CaptureSource
from galago.streaming.source import AudioBlock

BLOCK_NS = 20_000_000


class FakeCard(CaptureSource):
    """A card whose callback the test calls."""

    def __init__(self) -> None:
        super().__init__("mic", 16000, 1)
        self.started = threading.Event()
        self.stopped = threading.Event()

    def _start(self) -> None:
        self.started.set()

    def _stop(self) -> None:
        self.stopped.set()

    def deliver(self, value: float = 0.0, *, lost: bool = False) -> None:
        self._received(np.full((320, 1), value, np.float32), lost=lost)

    def unplug(self) -> None:
        self._stopped()


class Waits(queue.Queue[AudioBlock]):
    """A queue that nobody waits for: where it is empty, what is to happen meanwhile happens at once."""

    def __init__(self, *happenings: Callable[[], object]) -> None:
        super().__init__()
        self._happenings = list(happenings)

    def get(self, block: bool = True, timeout: float | None = None) -> AudioBlock:
        try:
            return super().get(timeout=0.0)
        except queue.Empty:
            if self._happenings:
                self._happenings.pop(0)()
            raise


def stamps(clock: CaptureClock, arrivals_ns: list[int], lost_at: int | None = None) -> list[int]:
    return [clock.stamp(320, arrival, lost=i == lost_at) for i, arrival in enumerate(arrivals_ns)]


def test_jitter_of_arrival_does_not_reach_the_stamps() -> None:
    rng = np.random.default_rng(0)
    arrivals = [10**9 + (i + 1) * BLOCK_NS + int(rng.integers(0, 30_000_000)) for i in range(500)]
    steps = np.diff(stamps(CaptureClock(16000), arrivals))
    assert np.abs(steps - BLOCK_NS).max() <= BLOCK_NS * 1e-3 + 1


def test_bursts_are_laid_out_in_time() -> None:
    """Four blocks at once every 80 ms, as some sound servers deliver them."""
    arrivals = [10**9 + (i // 4 + 1) * 4 * BLOCK_NS for i in range(400)]
    steps = np.diff(stamps(CaptureClock(16000), arrivals))
    assert np.abs(steps - BLOCK_NS).max() <= BLOCK_NS * 1e-3 + 1


@pytest.mark.parametrize("drift", [-3e-4, 3e-4])
def test_drift_is_followed(drift: float) -> None:
    arrivals = [10**9 + round((i + 1) * BLOCK_NS * (1 + drift)) for i in range(20_000)]
    assert abs(stamps(CaptureClock(16000), arrivals)[-1] - (arrivals[-1] - BLOCK_NS)) < 1_000_000


def test_a_reported_loss_is_a_jump() -> None:
    arrivals = [10**9 + (i + 1) * BLOCK_NS + (0 if i < 50 else 300_000_000) for i in range(100)]
    steps = np.diff(stamps(CaptureClock(16000), arrivals, lost_at=50))
    assert steps[49] == pytest.approx(BLOCK_NS + 300_000_000, rel=0.01)


def test_a_machine_that_slept_is_a_jump_even_if_nobody_says_so() -> None:
    arrivals = [10**9 + (i + 1) * BLOCK_NS + (0 if i < 50 else 60 * 10**9) for i in range(100)]
    steps = np.diff(stamps(CaptureClock(16000), arrivals))
    assert steps[49] > 59 * 10**9


def test_blocks_arrive_in_order_and_nothing_is_lost() -> None:
    card = FakeCard()
    for value in range(10):
        card.deliver(value / 10)
    heard: list[int] = []
    for block in card:
        heard.append(round(float(block.samples[0, 0]) * 10))
        if len(heard) == 10:
            card.close()
    assert heard == list(range(10))
    assert card.dropped_frames == 0
    assert card.stopped.wait(60.0)


def test_closing_ends_a_reader_that_waits_for_a_block() -> None:
    card = FakeCard()
    reader = threading.Thread(target=lambda: list(card), daemon=True)
    reader.start()
    assert card.started.wait(60.0)
    card.close()
    reader.join(timeout=60.0)
    assert not reader.is_alive()


def test_a_reader_that_sleeps_costs_blocks_which_are_counted() -> None:
    card = FakeCard()
    capacity = capture.QUEUE_MS // capture.BLOCK_MS
    for _ in range(capacity + 7):
        card.deliver()
    assert card.dropped_frames == 7 * 320
    card.close()


def test_overflows_of_the_device_are_counted() -> None:
    card = FakeCard()
    card.deliver(lost=True)
    card.deliver()
    assert card.overflows == 1
    card.close()


def test_an_unplugged_card_is_told_after_everything_that_was_heard() -> None:
    card = FakeCard()
    for _ in range(5):
        card.deliver()
    card.unplug()
    num_blocks = 0
    with card, pytest.raises(SourceError, match="mic: the sound card ended the stream"):
        for _ in card:
            num_blocks += 1
    assert num_blocks == 5


def test_what_a_card_delivers_in_its_last_moment_is_heard() -> None:
    """The last block and the end come between a look into the empty queue and the look at the card."""
    card = FakeCard()

    def deliver_and_go() -> None:
        card.deliver()
        card.unplug()

    card._blocks = Waits(deliver_and_go)
    num_blocks = 0
    with card, pytest.raises(SourceError, match="mic: the sound card ended the stream"):
        for _ in card:
            num_blocks += 1
    assert num_blocks == 1


def test_a_card_that_falls_silent_is_told() -> None:
    card = FakeCard()
    card._blocks = Waits()
    card.deliver()
    num_blocks = 0
    with card, pytest.raises(SourceError, match=r"mic: no sound for 2\.\d s, not even silence"):
        for _ in card:
            num_blocks += 1
    assert num_blocks == 1


def test_a_process_that_was_stopped_for_a_minute_does_not_blame_the_card(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The clock has moved on, but the card's thread had no more of that time than the reader's."""
    card = FakeCard()
    a_minute_later_ns = time.monotonic_ns() + 60 * 10**9
    card._blocks = Waits(
        lambda: monkeypatch.setattr("time.monotonic_ns", lambda: a_minute_later_ns), card.deliver, card.close
    )
    card.deliver()
    assert sum(1 for _ in card) == 2


def test_a_library_that_hangs_when_it_closes_does_not_hold_the_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(capture, "RELEASE_S", 0.1)
    let_go = threading.Event()

    class Stuck(FakeCard):
        def _stop(self) -> None:
            let_go.wait()
            super()._stop()

    card = Stuck()
    card.close()  # comes back, although the library does not
    assert not card.stopped.is_set()
    let_go.set()
    assert card.stopped.wait(60.0)
