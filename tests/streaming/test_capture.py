"""The clock and the queue between a sound card's thread and a reader."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from galago.runtime.errors import SourceError
from galago.streaming import capture
from galago.streaming.capture import CaptureClock, CaptureSource

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
    threading.Timer(0.3, card.close).start()
    assert [round(float(block.samples[0, 0]) * 10) for block in card] == list(range(10))
    assert card.dropped_frames == 0
    assert card.stopped.wait(1.0)


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


def test_a_card_that_falls_silent_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "SILENT_DEVICE_S", 0.3)
    card = FakeCard()
    card.deliver()
    began = time.monotonic()
    with card, pytest.raises(SourceError, match="mic: no sound for .* not even silence"):
        for _ in card:
            pass
    assert time.monotonic() - began < 3.0


def test_a_library_that_hangs_when_it_closes_does_not_hold_the_program() -> None:
    class Stuck(FakeCard):
        def _stop(self) -> None:
            time.sleep(60)

    began = time.monotonic()
    Stuck().close()
    assert time.monotonic() - began < 5.0
