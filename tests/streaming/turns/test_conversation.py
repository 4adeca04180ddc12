"""Turns: the tiny ear and eye, a voice without a network, and threads that are waited for by condition."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pytest

from galago.runtime.bundle import Bundle
from galago.runtime.errors import InvalidStateError, SinkError, SourceError, UnsupportedError
from galago.runtime.events import Final, Intent, Labels, VoiceStart
from galago.streaming.images.image_source import ImageFrame, ImageSource
from galago.streaming.sound.sink import AudioSink, now_ns
from galago.streaming.source import NS_PER_S, AudioBlock, AudioSource
from galago.streaming.turns.conversation import Conversation, Interrupted, Parts, Told, Trouble
from galago.streaming.turns.dialogue import Dialogue, Reply, Rule
from galago.streaming.turns.player import PlaybackEnded, PlaybackStarted
from galago.streaming.turns.sight import LabelHistory
from tests.make_tiny_bundle import SAMPLE_RATE_HZ, synthesise
from tests.streaming.turns.fake_voice import HANGS_S, RATE_HZ, FakeVoice, speech
from tests.tiny_eye import draw

Kind = TypeVar("Kind")
GRAMMAR = """\
language: en
intents:
  AskSee:
    data:
      - sentences: ["turn on the light"]
"""
DIALOGUE = [
    Rule(intents=("AskSee",), seen=("known",), say=("I see {label} and that is all",)),
    Rule(intents=("AskSee",), say=("I am {intent} blind",)),
]
QUESTION = "turn on the light".split()


class ScriptedEar(AudioSource):
    """Blocks of 20 ms, stamped as a microphone's, each given out when the script lets it.

    `parts`: samples, or a function to wait in.
    """

    live = True

    def __init__(self, *parts: npt.NDArray[np.float32] | Callable[[], object], begin_ns: int) -> None:
        self.name = "mic"
        self.sample_rate_hz = SAMPLE_RATE_HZ
        self.num_channels = 1
        self._parts = parts
        self._next_ns = begin_ns
        self._closed = False

    def __iter__(self) -> Iterator[AudioBlock]:
        for part in self._parts:
            if callable(part):
                part()
                continue
            for begin in range(0, len(part), 320):
                if self._closed:
                    return
                samples = part[begin : begin + 320]
                yield AudioBlock(samples[:, None], self._next_ns)
                self._next_ns += len(samples) * NS_PER_S // SAMPLE_RATE_HZ

    def close(self) -> None:
        self._closed = True


class ScriptedCamera(ImageSource):
    """Pictures of colours at capture times; then a function decides how it goes on."""

    live = True

    def __init__(self, *pictures: tuple[str, int], then: Callable[[], object] = lambda: None) -> None:
        self.name = "camera"
        self._pictures = pictures
        self._then = then
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[ImageFrame]:
        for colour, capture_ns in self._pictures:
            yield ImageFrame(draw(colour), capture_ns)
        self._then()

    def close(self) -> None:
        self.closed.set()


class MemorySink(AudioSink):
    """Keeps what it was given; `hold` makes it play no faster than the test allows."""

    def __init__(self, *, fails_after: int | None = None) -> None:
        self.name = "memory"
        self.sample_rate_hz = RATE_HZ
        self.written: list[npt.NDArray[np.float32]] = []
        self.num_discards = 0
        self.changed = threading.Condition()
        self.may_play = threading.Event()
        self.may_play.set()
        self._fails_after = fails_after

    def write(self, samples: npt.NDArray[np.float32]) -> int:
        if self._fails_after is not None and len(self.written) >= self._fails_after:
            raise SinkError("speaker: the sound card ended the stream: is it unplugged?")
        with self.changed:
            self.written.append(samples.copy())
            self.changed.notify_all()
        self.may_play.wait(HANGS_S)
        return now_ns()

    def discard(self) -> int:
        self.num_discards += 1
        self.may_play.set()
        return 0

    def close(self) -> None:
        self.may_play.set()

    def wait_for_sound(self) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.written, HANGS_S)


@pytest.fixture
def bundle(tiny_both_bundle: Path) -> Iterator[Bundle]:
    with Bundle(tiny_both_bundle) as opened:
        yield opened


def converse(bundle: Bundle, parts: Parts, **events: Callable[[], object]) -> list[Told]:
    """Everything that was told; `events` maps the name of a kind to what to do when it comes."""
    told = []
    with bundle.session(worker=True, event_capacity=1024, input_capacity_ms=60_000) as session:
        session.set_grammar(GRAMMAR)
        for one in Conversation(session, parts, closed_vocabulary=True):
            told.append(one)
            events.get(type(one).__name__, lambda: None)()
    return told


def of(kind: type[Kind], told: list[Told]) -> list[Kind]:
    return [one for one in told if isinstance(one, kind)]


def test_what_do_you_see_is_answered_with_the_image_of_its_moment(bundle: Bundle) -> None:
    """Red while it is asked; green when the last word is over and the endpoint's silence runs."""
    tail_ms = 2000
    question = synthesise(QUESTION, lead_ms=1000, tail_ms=tail_ms)
    spoken_ms = len(question) * 1000 // SAMPLE_RATE_HZ - tail_ms
    # More than two seconds apart: labels are smoothed over images that follow each other closely.
    pictures = [("red", 100_000_000), ("green", (spoken_ms + 200) * 1_000_000)]
    assert spoken_ms > 2000
    looked = threading.Semaphore(0)
    all_looked = threading.Event()

    class OneByOne(ScriptedCamera):
        """The newest image wins: the next one is shown when this one was looked at."""

        def __iter__(self) -> Iterator[ImageFrame]:
            for image in super().__iter__():
                yield image
                assert looked.acquire(timeout=HANGS_S)
            all_looked.set()

    voice, sink = FakeVoice(), MemorySink()
    parts = Parts(
        ear=ScriptedEar(lambda: all_looked.wait(HANGS_S), question, begin_ns=0),
        dialogue=Dialogue(DIALOGUE),
        history=LabelHistory(max_age_ms=10_000),
        camera=lambda report: OneByOne(*pictures),
        camera_rate_hz=240,
        voice=voice,
        sink=sink,
        echo="none",
    )
    told = converse(bundle, parts, Labels=looked.release)
    assert [one.labels[0].name for one in of(Labels, told)] == ["red", "green"]
    (reply,) = of(Reply, told)
    assert reply.text == "I see red and that is all" == voice.texts[0]
    assert reply.question.sight.capture_ns == 100_000_000
    np.testing.assert_array_equal(np.concatenate(sink.written), speech(reply.text))
    kinds = [type(one) for one in told if not isinstance(one, Labels)]
    order = [kinds.index(kind) for kind in (VoiceStart, Final, Intent, Reply, PlaybackStarted, PlaybackEnded)]
    assert order == sorted(order)
    assert not of(Interrupted, told)


