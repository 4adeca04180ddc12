"""Replay: a recording at the pace of a clock."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from galago.runtime.errors import InvalidArgumentError
from galago.streaming.sound import replay
from galago.streaming.sound.files import FileSource
from galago.streaming.sound.replay import RealTimeSource


@pytest.fixture
def half_a_second(tmp_path: Path) -> Path:
    path = tmp_path / "half.wav"
    soundfile.write(path, np.zeros(8000, np.float32), 16000)
    return path


class FakeClock:
    """Time that passes only where somebody waits: stands in for the module `time` and for `_closed`."""

    def __init__(self) -> None:
        self.now_ns = 5_000_000_000
        self.is_closed = False

    def monotonic_ns(self) -> int:
        return self.now_ns

    def wait(self, timeout_s: float) -> bool:
        self.now_ns += round(timeout_s * 1e9)
        return self.is_closed

    def set(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize("speed", [1.0, 2.0])
def test_blocks_come_when_a_microphone_would_deliver_them(
    speed: float, half_a_second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    monkeypatch.setattr(replay, "time", clock)
    with RealTimeSource(FileSource(half_a_second), speed=speed) as source:
        monkeypatch.setattr(source, "_closed", clock)
        assert source.live
        num_blocks = 0
        for block in source:
            num_blocks += 1
            assert len(block.samples) == 320
            assert block.capture_ns == 5_000_000_000 + (num_blocks - 1) * 20_000_000
            assert clock.now_ns == pytest.approx(5_000_000_000 + num_blocks * 20_000_000 / speed, abs=10)
    assert num_blocks == 25


def test_no_block_comes_before_its_last_sample_was_spoken(half_a_second: Path) -> None:
    """By the real clock, of which a test can only know that it does not run fast."""
    began_ns = time.monotonic_ns()
    with RealTimeSource(FileSource(half_a_second)) as source:
        for block in source:
            assert began_ns <= block.capture_ns
            assert block.end_ns(16000) <= time.monotonic_ns()
    assert time.monotonic_ns() - began_ns > 490_000_000


def test_a_slow_reader_loses_nothing_and_catches_up(
    half_a_second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    monkeypatch.setattr(replay, "time", clock)
    with RealTimeSource(FileSource(half_a_second)) as source:
        monkeypatch.setattr(source, "_closed", clock)
        num_frames = 0
        for block in source:
            num_frames += len(block.samples)
            if num_frames == 320:
                clock.now_ns += 300_000_000  # busy with the first block; meanwhile fifteen are due
            late_ns = clock.now_ns - block.end_ns(16000)
            assert late_ns == pytest.approx(max(0, 300_000_000 - (num_frames - 320) * 62_500), abs=10)
    assert num_frames == 8000


def test_closing_wakes_the_replay(half_a_second: Path) -> None:
    class Watched(threading.Event):
        waiting = threading.Event()

        def wait(self, timeout: float | None = None) -> bool:
            self.waiting.set()
            return super().wait(timeout)

    source = RealTimeSource(FileSource(half_a_second), speed=0.01)  # the first block is due in two seconds
    source._closed = Watched()

    def close_while_it_waits() -> None:
        Watched.waiting.wait()
        source.close()

    closer = threading.Thread(target=close_while_it_waits)
    closer.start()
    assert list(source) == []
    closer.join()


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), 1e9])
def test_a_speed_that_cannot_be_is_refused(speed: float, half_a_second: Path) -> None:
    with FileSource(half_a_second) as source, pytest.raises(InvalidArgumentError, match="speed"):
        RealTimeSource(source, speed=speed)
