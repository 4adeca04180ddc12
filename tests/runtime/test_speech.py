"""`Session.speak` through the C ABI with the tiny voice of sines: what is heard, and what is refused."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from galago.runtime.bundle import Bundle
from galago.runtime.errors import FullError, InvalidArgumentError, InvalidStateError
from galago.runtime.events import SpeakStart, SpeakStop
from galago.runtime.session import Session
from tests.tiny_voice import GOLDEN_PHONES, GOLDEN_TEXT, HOP_SAMPLES, SAMPLE_RATE_HZ, frames_of, spoken

ONE = ("^", "W", "AH1", "N", ".")
TOLERANCE = 1e-3
HANGS_S = 60.0  # a guard: nothing here takes a tenth of it


@pytest.fixture(scope="module")
def bundle(tiny_voice_bundle: Path) -> Iterator[Bundle]:
    with Bundle(tiny_voice_bundle) as bundle:
        yield bundle


@pytest.fixture
def session(bundle: Bundle) -> Iterator[Session]:
    with bundle.session() as session:
        yield session


def read(session: Session, capacity: int = 333) -> npt.NDArray[np.float32]:
    buffer = np.full(capacity, np.nan, np.float32)
    return buffer[: session.read_speech(buffer)]


def hear(session: Session) -> npt.NDArray[np.float32]:
    """Step and read until there is nothing more."""
    heard: list[npt.NDArray[np.float32]] = []
    while True:
        while session.step():
            pass
        samples = read(session)
        if not len(samples):
            return np.concatenate(heard) if heard else np.empty(0, np.float32)
        heard.append(samples)


def said(session: Session) -> list[tuple[str, int]]:
    return [(type(event).__name__, event.utterance) for event in session.events()]


def test_the_core_says_what_the_oracle_says(session: Session) -> None:
    assert session.info.speech_sample_rate_hz == SAMPLE_RATE_HZ
    assert "speech at 16000 Hz" in repr(session)
    for number in (1, 2):  # the second one after the states of the first
        assert session.speak(GOLDEN_TEXT) == number
        np.testing.assert_allclose(hear(session), spoken(GOLDEN_PHONES), atol=TOLERANCE)
        assert said(session) == [("SpeakStart", number), ("SpeakStop", number)]


def test_a_text_is_spoken_as_a_whole(bundle: Bundle, session: Session) -> None:
    text = " ".join([GOLDEN_TEXT] * 30)
    samples = session.synthesise(text)
    assert len(samples) == 30 * len(spoken(GOLDEN_PHONES))
    np.testing.assert_allclose(session.synthesise(GOLDEN_TEXT), spoken(GOLDEN_PHONES), atol=TOLERANCE)
    with pytest.raises(InvalidArgumentError, match="nothing that can be said"):
        session.synthesise("...")
    with bundle.session(worker=True) as other, pytest.raises(InvalidStateError, match="has a worker"):
        other.synthesise(GOLDEN_TEXT)


def test_ssml_changes_pauses_rate_pitch_and_volume(session: Session) -> None:
    counts = frames_of(ONE)
    session.speak("<speak>one<break time='250ms'/></speak>")
    assert len(hear(session)) == (sum(counts[:-1]) + 25) * HOP_SAMPLES
    session.speak("<speak><prosody rate='50%'>one</prosody></speak>")
    assert len(hear(session)) == 2 * sum(counts) * HOP_SAMPLES
    session.speak("<speak><prosody pitch='+6st'>one</prosody></speak>")
    shifted = spoken(ONE, pitch_shift=0.5 / 0.25)  # half an octave; PITCH_STD_OCTAVES is a quarter
    np.testing.assert_allclose(hear(session), shifted, atol=TOLERANCE)
    session.speak("<speak><prosody volume='-20dB'>one</prosody></speak>")
    np.testing.assert_allclose(hear(session), 0.1 * spoken(ONE), atol=TOLERANCE)


def test_unknown_words_are_read_by_the_network_of_the_bundle(session: Session) -> None:
    session.speak("dab")
    expected = spoken(("^", "D", "AE1", "B", "."))
    np.testing.assert_allclose(hear(session), expected, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "nothing that can be said"),
        (" \n ", "nothing that can be said"),
        ("\N{GRINNING FACE}\N{SAUROPOD}", "nothing that can be said .2 of its characters"),
        ("日本語", "nothing that can be said"),
        ("<speak>one\n<loud>two</loud></speak>", "line 2, column 1"),
        ("<speak>one", "line 1"),
        ("a" * (2**18 + 1), "262145 bytes"),
        ("a\0b", "NUL"),
        ("\ud800", "Unicode"),
    ],
)
def test_text_that_cannot_be_said_is_refused(session: Session, text: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        session.speak(text)
    assert not session.step() and not len(read(session)) and not said(session)


def test_ten_thousand_characters_are_spoken_to_the_end(session: Session) -> None:
    text = "one. " * 2000
    session.speak(text)
    heard = hear(session)
    assert len(heard) == 2000 * sum(frames_of(ONE)) * HOP_SAMPLES
    np.testing.assert_allclose(heard[-sum(frames_of(ONE)) * HOP_SAMPLES :], spoken(ONE), atol=TOLERANCE)


def test_emoji_between_words_are_left_out(session: Session) -> None:
    session.speak("one \N{GRINNING FACE}")
    np.testing.assert_allclose(hear(session), spoken(ONE), atol=TOLERANCE)


def test_stop_speech_leaves_at_most_five_milliseconds(session: Session) -> None:
    for _ in range(3):
        session.speak(GOLDEN_TEXT)
    while session.step():
        pass
    read(session, 1000)
    session.stop_speech()
    rest = hear(session)
    assert len(rest) <= SAMPLE_RATE_HZ * 5 // 1000
    ends = [number for name, number in said(session) if name == "SpeakStop"]
    assert ends == [1, 2, 3]
    session.speak("one")
    np.testing.assert_allclose(hear(session), spoken(ONE), atol=TOLERANCE)


def test_stopping_and_reading_without_speech_do_nothing(session: Session) -> None:
    session.stop_speech()
    assert session.read_speech(np.empty(0, np.float32)) == 0
    assert session.read_speech(np.empty(10, np.float32)) == 0
    assert not session.step()


def test_a_full_queue_is_told(session: Session) -> None:
    with pytest.raises(FullError, match="32 texts wait"):
        for _ in itertools.count():
            session.speak("one")


def test_speech_is_measured(session: Session) -> None:
    metrics = session.metrics()
    assert metrics.ttfa_ns is None and metrics.speech_rtf is None
    session.speak(GOLDEN_TEXT)
    heard = hear(session)
    metrics = session.metrics()
    assert metrics.ttfa_ns is not None and metrics.ttfa_ns > 0
    assert metrics.speech_duration_ns == len(heard) * 1_000_000_000 // SAMPLE_RATE_HZ
    assert 0 < metrics.speech_engine_ns <= metrics.speech_busy_ns
    assert metrics.speech_rtf is not None and metrics.steps == 0


def test_reset_is_silence_and_the_voice_speaks_again(session: Session) -> None:
    session.speak(GOLDEN_TEXT)
    while session.step():
        pass
    session.reset()
    assert not len(hear(session)) and not said(session)
    session.speak("one")
    np.testing.assert_allclose(hear(session), spoken(ONE), atol=TOLERANCE)


def test_a_worker_speaks_while_another_thread_waits_and_a_third_plays(bundle: Bundle) -> None:
    heard: list[npt.NDArray[np.float32]] = []
    ended = threading.Event()
    with bundle.session(worker=True) as session:

        def play() -> None:
            while not ended.is_set() or len(samples := read(session)):
                samples = read(session)
                if len(samples):
                    heard.append(samples.copy())
                else:
                    ended.wait(0.001)

        player = threading.Thread(target=play)
        player.start()
        numbers = [session.speak(text) for text in (GOLDEN_TEXT, "one")]
        starts: list[int] = []
        ends: list[int] = []
        while len(ends) < 2:
            assert session.wait(HANGS_S)
            for event in session.events():
                if isinstance(event, SpeakStart):
                    starts.append(event.utterance)
                elif isinstance(event, SpeakStop):
                    ends.append(event.utterance)
        ended.set()
        player.join()
    assert starts == ends == numbers
    expected = np.concatenate([spoken(GOLDEN_PHONES), spoken(ONE)])
    np.testing.assert_allclose(np.concatenate(heard), expected, atol=TOLERANCE)


@pytest.mark.parametrize("worker", [False, True])
def test_a_session_closes_while_it_speaks(bundle: Bundle, worker: bool) -> None:
    session = bundle.session(worker=worker)
    session.speak(GOLDEN_TEXT * 20)
    if not worker:
        session.step()
    read(session)
    session.close()
    with pytest.raises(InvalidStateError, match="closed"):
        session.speak("one")


def test_the_bundle_tells_which_speaker_runs(bundle: Bundle) -> None:
    assert bundle.metadata("open.voice.target") == "openvino-f32-speaker"
    assert bundle.metadata("roles.voice.chunk_frames") == "4"
