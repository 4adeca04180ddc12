"""A sink that is heard and one that records: pace and failures are those of the first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from galago.runtime.errors import SinkError
from galago.streaming.sound.sink import AudioSink
from galago.streaming.sound.tee_sink import TeeSink
from galago.streaming.sound.wav_sink import WavSink

RATE_HZ = 16000
NOISE = np.random.default_rng(0).uniform(-0.9, 0.9, 1000).astype(np.float32)


class Heard(AudioSink):
    """Plays at times of its own, and can be broken."""

    underruns = 3

    def __init__(self) -> None:
        self.name = "speaker"
        self.sample_rate_hz = RATE_HZ
        self.calls: list[str] = []
        self.broken = False

    def write(self, samples: npt.NDArray[np.float32]) -> int:
        if self.broken:
            raise SinkError("speaker: is it unplugged?")
        self.calls.append(f"write {len(samples)}")
        return 42

    def drain(self) -> None:
        self.calls.append("drain")

    def discard(self) -> int:
        self.calls.append("discard")
        return 7

    def close(self) -> None:
        self.calls.append("close")
        if self.broken:
            raise SinkError("speaker: hangs")


def test_both_get_it_and_the_first_sets_the_pace(tmp_path: Path) -> None:
    heard = Heard()
    with TeeSink(heard, WavSink(tmp_path / "record.wav", RATE_HZ)) as tee:
        assert (tee.name, tee.sample_rate_hz, tee.underruns) == ("speaker", RATE_HZ, 3)
        assert tee.write(NOISE) == 42
        tee.drain()
        assert tee.discard() == 7
    assert heard.calls == ["write 1000", "drain", "discard", "close"]
    recorded, _ = soundfile.read(tmp_path / "record.wav", dtype="float32")
    np.testing.assert_allclose(recorded, NOISE, atol=1e-4)


def test_what_was_not_heard_is_not_recorded_and_a_failure_leaves_nothing_open(tmp_path: Path) -> None:
    heard, record = Heard(), WavSink(tmp_path / "record.wav", RATE_HZ)
    tee = TeeSink(heard, record)
    heard.broken = True
    with pytest.raises(SinkError, match="unplugged"):
        tee.write(NOISE)
    assert soundfile.info(tmp_path / "record.wav").frames == 0
    with pytest.raises(SinkError, match="hangs"):
        tee.close()
    with pytest.raises(SinkError, match="is closed"):
        record.write(NOISE)
