"""Sinks and the player: files, pipes, and a speaker whose card the test plays itself."""

from __future__ import annotations

import io
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from galago.runtime.errors import SinkError
from galago.streaming.sound import playback
from galago.streaming.sound.playback import PlaybackSink
from galago.streaming.sound.sink import AudioSink
from galago.streaming.sound.wav_sink import RawPcmSink, RealTimeSink, WavSink
from galago.streaming.turns.player import PlaybackEnded, PlaybackStarted, Player
from tests.streaming.turns.fake_voice import HANGS_S, RATE_HZ, FakeVoice, speech

BLOCK = RATE_HZ // 100


def noise(num_samples: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).uniform(-0.9, 0.9, num_samples).astype(np.float32)


def read_wav(path: Path) -> npt.NDArray[np.int16]:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE_HZ, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


# -- files and pipes ---------------------------------------------------------------------------------------


def test_a_wav_can_be_played_after_every_write(tmp_path: Path) -> None:
    path = tmp_path / "reply.wav"
    with WavSink(path, RATE_HZ) as sink:
        assert len(read_wav(path)) == 0
        sink.write(noise(1000))
        np.testing.assert_allclose(read_wav(path) / 32767, noise(1000), atol=2e-5)
        sink.write(np.array([2.0, -2.0], np.float32))  # clipped, not wrapped round
        assert read_wav(path)[-2:].tolist() == [32767, -32767]
    with pytest.raises(SinkError, match="is closed"):
        sink.write(noise(10))
    sink.close()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="No such file"):
        WavSink(tmp_path / "no" / "reply.wav", RATE_HZ)
    if Path("/dev/full").exists():
        with pytest.raises(SinkError, match="No space left"):
            WavSink("/dev/full", RATE_HZ)


def test_raw_pcm_goes_into_the_pipe() -> None:
    stream = io.BytesIO()
    RawPcmSink(stream, RATE_HZ).write(np.array([0.0, 1.0, -1.0], np.float32))
    assert np.frombuffer(stream.getvalue(), "<i2").tolist() == [0, 32767, -32767]
    stream.close()
    with pytest.raises(SinkError, match="writing failed"):
        RawPcmSink(stream, RATE_HZ).write(noise(3))


class Recorder(AudioSink):
    """Keeps what it was given."""

    def __init__(self) -> None:
        self.name = "recorder"
        self.sample_rate_hz = RATE_HZ
        self.written: list[npt.NDArray[np.float32]] = []

    def write(self, samples: npt.NDArray[np.float32]) -> int:
        self.written.append(samples)
        return 0

    def close(self) -> None:
        pass


class FakeTime:
    """Time that passes only where somebody waits."""

    def __init__(self) -> None:
        self.ns = 5_000_000_000

    def __call__(self) -> int:
        return self.ns

    def wait(self, timeout_s: float) -> bool:
        self.ns += round(timeout_s * 1e9) + 1
        return False


