"""A session from Python: what goes in, what comes out, and every mistake that must be an answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import galago
from galago.runtime.bundle import Bundle
from galago.runtime.errors import (
    FullError,
    InvalidArgumentError,
    InvalidStateError,
    NotFoundError,
    UnsupportedError,
)
from galago.runtime.session import Session
from tests.make_tiny_bundle import SAMPLE_RATE_HZ, make_tiny_bundle, synthesise

SENTENCE = ["turn", "on", "the", "light"]
NS_PER_S = 1_000_000_000


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Iterator[Bundle]:
    with Bundle(tiny_bundle) as opened:
        yield opened


@pytest.fixture
def session(bundle: Bundle) -> Iterator[Session]:
    with bundle.session() as opened:
        yield opened


def speech() -> npt.NDArray[np.float32]:
    return synthesise(SENTENCE)


def finals(events: Any) -> list[str]:
    return [event.text for event in events if isinstance(event, galago.Final)]


def naps_of(session: Session) -> threading.Semaphore:
    """Released whenever `wait` is about to sleep in the library, which it does a nap at a time."""
    naps = threading.Semaphore(0)
    nap = session._wait

    def counted_nap(timeout_ms: int) -> int:
        naps.release()
        return nap(timeout_ms)

    session._wait = counted_nap  # type: ignore[method-assign]  # no other sign of it is to be seen
    return naps


def test_words_come_out_with_times_and_confidence(session: Session) -> None:
    events = list(session.run(speech()))
    (final,) = [event for event in events if isinstance(event, galago.Final)]
    assert final.text == " ".join(SENTENCE)
    assert [word.text for word in final.words] == SENTENCE
    for word, following in zip(final.words, [*final.words[1:], None], strict=True):
        assert 0.3 < word.begin_s < word.end_s < len(speech()) / SAMPLE_RATE_HZ
        assert 0.0 < word.confidence <= 1.0
        assert following is None or word.end_ns <= following.begin_ns
    kinds = [type(event) for event in events]
    assert kinds.index(galago.VoiceStart) < kinds.index(galago.Partial) < kinds.index(galago.Final)
    assert galago.VoiceStop in kinds


def test_a_stable_text_never_changes(session: Session) -> None:
    events = list(session.run(speech()))
    (final,) = finals(events)
    partials = [event for event in events if isinstance(event, galago.Partial)]
    assert partials
    stable = ""
    for partial in partials:
        assert partial.stable_text.startswith(stable)
        assert partial.text.startswith(partial.stable_text)
        stable = partial.stable_text
    assert final.startswith(stable)


def test_sequences_have_no_hole(session: Session) -> None:
    sequences = [event.sequence for event in session.run(speech())]
    assert sequences == list(range(1, len(sequences) + 1))


@pytest.mark.parametrize("block_samples", [1, 160, 5120, 100_000])
def test_the_text_does_not_depend_on_the_size_of_the_blocks(block_samples: int, bundle: Bundle) -> None:
    samples = speech()
    heard = []
    with bundle.session(input_capacity_ms=10_000) as session:
        for begin in range(0, len(samples), block_samples):
            session.push_audio(samples[begin : begin + block_samples])
            while session.step():
                heard += finals(session.events())
        session.end_input()
        while session.step():
            pass
        heard += finals(session.events())
    assert heard == [" ".join(SENTENCE)]


def test_int16_is_heard_like_float32(session: Session) -> None:
    assert session.transcribe((speech() * 32767).astype(np.int16)) == " ".join(SENTENCE)


def test_strided_samples_are_heard_like_contiguous_ones(session: Session) -> None:
    stereo = np.stack([speech(), np.zeros_like(speech())], axis=1)
    assert session.transcribe(stereo[:, 0]) == " ".join(SENTENCE)


def test_contiguous_float32_is_not_copied() -> None:
    from galago.runtime.session import _mono_float32

    samples = np.zeros(160, np.float32)
    assert _mono_float32(samples) is samples


@pytest.mark.parametrize(
    ("samples", "named"),
    [
        ([0.0, 0.1], "numpy array, found list"),
        (b"\0\0", "numpy array, found bytes"),
        (np.zeros((160, 2), np.float32), r"shape \(160, 2\).*mean"),
        (np.float32(0.0), "numpy array"),
        (np.zeros((), np.float32), r"shape \(\)"),
        (np.zeros(160, np.float64), "found float64"),
        (np.zeros(160, np.uint8), "found uint8"),
        (np.zeros(160, np.complex64), "found complex64"),
    ],
)
def test_wrong_samples_are_refused_by_name(samples: Any, named: str, session: Session) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        session.push_audio(samples)
    assert session.metrics().input_samples == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused_whole(value: float, session: Session) -> None:
    samples = np.zeros(1600, np.float32)
    samples[777] = value
    with pytest.raises(InvalidArgumentError):
        session.push_audio(samples)
    assert session.metrics().input_samples == 0
    assert session.transcribe(speech()) == " ".join(SENTENCE), "the stream goes on as if nothing had been"


def test_no_samples_are_no_mistake(session: Session) -> None:
    session.push_audio(np.zeros(0, np.float32))
    assert not session.step()
    assert list(session.run(np.zeros(0, np.float32))) == []


def test_a_full_session_takes_nothing_and_says_so(bundle: Bundle) -> None:
    with bundle.session(input_capacity_ms=1000) as session:
        second = np.zeros(SAMPLE_RATE_HZ, np.float32)
        with pytest.raises(FullError):
            for _ in range(100):
                session.push_audio(second)
        before = session.metrics()
        assert before.refused_samples == SAMPLE_RATE_HZ
        while session.step():
            pass
        session.push_audio(second[:1600])
        assert session.metrics().input_samples == before.input_samples + 1600


def test_a_jump_of_the_capture_time_is_a_gap(session: Session) -> None:
    block = np.zeros(5120, np.float32)
    session.push_audio(block, 1 * NS_PER_S)
    session.push_audio(block, 3 * NS_PER_S)
    session.end_input()
    while session.step():
        pass
    (gap,) = [event for event in session.events() if isinstance(event, galago.Gap)]
    assert (gap.begin_ns, gap.end_ns) == (1_320_000_000, 3 * NS_PER_S)
    assert session.metrics().gaps == 1


@pytest.mark.parametrize("capture_ns", [-1, 2**63])
def test_a_capture_time_that_cannot_be_is_refused(capture_ns: int, session: Session) -> None:
    with pytest.raises(InvalidArgumentError, match="capture_ns"):
        session.push_audio(np.zeros(160, np.float32), capture_ns)


def test_pushing_after_the_end_is_the_wrong_moment(session: Session) -> None:
    session.end_input()
    with pytest.raises(InvalidStateError):
        session.push_audio(np.zeros(160, np.float32))
    session.reset()
    session.push_audio(np.zeros(160, np.float32))


def test_a_reset_session_hears_as_if_just_opened(session: Session) -> None:
    session.push_audio(speech()[:20000])
    while session.step():
        pass
    session.reset()
    assert session.metrics().input_samples == 0
    assert session.transcribe(speech()) == " ".join(SENTENCE)
    assert session.transcribe(speech()) == " ".join(SENTENCE)


def test_a_worker_steps_by_itself(bundle: Bundle) -> None:
    samples = speech()
    heard: list[galago.Event] = []
    with bundle.session(worker=True) as session:
        with pytest.raises(InvalidStateError):
            session.step()
        with pytest.raises(InvalidStateError, match="worker"):
            next(session.run(samples))

        def feed() -> None:
            for begin in range(0, len(samples), 1600):
                while True:
                    try:
                        session.push_audio(samples[begin : begin + 1600])
                        break
                    except FullError:
                        time.sleep(0.001)
            session.end_input()

        feeder = threading.Thread(target=feed)
        feeder.start()
        while not session.finished:
            session.wait(0.5)
            heard += session.events()
        feeder.join()
    assert finals(heard) == [" ".join(SENTENCE)]


def test_waiting_ends_in_time(session: Session) -> None:
    began = time.monotonic()
    assert session.wait(0.1) is False
    assert time.monotonic() - began > 0.08
    assert not session.finished
    session.push_audio(np.zeros(6400, np.float32))
    assert session.wait(0.0) is True


def test_closing_from_another_thread_ends_a_wait(bundle: Bundle) -> None:
    session = bundle.session()
    naps = naps_of(session)

    def close_while_it_naps() -> None:
        naps.acquire()
        session.close()

    closer = threading.Thread(target=close_while_it_naps)
    closer.start()
    with pytest.raises(InvalidStateError, match="closed"):
        session.wait()
    closer.join()


def test_a_closed_session_is_an_answer_in_every_call(bundle: Bundle) -> None:
    session = bundle.session()
    session.close()
    session.close()
    calls: list[Callable[[], object]] = [
        lambda: session.push_audio(np.zeros(1, np.float32)),
        session.step,
        session.next_event,
        session.end_input,
        session.reset,
        session.metrics,
        lambda: session.wait(0.0),
        lambda: session.set_grammar(None),
        lambda: session.set_phrases(None),
        lambda: session.set_hotwords(None),
    ]
    for call in calls:
        with pytest.raises(InvalidStateError, match="closed"):
            call()


def test_a_session_that_an_interrupt_left_locked_can_be_closed(bundle: Bundle) -> None:
    """A KeyboardInterrupt may come when the lock is taken and the block that lets it go has not begun."""
    session = bundle.session()
    session._control.__enter__()
    assert session._control._lock.acquire(timeout=60), "its own thread waits for itself"
    session.close()


def test_a_thread_that_waits_does_not_starve_another(bundle: Bundle) -> None:
    with bundle.session(worker=True) as session:
        naps = naps_of(session)
        waiting = threading.Thread(target=session.wait)
        waiting.start()
        for _ in range(10):
            naps.acquire()
            session.set_hotwords(["light"])
        assert waiting.is_alive(), "every change came between two naps of one wait"
        session.end_input()
        waiting.join()


def test_hammering_and_closing_from_many_threads_harms_nobody(bundle: Bundle) -> None:
    session = bundle.session(worker=True)
    wrong: list[BaseException] = []

    def hammer(call: Callable[[], object], blow: threading.Semaphore) -> None:
        while True:
            try:
                call()
            except FullError:
                time.sleep(0.0005)
            except InvalidStateError:
                return
            except BaseException as error:  # noqa: BLE001 - whatever it is, the test must tell
                wrong.append(error)
                return
            finally:
                blow.release()

    block = np.zeros(320, np.float32)
    calls: list[Callable[[], object]] = [
        lambda: session.push_audio(block),
        lambda: list(session.events()),
        session.metrics,
        lambda: session.wait(0.01),
    ]
    blows = [threading.Semaphore(0) for _ in calls]
    threads = [threading.Thread(target=hammer, args=pair) for pair in zip(calls, blows, strict=True)]
    for thread in threads:
        thread.start()
    for blow in blows:  # all of them are at it
        for _ in range(20):
            assert blow.acquire(timeout=60)
    session.close()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert wrong == []


def test_a_session_outlives_the_closing_of_its_bundle(tiny_bundle: Path) -> None:
    bundle = Bundle(tiny_bundle)
    session = bundle.session()
    bundle.close()
    assert session.transcribe(speech()) == " ".join(SENTENCE)
    session.close()
    with pytest.raises(InvalidStateError, match="closed"):
        bundle.session()


def test_posteriors_are_rows_of_both_heads(bundle: Bundle) -> None:
    with bundle.session(posteriors=True) as session:
        rows = [event for event in session.run(speech()) if isinstance(event, galago.Posteriors)]
    for row in rows:
        assert row.phone_log_probs.shape == (8, 40)
        assert row.token_log_probs.shape == (8, 29)
        np.testing.assert_allclose(np.exp(row.phone_log_probs).sum(axis=1), 1.0, rtol=1e-4)
        np.testing.assert_allclose(np.exp(row.token_log_probs).sum(axis=1), 1.0, rtol=1e-4)


def test_partials_can_be_left_out(bundle: Bundle) -> None:
    with bundle.session(partials=False) as session:
        events = list(session.run(speech()))
    assert not any(isinstance(event, galago.Partial) for event in events)
    assert finals(events) == [" ".join(SENTENCE)]


def test_beam_search_hears_the_same(bundle: Bundle) -> None:
    with bundle.session(beam=True) as session:
        assert session.transcribe(speech()) == " ".join(SENTENCE)


@pytest.mark.parametrize("chunk_ms", [160, 320, 640])
def test_the_chunk_is_the_callers_choice(chunk_ms: int, tiny_bundle: Path) -> None:
    with Bundle(tiny_bundle, chunk_ms=chunk_ms) as bundle, bundle.session() as session:
        assert session.info.chunk_ms == chunk_ms
        assert session.info.algorithmic_latency_ms == chunk_ms
        assert session.transcribe(speech()) == " ".join(SENTENCE)


def test_a_chunk_that_the_bundle_does_not_have_is_refused(tiny_bundle: Path) -> None:
    with pytest.raises((UnsupportedError, NotFoundError), match="250"):
        Bundle(tiny_bundle, chunk_ms=250)


@pytest.mark.parametrize(
    "name", ["input_capacity_ms", "event_capacity", "endpoint_silence_ms", "max_utterance_ms"]
)
@pytest.mark.parametrize("value", [0, -1, 2**32])
def test_options_out_of_range_are_named(name: str, value: int, bundle: Bundle) -> None:
    with pytest.raises(InvalidArgumentError, match=name):
        bundle.session(**{name: value})


def test_silence_has_no_words(session: Session) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0.0, 0.01, 10 * SAMPLE_RATE_HZ).astype(np.float32)
    assert session.transcribe(np.zeros(10 * SAMPLE_RATE_HZ, np.float32)) == ""
    assert session.transcribe(noise) == ""


def test_metrics_count_what_was_done(session: Session) -> None:
    samples = speech()
    for begin in range(0, len(samples), 1600):
        session.push_audio(samples[begin : begin + 1600])
        while session.step():
            pass
    metrics = session.metrics()
    assert metrics.input_samples == len(samples)
    assert metrics.steps == len(samples) // 5120
    assert 0 < metrics.engine_ns <= metrics.busy_ns
    assert metrics.step_p50_ns is not None and metrics.step_p99_ns is not None
    assert 0 < metrics.step_p50_ns <= metrics.step_p99_ns
    assert metrics.rtf == pytest.approx(metrics.busy_ns / 1e9 / (len(samples) / SAMPLE_RATE_HZ))
    assert metrics.peak_bytes > 0


# -- what to listen for --------------------------------------------------------------------------------

GRAMMAR = {
    "language": "en",
    "intents": {
        "TurnOn": {"data": [{"sentences": ["turn on the {thing}"]}]},
        "TurnOff": {"data": [{"sentences": ["(turn|switch) off the {thing}"]}]},
    },
    "lists": {"thing": {"values": ["light", "fan", "lamp"]}},
}


def test_a_grammar_gives_intents_with_slots(session: Session) -> None:
    pytest.importorskip("hassil", reason="grammars are compiled with hassil")
    session.set_grammar(GRAMMAR)
    for words, name, slot in (
        (["turn", "on", "the", "light"], "TurnOn", "light"),
        (["switch", "off", "the", "fan"], "TurnOff", "fan"),
    ):
        events = list(session.run(synthesise(words)))
        (intent,) = [event for event in events if isinstance(event, galago.Intent)]
        assert (intent.name, dict(intent.slots)) == (name, {"thing": slot})
        assert 0.0 <= intent.confidence <= 1.0
        assert [word.text for word in intent.words] == words
        before = events[events.index(intent) - 1]
        assert isinstance(before, galago.Final)
        assert (before.text, before.utterance) == (" ".join(words), intent.utterance)


def test_what_no_sentence_fits_is_rejected(session: Session) -> None:
    pytest.importorskip("hassil", reason="grammars are compiled with hassil")
    session.set_grammar(GRAMMAR)
    events = list(session.run(synthesise(["hello", "galago", "stop", "three"])))
    (rejected,) = [event for event in events if isinstance(event, galago.Rejected)]
    assert "galago" in rejected.text
    assert finals(events) == []
    session.set_grammar(None)
    assert "galago" in session.transcribe(synthesise(["hello", "galago"]))


def test_a_wake_phrase_is_spotted(session: Session) -> None:
    session.set_phrases(["green light"])
    events = list(session.run(synthesise(["green", "light"])))
    (phrase,) = [event for event in events if isinstance(event, galago.Phrase)]
    assert phrase.text == "green light"
    session.set_phrases(None)
    assert not any(isinstance(event, galago.Phrase) for event in session.run(synthesise(["green", "light"])))


def test_hotwords_take_lists_and_boosts(session: Session) -> None:
    session.set_hotwords(["turn on", "galago"])
    session.set_hotwords({"light": 3.0})
    assert session.transcribe(speech()) == " ".join(SENTENCE)
    session.set_hotwords(None)
    with pytest.raises(InvalidArgumentError, match="one string"):
        session.set_hotwords("light")
    with pytest.raises(InvalidArgumentError, match="one string"):
        session.set_phrases("light")


@pytest.mark.parametrize(
    ("grammar", "named"),
    [
        ({"language": "en", "intents": {"A": {"data": [{"sentences": ["turn on {nowhere}"]}]}}}, "nowhere"),
        ("language: en\nintents: [\n", "flow|YAML|line"),
        (b"GGRM" + bytes(10), "gram|bytes|header"),
    ],
    ids=["unknown list", "broken YAML", "broken bytes"],
)
def test_a_bad_grammar_changes_nothing(grammar: Any, named: str, session: Session) -> None:
    pytest.importorskip("hassil", reason="grammars are compiled with hassil")
    with pytest.raises(galago.GalagoError, match=named):
        session.set_grammar(grammar)
    assert session.transcribe(speech()) == " ".join(SENTENCE)


def test_a_grammar_that_is_not_there_is_named(session: Session) -> None:
    with pytest.raises(NotFoundError, match=r"nowhere\.yaml"):
        session.set_grammar("nowhere.yaml")


# -- speech ------------------------------------------------------------------------------------------------


def test_a_bundle_without_a_voice_does_not_speak(session: Session) -> None:
    assert session.info.speech_sample_rate_hz == 0
    for speak in (
        lambda: session.speak("hello"),
        lambda: session.read_speech(np.empty(10, np.float32)),
        session.stop_speech,
    ):
        with pytest.raises(UnsupportedError, match="voice"):
            speak()


def test_speech_takes_text_and_a_buffer_of_floats(session: Session) -> None:
    for text in ("a\0b", "\ud800"):
        with pytest.raises(InvalidArgumentError, match="text: "):
            session.speak(text)
    frozen = np.empty(10, np.float32)
    frozen.flags.writeable = False
    buffers: list[npt.NDArray[Any]] = [
        np.empty(10),
        np.empty((2, 5), np.float32),
        np.empty(20, np.float32)[::2],
        frozen,
    ]
    for buffer in buffers:
        with pytest.raises(InvalidArgumentError, match="contiguous, writable float32"):
            session.read_speech(buffer)


def test_finals_may_come_of_longer_chunks_than_partials(tmp_path: Path) -> None:
    changes = {"decoding": {"method": "greedy", "second_pass_chunk_tokens": 16}}
    folder = make_tiny_bundle(tmp_path, chunk_tokens=(8, 16), changes=changes)
    samples = synthesise(["turn", "the", "fan", "on"], tail_ms=1500)
    with galago.open(folder, chunk_ms=320) as bundle:
        texts: dict[bool, list[str]] = {False: [], True: []}
        for one_pass in (False, True):
            with bundle.session(one_pass=one_pass) as session:
                for event in session.run(samples):
                    if isinstance(event, galago.Final):
                        texts[one_pass].append(event.text)
                        counted = session.metrics()
                        assert 0 < counted.engine_ns <= counted.busy_ns
        assert texts == {False: ["turn the fan on"], True: ["turn the fan on"]}


def test_a_second_pass_needs_a_target_of_its_chunks(tmp_path: Path) -> None:
    changes = {"decoding": {"method": "greedy", "second_pass_chunk_tokens": 32}}
    folder = make_tiny_bundle(tmp_path, chunk_tokens=(8, 16), changes=changes)
    with pytest.raises(galago.CorruptError, match="second_pass_chunk_tokens"):
        galago.open(folder)
