"""Replay: a recording at the pace of a clock."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from galago.runtime.errors import InvalidArgumentError
from galago.streaming.files import FileSource
from galago.streaming.replay import RealTimeSource


@pytest.fixture
def half_a_second(tmp_path: Path) -> Path:
    path = tmp_path / "half.wav"
    soundfile.write(path, np.zeros(8000, np.float32), 16000)
    return path


def test_blocks_come_when_a_microphone_would_deliver_them(half_a_second: Path) -> None:
    began_ns = time.monotonic_ns()
    with RealTimeSource(FileSource(half_a_second)) as source:
        assert source.live
        for block in source:
            now_ns = time.monotonic_ns()
            assert len(block.samples) == 320
            assert block.end_ns(16000) <= now_ns, "a block came before its last sample was spoken"
            assert now_ns - block.end_ns(16000) < 200_000_000
            assert block.capture_ns >= began_ns
    assert 0.45 < (time.monotonic_ns() - began_ns) / 1e9 < 2.0


def test_a_slow_reader_loses_nothing(half_a_second: Path) -> None:
    with RealTimeSource(FileSource(half_a_second), speed=50.0) as source:
        num_frames = 0
        for block in source:
            time.sleep(0.02)
            num_frames += len(block.samples)
    assert num_frames == 8000


def test_closing_wakes_the_replay(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros(160000, np.float32), 16000)
    source = RealTimeSource(FileSource(path))
    threading.Timer(0.25, source.close).start()
    began = time.monotonic()
    num_blocks = sum(1 for _ in source)
    assert time.monotonic() - began < 3.0
    assert num_blocks < 20


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), 1e9])
def test_a_speed_that_cannot_be_is_refused(speed: float, half_a_second: Path) -> None:
    with FileSource(half_a_second) as source, pytest.raises(InvalidArgumentError, match="speed"):
        RealTimeSource(source, speed=speed)