def test_a_file_is_filled_at_the_pace_of_a_speaker(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeTime()
    monkeypatch.setattr("galago.streaming.sound.wav_sink.now_ns", clock)
    sink = RealTimeSink(Recorder())
    monkeypatch.setattr(sink._changed, "wait", clock.wait)
    begins = [sink.write(noise(BLOCK)) - 5_000_000_000 for _ in range(3)]
    assert begins == pytest.approx([0, 9_977_324, 19_954_648], abs=1000)  # 220 samples
    sink.drain()
    assert clock.ns - 5_000_000_000 == pytest.approx(29_931_972, abs=1000)
    sink.write(noise(BLOCK))
    assert sink.discard() == pytest.approx(BLOCK, abs=1)  # none of it was heard yet
    before_ns = clock.ns
    sink.write(noise(BLOCK))  # what follows is not late because of it
    assert clock.ns == before_ns
    sink.close()


# -- a speaker ---------------------------------------------------------------------------------------------


class FakeCard(PlaybackSink):
    """A sound card that asks for blocks when the test does."""

    def __init__(self, device_rate_hz: int = RATE_HZ) -> None:
        super().__init__("speaker", RATE_HZ, device_rate_hz)
        self.num_stops = 0

    def _start(self) -> float:
        return 0.0

    def _stop(self) -> None:
        self.num_stops += 1

    def pull(self, num_frames: int = BLOCK, *, underflow: bool = False) -> npt.NDArray[np.float32]:
        return self._next(num_frames, underflow=underflow)

    def unplug(self) -> None:
        self._stopped()


def test_what_is_written_is_played_and_then_silence() -> None:
    with FakeCard() as card:
        card.write(noise(300))
        card.write(noise(100))
        played = np.concatenate([card.pull(150), card.pull(250)])
        np.testing.assert_array_equal(played, np.concatenate([noise(300), noise(100)]))
        assert card.underruns == 0
        assert not card.pull().any() and card.underruns == 1  # the sentence is not over
        card.drain()
        assert not card.pull().any() and card.underruns == 1  # now silence is right
        card.write(noise(BLOCK))
        card.pull(underflow=True)
        assert card.underruns == 2
    assert card.num_stops == 1
    with pytest.raises(SinkError, match="is closed"):
        card.write(noise(1))


def test_discard_is_silence_from_the_next_block_on() -> None:
    with FakeCard() as card:
        card.write(noise(1000))
        card.pull(400)
        assert card.discard() == 600
        assert not card.pull().any() and card.underruns == 0
        card.write(noise(BLOCK))
        np.testing.assert_array_equal(card.pull(), noise(BLOCK))


def test_a_write_that_waits_for_room_is_woken_by_discard() -> None:
    with FakeCard() as card:
        card.write(noise(RATE_HZ))  # far more than the queue holds
        begun = threading.Event()

        def write() -> None:
            begun.set()
            card.write(noise(7))

        writer = threading.Thread(target=write)
        writer.start()
        assert begun.wait(HANGS_S)
        card.discard()
        while writer.is_alive():  # it began to wait before the discard, or it found room
            writer.join(0.01)
            card.discard()
        assert not card.pull().any()


def test_a_card_of_another_rate_gets_all_of_it() -> None:
    with FakeCard(44100) as card:
        tone = speech("one two")
        card.write(tone)
        drained = threading.Thread(target=card.drain)
        drained.start()
        played = []
        while drained.is_alive():
            played.append(card.pull(441))
        drained.join()
    samples = np.concatenate(played)
    assert np.count_nonzero(samples) == pytest.approx(2 * len(tone), abs=100)
    spectrum = np.abs(np.fft.rfft(samples[: 2 * len(tone)]))
    assert spectrum.argmax() * 44100 / (2 * len(tone)) == pytest.approx(440, abs=10)


def test_a_card_that_goes_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeCard() as card:
        card.write(noise(RATE_HZ))
        card.unplug()
        with pytest.raises(SinkError, match="is it unplugged"):
            card.write(noise(BLOCK))
    monkeypatch.setattr(playback, "_NAP_S", 0.001)
    monkeypatch.setattr(playback, "FIRST_BLOCK_S", 0.01)
    with FakeCard() as card:  # one that never asks for anything
        card.write(noise(RATE_HZ))
        with pytest.raises(SinkError, match="went away"):
            card.drain()


# -- the player --------------------------------------------------------------------------------------------


@contextmanager
def playing(player: Player) -> Iterator[list[BaseException]]:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            player.run()
        except SinkError as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield failures
    finally:
        player.close()
        thread.join(HANGS_S)
        assert not thread.is_alive()


class Told:
    """What a player told, to wait for."""

    def __init__(self) -> None:
        self.all: list[PlaybackStarted | PlaybackEnded] = []
        self._changed = threading.Condition()

    def __call__(self, one: PlaybackStarted | PlaybackEnded) -> None:
        with self._changed:
            self.all.append(one)
            self._changed.notify_all()

    def wait_for(self, num: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.all) >= num, HANGS_S), self.all


def test_a_player_says_all_of_it_and_tells_when() -> None:
    voice, sink, told = FakeVoice(), Recorder(), Told()
    heard: list[int] = []
    player = Player(voice, sink, tell=told, heard=lambda samples, when_ns: heard.append(len(samples)))
    with playing(player):
        for num_turns, text in enumerate(["hello there", "and again"], 1):
            player.say(text)
            told.wait_for(2 * num_turns)
            assert not player.is_speaking
    np.testing.assert_array_equal(np.concatenate(sink.written), np.tile(speech("two words"), 2))
    assert sum(heard) == sum(map(len, sink.written))
    assert [type(one) for one in told.all] == [PlaybackStarted, PlaybackEnded] * 2
    assert not any(isinstance(one, PlaybackEnded) and one.was_interrupted for one in told.all)


def test_a_player_that_is_stopped_writes_nothing_more() -> None:
    voice, told, card = FakeVoice(), Told(), FakeCard()
    silenced: list[int] = []
    player = Player(voice, card, tell=told, silenced=silenced.append)
    with card, playing(player):
        assert not player.stop()
        player.say(" ".join(["word"] * 50))
        told.wait_for(1)
        card.pull()
        assert player.is_speaking and player.stop()
        assert not card.pull(RATE_HZ).any()
        told.wait_for(2)
        ended = told.all[1]
        assert isinstance(ended, PlaybackEnded) and ended.was_interrupted
        assert len(silenced) == 2
        player.say("next")
        told.wait_for(3)
        assert card.pull().any()


def test_a_player_whose_speaker_breaks_ends_with_its_error() -> None:
    voice, told, card = FakeVoice(), Told(), FakeCard()
    player = Player(voice, card, tell=told)
    with card, playing(player) as failures:
        player.say(" ".join(["word"] * 50))
        told.wait_for(1)
        card.unplug()
        told.wait_for(2)
    assert [str(failure) for failure in failures] == [
        "speaker: the sound card ended the stream: is it unplugged?"
    ]