def test_who_speaks_silences_the_voice(bundle: Bundle) -> None:
    voice, sink = FakeVoice(), MemorySink()
    sink.may_play.clear()  # the reply hangs in the speaker until somebody interrupts it
    parts = Parts(
        ear=ScriptedEar(
            synthesise(QUESTION, tail_ms=1500),
            sink.wait_for_sound,
            synthesise(QUESTION, tail_ms=1500),
            begin_ns=0,
        ),
        dialogue=Dialogue(DIALOGUE),
        voice=voice,
        sink=sink,
        echo="none",
    )
    told = converse(bundle, parts)
    (interrupted,) = of(Interrupted, told)
    first, second = of(PlaybackEnded, told)
    assert first.was_interrupted and not second.was_interrupted
    assert voice.texts == ["I am AskSee blind"] * 2
    # Nothing of the first reply but the block that hung, and all of the second.
    played = np.concatenate(sink.written)
    block = RATE_HZ // 100
    np.testing.assert_array_equal(played[:block], speech(voice.texts[0])[:block])
    np.testing.assert_array_equal(played[block:], speech(voice.texts[1]))
    second_start = of(VoiceStart, told)[1]
    assert interrupted.begin_ns == second_start.begin_ns
    assert told.index(interrupted) < told.index(second_start)


def test_without_barge_in_the_voice_goes_on(bundle: Bundle) -> None:
    voice, sink = FakeVoice(), MemorySink()
    sink.may_play.clear()
    parts = Parts(
        ear=ScriptedEar(
            synthesise(QUESTION, tail_ms=1500),
            sink.wait_for_sound,
            synthesise(["go"], tail_ms=1500),
            sink.may_play.set,
            begin_ns=0,
        ),
        dialogue=Dialogue(DIALOGUE),
        voice=voice,
        sink=sink,
        echo="none",
        barge_in=False,
    )
    told = converse(bundle, parts)
    assert not of(Interrupted, told)
    np.testing.assert_array_equal(np.concatenate(sink.written), speech("I am AskSee blind"))


