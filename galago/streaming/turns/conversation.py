"""A turn, and the next: what is heard and seen becomes a reply that is said, and who speaks is let speak.

    microphone ─► echo ─► session.push_audio ─┐                         ┌─► dialogue ─► voice ─► speaker
                                              ├─► events (this thread) ─┤                          │
    camera ─────────────► session.push_image ─┘                         └─► barge-in ──► stop ─────┘

One session with one worker.  Three threads beside it, all started and joined here: the ear's, the camera's
and the player's.  Whoever iterates gets everything that happens, in order, and answers nothing himself.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from galago.runtime.errors import GalagoError, InvalidStateError, SourceError, UnsupportedError, of_status
from galago.runtime.events import Event, Failed, Final, Labels, VoiceStart
from galago.runtime.session import Session
from galago.streaming.crew import Crew
from galago.streaming.images.image_source import ImageSource
from galago.streaming.images.reconnect import Backoff
from galago.streaming.pipeline import Listener
from galago.streaming.sound.resample import MonoSource
from galago.streaming.sound.sink import AudioSink, now_ns
from galago.streaming.source import AudioBlock, AudioSource, WrappedSource
from galago.streaming.turns.dialogue import Dialogue, Reply
from galago.streaming.turns.echo import Echo, EchoCancelledSource, EchoCanceller, HalfDuplexSource
from galago.streaming.turns.player import PlaybackEnded, PlaybackStarted, Player
from galago.streaming.turns.question import Question
from galago.streaming.turns.reference import PlaybackReference
from galago.streaming.turns.sight import LabelHistory
from galago.streaming.turns.speex import SpeexEchoCanceller
from galago.streaming.turns.voice import SessionVoice, Voice
from galago.streaming.watcher import ImageRate

_WAIT_S = 0.05  # a stop, or the end of a playback, is noticed between naps
_STUCK_S = 2.0  # for threads that hang in a library at the end


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Somebody spoke while the voice did, and it fell silent."""

    begin_ns: int  # when their voice began
    silent_ns: int  # when ours had ended


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something went wrong that the conversation goes on without."""

    when_ns: int
    text: str


Told = Event | Reply | PlaybackStarted | PlaybackEnded | Interrupted | Trouble
Tap = Callable[[npt.NDArray[np.float32], int, int], None]
"""Is given (samples, time of the first, sample rate)."""


@dataclass(kw_only=True)
class Parts:
    """What a conversation is made of; all but the ear may be missing.

    The conversation closes the sink and the sources.  `echo` is for ears that hear the sink: a file does not.
    """

    ear: AudioSource
    dialogue: Dialogue | None = None
    history: LabelHistory = field(default_factory=LabelHistory)
    camera: Callable[[Callable[[str], None]], ImageSource] | None = None  # given where to report losses
    camera_rate_hz: float = 5.0
    voice: Voice | None = None
    sink: AudioSink | None = None
    echo: Echo = "half-duplex"
    barge_in: bool = True
    heard: Tap = lambda samples, begin_ns, rate_hz: None  # noqa: E731
    said: Tap = lambda samples, begin_ns, rate_hz: None  # noqa: E731


class Conversation:
    """One conversation.  Iterate it once; `stop` ends it from any thread, or from a signal's handler.

    Args:
        session: with a worker, and with its grammar set.
        parts: what it is made of.
        closed_vocabulary: the session has a grammar: finals are no questions, for intents follow them.

    Raises:
        InvalidStateError: the session has no worker.
        UnsupportedError: the bundle lacks what the parts need, or echo cancelling is not installed.
    """

    def __init__(self, session: Session, parts: Parts, *, closed_vocabulary: bool) -> None:
        if not session.worker:
            raise InvalidStateError("a conversation needs a session with a worker")
        if parts.camera is not None and not session.info.image_width:
            raise UnsupportedError(f"{session.bundle.manifest.name}: this bundle has no eye for the camera")
        self._session = session
        self._parts = parts
        self._closed_vocabulary = closed_vocabulary
        self._told: queue.SimpleQueue[Told] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._crew = Crew(self._thread_failed)
        self._failure: BaseException | None = None
        self._camera_lock = threading.Lock()
        self._camera: ImageSource | None = None
        self._camera_is_lost = False
        self._player: Player | None = None
        self._reference: PlaybackReference | None = None
        if parts.voice is not None and parts.sink is not None:
            rate_hz = parts.voice.sample_rate_hz
            self._reference = PlaybackReference(rate_hz, session.info.sample_rate_hz)
            self._player = Player(
                parts.voice,
                parts.sink,
                tell=self._told.put,
                heard=self._was_said,
                silenced=self._reference.cut,
            )
        self._listener = Listener(self._ear(), session)

    @property
    def underruns(self) -> int:
        """Gaps in what was said, because samples came too late."""
        return self._player.underruns if self._player is not None else 0

    def stop(self) -> None:
        """Take no more input, say nothing more; the iteration tells what was heard until now and ends."""
        self._stopping.set()

    def __iter__(self) -> Iterator[Told]:
        stopped = False
        try:
            self._crew.start("ear", self._listener.feed)
            if self._parts.camera is not None:
                self._crew.start("camera", self._watch)
            if self._player is not None:
                self._crew.start("player", self._player.run)
            while self._goes_on():
                if self._stopping.is_set() and not stopped:
                    stopped = True
                    self._end_input()
                self._session.wait(_WAIT_S)
                for event in self._session.events():
                    yield from self._meet(event)
                yield from self._others()
        finally:
            self._end_input()
            stuck = self._crew.join(_STUCK_S)
        yield from self._others()
        if stuck:
            yield Trouble(now_ns(), f"still busy at the end: {', '.join(stuck)}")
        failure = self._failure or self._listener.failure
        if failure is not None:
            raise failure

    # -- this thread -----------------------------------------------------------------------------------

    def _goes_on(self) -> bool:
        if not self._session.finished:
            return True
        if self._stopping.is_set() or self._player is None or not self._player.is_speaking:
            return False
        self._stopping.wait(_WAIT_S)  # the input is over, and the last reply is not
        return True

    def _meet(self, event: Event) -> Iterator[Told]:
        if isinstance(self._parts.voice, SessionVoice):
            self._parts.voice.told(event)
        if isinstance(event, Labels):
            self._parts.history.add(event)
        if isinstance(event, VoiceStart) and self._parts.barge_in:
            # Before anybody is told: a slow terminal must not keep the voice going.
            if self._player is not None and self._player.is_speaking and self._player.stop():
                yield Interrupted(event.begin_ns, now_ns())
        yield event
        if isinstance(event, Failed):
            failure = of_status(event.status, event.text)
            if event.role not in ("eye", "voice"):
                raise failure
            yield Trouble(event.emitted_ns, f"the {event.role} failed: {failure}")
        if not self._stopping.is_set():
            yield from self._answer(event)

    def _answer(self, event: Event) -> Iterator[Told]:
        if self._parts.dialogue is None or (self._closed_vocabulary and isinstance(event, Final)):
            return
        question = Question.of(event, self._parts.history)
        reply = None if question is None else self._parts.dialogue.answer(question)
        if reply is None:
            return
        yield reply
        if reply.problem is not None:
            yield Trouble(now_ns(), reply.problem)
        if reply.text and self._player is not None:
            try:
                self._player.say(reply.text)
            except GalagoError as error:
                yield Trouble(now_ns(), f"{reply.place}: cannot be said: {error}")

    def _others(self) -> Iterator[Told]:
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._told.get_nowait()

    def _end_input(self) -> None:
        self._stopping.set()
        if self._player is not None:
            self._player.close()
        with self._camera_lock:
            camera = self._camera
        if camera is not None:
            camera.close()
        self._listener.stop()
        with contextlib.suppress(InvalidStateError):  # the session was closed before us
            self._listener.end_input()
        if self._parts.sink is not None:
            self._parts.sink.close()

    # -- the ear's thread ------------------------------------------------------------------------------

    def _ear(self) -> AudioSource:
        """The source as it is to be heard: without our own voice, and recorded for the timeline."""
        ear = self._parts.ear
        if self._reference is not None and self._parts.echo == "half-duplex":
            ear = HalfDuplexSource(ear, self._reference)
        elif self._reference is not None and self._parts.echo == "cancel":
            rate_hz = self._session.info.sample_rate_hz
            canceller: EchoCanceller = SpeexEchoCanceller(rate_hz, frame_samples=rate_hz // 50)
            ear = EchoCancelledSource(MonoSource(ear, rate_hz), self._reference, canceller)
        return _TappedSource(ear, self._parts.heard)

    # -- the camera's thread ---------------------------------------------------------------------------

    def _watch(self) -> None:
        """Show the eye what the camera shows; open it again whenever it fails, for ever."""
        assert self._parts.camera is not None
        rate = ImageRate(self._parts.camera_rate_hz)
        backoff = Backoff()
        while not self._stopping.is_set():
            try:
                with self._parts.camera(self._camera_trouble) as camera:
                    with self._camera_lock:
                        self._camera = camera
                    for image in camera:
                        if self._stopping.is_set():
                            return
                        self._camera_works(backoff)
                        if rate.takes(image.capture_ns):
                            self._session.push_image(image.data, image.capture_ns, format=image.format)
                return  # a video has an end
            except InvalidStateError:
                return  # the input has ended, or the eye has failed, which is told by its event
            except SourceError as error:
                self._camera_trouble(str(error))
            self._stopping.wait(backoff.next_s())

    def _camera_trouble(self, text: str) -> None:
        if not self._camera_is_lost and not self._stopping.is_set():  # told once, however often it is tried
            self._camera_is_lost = True
            self._told.put(Trouble(now_ns(), f"{text} (listening goes on)"))

    def _camera_works(self, backoff: Backoff) -> None:
        if self._camera_is_lost:
            self._camera_is_lost = False
            backoff.reset()
            self._told.put(Trouble(now_ns(), "the camera is back"))

    # -- the player's thread ---------------------------------------------------------------------------

    def _was_said(self, samples: npt.NDArray[np.float32], heard_ns: int) -> None:
        assert self._reference is not None and self._parts.voice is not None
        self._reference.add(samples, heard_ns)
        self._parts.said(samples, heard_ns, self._parts.voice.sample_rate_hz)

    # -- any thread ------------------------------------------------------------------------------------

    def _thread_failed(self, name: str, error: BaseException) -> None:
        if self._stopping.is_set() and isinstance(error, GalagoError):
            return  # what was closed under it complains of that
        self._failure = error
        self._stopping.set()


class _TappedSource(WrappedSource):
    """Another source, and whoever else wants to hear it."""

    def __init__(self, source: AudioSource, tap: Tap) -> None:
        super().__init__(source)
        self._tap = tap

    def __iter__(self) -> Iterator[AudioBlock]:
        for block in self._source:
            self._tap(block.samples[:, 0], block.capture_ns, self.sample_rate_hz)
            yield block
