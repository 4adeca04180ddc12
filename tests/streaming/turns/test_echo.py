"""The device must not hear itself: what was played when, half duplex, and the canceller."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from galago.runtime.errors import InvalidArgumentError, UnsupportedError
from galago.streaming.source import AudioBlock, AudioSource
from galago.streaming.turns.echo import EchoCancelledSource, HalfDuplexSource
from galago.streaming.turns.reference import PlaybackReference
from galago.streaming.turns.speex import SpeexEchoCanceller

RATE_HZ = 16000
MS = 1_000_000
BEGIN_NS = 7_000_000_000
FRAME = 320


class Blocks(AudioSource):
    """Samples as a microphone's blocks of a length of the test's own."""

    live = True

    def __init__(self, samples: npt.NDArray[np.float32], *, block_samples: int = 160) -> None:
        self.name = "mic"
        self.sample_rate_hz = RATE_HZ
        self.num_channels = 1
        self._samples = samples
        self._block_samples = block_samples

    def __iter__(self) -> Iterator[AudioBlock]:
        for begin in range(0, len(self._samples), self._block_samples):
            piece = self._samples[begin : begin + self._block_samples]
            yield AudioBlock(piece[:, None], BEGIN_NS + begin * 1_000_000_000 // RATE_HZ)


def noise(num_samples: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 0.1, num_samples).astype(np.float32)


def test_what_was_played_is_read_at_its_time() -> None:
    reference = PlaybackReference(RATE_HZ, RATE_HZ)
    played = noise(1600)
    for begin in range(0, 1600, 160):  # the card's estimate of the time jitters by 5 ms
        jitter_ns = (begin // 160 % 3) * 5 * MS
        reference.add(played[begin : begin + 160], BEGIN_NS + begin * 62_500 + jitter_ns)
    np.testing.assert_array_equal(reference.read(BEGIN_NS, 1600), played)
    np.testing.assert_array_equal(reference.read(BEGIN_NS + 50 * MS, 320), played[800:1120])
    around = reference.read(BEGIN_NS - 10 * MS, 1920)
    assert not around[:160].any() and not around[-160:].any()
    assert reference.was_audible(BEGIN_NS + 99 * MS, BEGIN_NS + 200 * MS)
    assert not reference.was_audible(BEGIN_NS + 100 * MS, BEGIN_NS + 200 * MS)


def test_a_pause_is_silence_and_so_is_what_was_cut() -> None:
    reference = PlaybackReference(RATE_HZ, RATE_HZ)
    reference.add(noise(1600), BEGIN_NS)
    reference.add(noise(1600, 1), BEGIN_NS + 200 * MS)
    both = reference.read(BEGIN_NS, 4800)
    np.testing.assert_array_equal(both[3200:], noise(1600, 1))
    assert not both[1600:3200].any()
    reference.cut(BEGIN_NS + 250 * MS)
    assert not reference.read(BEGIN_NS + 250 * MS, 800).any()
    assert reference.read(BEGIN_NS + 240 * MS, 160).all()
    assert not reference.was_audible(BEGIN_NS + 250 * MS, BEGIN_NS + 300 * MS)
    reference.cut(BEGIN_NS)
    assert not reference.was_audible(0, BEGIN_NS + 300 * MS)


def test_a_voice_of_another_rate_is_resampled() -> None:
    reference = PlaybackReference(22050, RATE_HZ)
    time_s = np.arange(22050) / 22050
    reference.add((0.5 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32), BEGIN_NS)
    read = reference.read(BEGIN_NS, 12000)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(12000) / RATE_HZ)
    assert np.abs(read - expected)[100:].max() < 0.01


def test_half_duplex_hears_all_but_itself_and_a_tail() -> None:
    reference = PlaybackReference(RATE_HZ, RATE_HZ)
    reference.add(noise(1600), BEGIN_NS + 200 * MS)  # 200 to 300 ms
    source = HalfDuplexSource(Blocks(noise(16000)), reference, tail_ms=100)
    heard = [(block.capture_ns - BEGIN_NS) // MS for block in source]
    assert heard == [*range(0, 200, 10), *range(400, 1000, 10)]
    assert source.live and source.dropped_frames == 0


@pytest.fixture
def canceller() -> Iterator[SpeexEchoCanceller]:
    try:
        one = SpeexEchoCanceller(RATE_HZ, frame_samples=FRAME)
    except UnsupportedError as error:
        pytest.skip(str(error))
    with one:
        yield one


def room(played: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What a microphone hears of a speaker: 40 ms later, softer, with a reverberation of 60 ms."""
    taps = np.random.default_rng(5).normal(0, 1, 960) * np.exp(-np.arange(960) / 200)
    answer = np.concatenate([np.zeros(640), 0.3 * taps / np.abs(taps).sum() * 4])
    return np.convolve(played, answer)[: len(played)].astype(np.float32)