def test_a_camera_that_fails_is_told_once_and_comes_back(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ear hears meanwhile, and the third camera works."""
    monkeypatch.setattr("galago.streaming.images.reconnect.Backoff.next_s", lambda self: 0.0)
    attempts: list[int] = []
    back = threading.Event()

    def open_camera(report: Callable[[str], None]) -> ImageSource:
        attempts.append(1)
        if len(attempts) < 3:
            report("camera: stalled")
            raise SourceError("camera: no image for 5 s: it stalled")
        return ScriptedCamera(("red", 1_000_000_000))

    parts = Parts(
        ear=ScriptedEar(lambda: back.wait(HANGS_S), synthesise(QUESTION), begin_ns=0),
        dialogue=Dialogue(DIALOGUE),
        camera=open_camera,
    )
    told = converse(bundle, parts, Labels=back.set)
    troubles = [one.text for one in of(Trouble, told)]
    assert troubles == ["camera: stalled (listening goes on)", "the camera is back"]
    assert len(attempts) == 3 and len(of(Intent, told)) == 1
    (reply,) = of(Reply, told)
    assert reply.text == "I see red and that is all"  # with no voice, it is told


def test_a_speaker_that_goes_away_ends_the_turn_with_a_reason(bundle: Bundle) -> None:
    voice, sink = FakeVoice(), MemorySink(fails_after=3)
    told: list[Told] = []
    parts = Parts(
        ear=ScriptedEar(synthesise(QUESTION, tail_ms=1500), sink.wait_for_sound, begin_ns=0),
        dialogue=Dialogue(DIALOGUE),
        voice=voice,
        sink=sink,
        echo="none",
    )
    with bundle.session(worker=True, input_capacity_ms=60_000) as session:
        session.set_grammar(GRAMMAR)
        with pytest.raises(SinkError, match="unplugged"):
            told.extend(Conversation(session, parts, closed_vocabulary=True))
    np.testing.assert_array_equal(
        np.concatenate(sink.written), speech(voice.texts[0])[: 3 * (RATE_HZ // 100)]
    )


def test_an_ear_that_breaks_is_heard_to_its_end(bundle: Bundle) -> None:
    def unplug() -> None:
        raise SourceError("mic: the sound card ended the stream")

    told: list[Told] = []
    parts = Parts(
        ear=ScriptedEar(synthesise(QUESTION, tail_ms=200), unplug, begin_ns=0), dialogue=Dialogue(DIALOGUE)
    )
    with bundle.session(worker=True, input_capacity_ms=60_000) as session:
        session.set_grammar(GRAMMAR)
        with pytest.raises(SourceError, match="ended the stream"):
            for one in Conversation(session, parts, closed_vocabulary=True):
                told.append(one)
    assert [one.text for one in of(Final, told)] == [" ".join(QUESTION)]


def test_stop_ends_it_while_nothing_happens(bundle: Bundle) -> None:
    """Sources that hang are closed, the voice is silenced, and what was said until then is told."""
    voice, sink = FakeVoice(), MemorySink()
    sink.may_play.clear()
    released = threading.Event()
    camera = ScriptedCamera(("red", 0), then=lambda: camera.closed.wait(HANGS_S))
    parts = Parts(
        ear=ScriptedEar(synthesise(QUESTION), lambda: released.wait(HANGS_S), begin_ns=0),
        dialogue=Dialogue(DIALOGUE),
        camera=lambda report: camera,
        voice=voice,
        sink=sink,
        echo="none",
    )
    with bundle.session(worker=True, input_capacity_ms=60_000) as session:
        session.set_grammar(GRAMMAR)
        conversation = Conversation(session, parts, closed_vocabulary=True)
        told: list[Told] = []
        for one in conversation:
            told.append(one)
            if isinstance(one, PlaybackStarted | Reply):
                conversation.stop()
                released.set()
    assert camera.closed.is_set() and voice.num_stops >= 1
    assert len(of(Intent, told)) == 1
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("galago-ear")]


def test_what_does_not_fit_is_refused(bundle: Bundle, tiny_bundle: Path) -> None:
    parts = Parts(ear=ScriptedEar(begin_ns=0), camera=lambda report: ScriptedCamera())
    with bundle.session() as session, pytest.raises(InvalidStateError, match="worker"):
        Conversation(session, parts, closed_vocabulary=True)
    with Bundle(tiny_bundle) as deaf, deaf.session(worker=True) as session:
        with pytest.raises(UnsupportedError, match="has no eye for the camera"):
            Conversation(session, parts, closed_vocabulary=True)
