"""From a source to events: `for event in Listener(source, session)`.

    source ──► mono, 16 kHz ──► session.push_audio ──► step ──► events
                                └─ on its own thread where the session has a worker

A session without a worker does everything on the caller's thread, as fast as it is read.  With a worker
the source runs on a feeder thread, and a live one that finds no room drops the block and says so: the
session then tells a Gap.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from galago.runtime.errors import FullError, InvalidStateError, SourceError, UnsupportedError, of_status
from galago.runtime.events import Event, Failed
from galago.runtime.session import Metrics, Session
from galago.streaming.sound.resample import MonoSource
from galago.streaming.source import AudioBlock, AudioSource

_WAIT_S = 0.1
_FULL_NAP_S = 0.002


@dataclass(frozen=True, slots=True)
class StreamReport:
    """What happened, apart from the words."""

    name: str
    audio_s: float  # pushed into the session
    wall_s: float
    dropped_frames: int  # lost by the source, at its own rate
    refused_samples: int  # of a live source that found the session full, at the rate of the session
    metrics: Metrics


class Listener:
    """One source through one session.  Iterate it once; then look at `report`.

    A source that breaks is listened to until its last sample: the iteration yields all that was heard
    and then raises the `SourceError`.

    Attributes:
        origin_ns: capture time of the first sample, from which times of a file are counted.

    Raises:
        UnsupportedError: the session's bundle has no ear.
    """

    def __init__(self, source: AudioSource, session: Session) -> None:
        if not session.info.sample_rate_hz:
            raise UnsupportedError(f"{source.name}: cannot be listened to, the bundle has no ear")
        self._session = session
        self._source = source
        self._mono = MonoSource(source, session.info.sample_rate_hz)
        self._stopping = threading.Event()
        self._input_ended = False
        self._failure: BaseException | None = None
        self._refused_samples = 0
        self._begin_s = time.monotonic()
        self.origin_ns: int | None = None

    def __iter__(self) -> Iterator[Event]:
        self._begin_s = time.monotonic()
        if self._session.worker:
            yield from self._listen_beside_worker()
        else:
            yield from self._listen_here()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Take no more input; the iteration then finalises what was heard.  From any thread."""
        self._stopping.set()
        self._source.close()

    @property
    def failure(self) -> BaseException | None:
        """What ended the source before its time."""
        return self._failure

    def finish(self) -> Iterator[Event]:
        """End the input and yield what is still to come: for an iteration that was broken off."""
        self.stop()
        yield from self._drain()

    @property
    def report(self) -> StreamReport:
        metrics = self._session.metrics()
        return StreamReport(
            name=self._source.name,
            audio_s=metrics.input_duration_ns / 1e9,
            wall_s=time.monotonic() - self._begin_s,
            dropped_frames=self._mono.dropped_frames,
            refused_samples=self._refused_samples,
            metrics=metrics,
        )

    # -- without a worker ------------------------------------------------------------------------------

    def _listen_here(self) -> Iterator[Event]:
        for block in self._blocks():
            # A chunk at a time: a block of any size then finds room.
            for begin in range(0, len(block.samples), self._session.info.chunk_samples):
                self._push(block, begin)
                while self._session.step():
                    yield from healthy_events(self._session)
                yield from healthy_events(self._session)
        yield from self._drain()

    def _drain(self) -> Iterator[Event]:
        self.end_input()
        if self._session.worker:
            while not self._session.finished:
                self._session.wait(_WAIT_S)
                yield from healthy_events(self._session)
        else:
            while self._session.step():
                yield from healthy_events(self._session)
        yield from healthy_events(self._session)

    # -- with a worker ---------------------------------------------------------------------------------

    def _listen_beside_worker(self) -> Iterator[Event]:
        feeder = threading.Thread(target=self.feed, name="galago-feeder", daemon=True)
        feeder.start()
        try:
            while not (self._session.wait(_WAIT_S) is False and self._session.finished):
                if self._stopping.is_set():
                    self.end_input()  # the feeder may hang in its source
                yield from healthy_events(self._session)
            yield from healthy_events(self._session)
        finally:
            self._stopping.set()
            feeder.join(timeout=5.0)

    def feed(self) -> None:
        """Push the whole source into a session with a worker, then end its input: the body of a thread.

        For those who take the events themselves; what went wrong stands in `failure` afterwards.
        """
        try:
            for block in self._blocks():
                for begin in range(0, len(block.samples), self._session.info.chunk_samples):
                    while not self._push_if_room(block, begin) and not self._stopping.is_set():
                        time.sleep(_FULL_NAP_S)
        except InvalidStateError as error:
            # The session was closed or ended by the other side, which knows why.
            if not self._stopping.is_set():
                self._failure = error
        except BaseException as error:  # of any kind: it is raised on the caller's thread
            self._failure = error
        finally:
            # A feeder that was left behind in a slow source finds the session closed.
            with contextlib.suppress(InvalidStateError):
                self.end_input()

    def _push_if_room(self, block: AudioBlock, begin: int) -> bool:
        try:
            self._push(block, begin)
        except FullError:
            if not self._source.live:
                return False
            self._refused_samples += len(block.samples[begin : begin + self._session.info.chunk_samples])
        return True

    # -- both ------------------------------------------------------------------------------------------

    def _blocks(self) -> Iterator[AudioBlock]:
        try:
            for block in self._mono:
                if self._stopping.is_set():
                    return
                yield block
        except SourceError as error:
            if not self._stopping.is_set():
                self._failure = error

    def _push(self, block: AudioBlock, begin: int) -> None:
        info = self._session.info
        piece = block.samples[begin : begin + info.chunk_samples, 0]
        capture_ns = block.capture_ns + begin * 1_000_000_000 // info.sample_rate_hz
        if self.origin_ns is None:
            self.origin_ns = capture_ns
        self._session.push_audio(piece, capture_ns)

    def end_input(self) -> None:
        """No more input, also where the source still hangs; may be called twice."""
        if not self._input_ended:
            self._session.end_input()
            self._input_ended = True


def healthy_events(session: Session) -> Iterator[Event]:
    """Every event that is ready now.

    Raises:
        GalagoError: of the status of a `Failed`, which is yielded first.
    """
    for event in session.events():
        yield event
        if isinstance(event, Failed):
            raise of_status(event.status, event.text)