def level_db(samples: npt.NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.mean(samples.astype(np.float64) ** 2) + 1e-12))


def test_the_canceller_takes_away_the_echo_and_leaves_the_speaker(canceller: SpeexEchoCanceller) -> None:
    """After four seconds of its own voice the echo is down by 20 dB, and who speaks then is still heard."""
    num_samples = 6 * RATE_HZ
    played = noise(num_samples) * np.repeat(np.random.default_rng(1).uniform(0.2, 1, 60), RATE_HZ // 10)
    echo = room(played.astype(np.float32))
    person = np.zeros(num_samples, np.float32)
    person[5 * RATE_HZ :] = noise(RATE_HZ, 9)  # as loud as the voice itself
    reference = PlaybackReference(RATE_HZ, RATE_HZ)
    reference.add(played.astype(np.float32), BEGIN_NS)
    source = EchoCancelledSource(Blocks(echo + person, block_samples=500), reference, canceller)
    blocks = list(source)
    begins = [block.capture_ns for block in blocks]
    assert begins == sorted(begins) and begins[0] == BEGIN_NS
    cleaned = np.concatenate([block.samples[:, 0] for block in blocks])
    assert len(cleaned) == num_samples
    alone = slice(4 * RATE_HZ, 5 * RATE_HZ)
    assert level_db(cleaned[alone]) < level_db(echo[alone]) - 20
    together = slice(5 * RATE_HZ, 6 * RATE_HZ)
    assert level_db(cleaned[together]) > level_db(person[together]) - 6


def test_without_playback_samples_pass_untouched(canceller: SpeexEchoCanceller) -> None:
    reference = PlaybackReference(RATE_HZ, RATE_HZ)
    samples = noise(16000)
    source = EchoCancelledSource(Blocks(samples, block_samples=333), reference, canceller)
    np.testing.assert_array_equal(np.concatenate([block.samples[:, 0] for block in source]), samples)


def test_a_canceller_refuses_other_frames(canceller: SpeexEchoCanceller) -> None:
    with pytest.raises(InvalidArgumentError, match="two frames of 320"):
        canceller.process(noise(FRAME), noise(100))
    canceller.reset()
    canceller.close()
    canceller.close()
    with pytest.raises(InvalidArgumentError, match="is closed"):
        canceller.process(noise(FRAME), noise(FRAME))


def test_a_missing_library_is_told_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    from galago.streaming.turns import speex

    def absent(name: str) -> None:
        raise OSError(name)

    speex.load_speexdsp.cache_clear()
    monkeypatch.setattr("galago.streaming.turns.speex.ctypes.CDLL", absent)
    monkeypatch.setattr("galago.streaming.turns.speex.ctypes.util.find_library", lambda name: None)
    with pytest.raises(UnsupportedError, match="apt-get install libspeexdsp1"):
        SpeexEchoCanceller(RATE_HZ, frame_samples=FRAME)
