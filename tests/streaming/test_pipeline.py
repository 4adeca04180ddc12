"""From a source to events: files, live sources, overload, and sources that break."""

from __future__ import annotations

import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import soxr

import galago
from galago.runtime.bundle import Bundle
from galago.runtime.errors import FullError, SourceError, UnsupportedError
from galago.streaming.pipeline import Listener
from galago.streaming.sound.files import FileSource
from galago.streaming.sound.replay import RealTimeSource
from galago.streaming.source import NS_PER_S, AudioBlock, AudioSource
from tests.make_tiny_bundle import SAMPLE_RATE_HZ, synthesise

SENTENCE = "turn on the light"


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Iterator[Bundle]:
    with Bundle(tiny_bundle) as opened:
        yield opened


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.wav"
    soundfile.write(path, synthesise(SENTENCE.split()), SAMPLE_RATE_HZ, subtype="FLOAT")
    return path


def finals(events: list[galago.Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, galago.Final)]


class Microphone(AudioSource):
    """A live source that delivers what it is given, as fast as it is read.

    At the end it breaks, or falls silent until it is closed, or is over.
    """

    live, num_channels, name = True, 1, "mic"

    def __init__(
        self,
        samples: npt.NDArray[np.float32],
        *,
        rate_hz: int = SAMPLE_RATE_HZ,
        failure: SourceError | None = None,
        stays_open: bool = False,
    ) -> None:
        self.sample_rate_hz = rate_hz
        self._samples, self._failure, self._stays_open = samples, failure, stays_open
        self.all_taken = threading.Event()
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[AudioBlock]:
        start_ns = time.monotonic_ns()
        size = self.sample_rate_hz // 50
        for begin in range(0, len(self._samples), size):
            if self.closed.is_set():
                return
            at_ns = start_ns + begin * NS_PER_S // self.sample_rate_hz
            yield AudioBlock(self._samples[begin : begin + size, None], at_ns)
        self.all_taken.set()
        if self._stays_open:
            self.closed.wait()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        self.closed.set()


@pytest.mark.parametrize("worker", [False, True])
def test_a_file_is_heard(worker: bool, bundle: Bundle, clip: Path) -> None:
    with FileSource(clip) as source, bundle.session(worker=worker) as session:
        listener = Listener(source, session)
        events = list(listener)
        report = listener.report
    assert finals(events) == [SENTENCE]
    assert listener.origin_ns == 0
    assert report.audio_s == pytest.approx(soundfile.info(clip).duration)
    assert (report.dropped_frames, report.refused_samples) == (0, 0)


@pytest.mark.parametrize(("rate_hz", "channels"), [(8000, 1), (44100, 2), (48000, 6)])
def test_any_rate_and_channel_count_is_heard(
    rate_hz: int, channels: int, bundle: Bundle, tmp_path: Path
) -> None:
    # The tiny ear's phones lie below 4 kHz and its characters above: at 8 kHz only the form is tested.
    mono = soxr.resample(synthesise(SENTENCE.split()), SAMPLE_RATE_HZ, rate_hz)
    path = tmp_path / "other.wav"
    soundfile.write(path, np.repeat(mono[:, None], channels, axis=1), rate_hz, subtype="FLOAT")
    with FileSource(path) as source, bundle.session() as session:
        listener = Listener(source, session)
        events = list(listener)
        assert listener.report.audio_s == pytest.approx(len(mono) / rate_hz, abs=0.01)
    if rate_hz > 16000:
        assert finals(events) == [SENTENCE]


def test_real_time_has_a_latency_that_means_something(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "short.wav"
    soundfile.write(path, synthesise(["go"], lead_ms=200, tail_ms=900), SAMPLE_RATE_HZ, subtype="FLOAT")
    with RealTimeSource(FileSource(path)) as source, bundle.session(worker=True) as session:
        began = time.monotonic()
        events = list(Listener(source, session))
        lasted_s = time.monotonic() - began
    assert lasted_s > soundfile.info(path).duration - 0.1
    (final,) = [event for event in events if isinstance(event, galago.Final)]
    assert final.text == "go"
    # However slow the machine is: what was said after the beginning was told before now.
    assert 0 < final.latency_ms < 1000 * lasted_s
    emitted = [event.emitted_ns for event in events]
    assert emitted == sorted(emitted)


@pytest.mark.parametrize("worker", [False, True])
def test_a_microphone_that_goes_away_loses_nothing_that_was_heard(worker: bool, bundle: Bundle) -> None:
    heard: list[galago.Event] = []
    samples = synthesise(SENTENCE.split(), tail_ms=40)  # it is pulled out before any endpoint
    with bundle.session(worker=worker, input_capacity_ms=10_000) as session:
        source = Microphone(samples, failure=SourceError("mic: unplugged"))
        with pytest.raises(SourceError, match="unplugged"):
            for event in Listener(source, session):
                heard.append(event)
    assert finals(heard) == [SENTENCE]


def test_overload_of_a_live_source_is_counted_and_told(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While there is no room, live audio is refused and counted, and a gap is told; then hearing goes on."""
    samples = np.concatenate([synthesise(["stop"]), np.zeros(SAMPLE_RATE_HZ, np.float32), synthesise(["go"])])
    crowded = range(len(synthesise(["stop"])), len(synthesise(["stop"])) + SAMPLE_RATE_HZ)
    with bundle.session(worker=True, input_capacity_ms=20_000) as session:
        push_audio, pushed = session.push_audio, 0

        def push_audio_into_a_crowd(piece: npt.NDArray[np.float32], capture_ns: int | None = None) -> None:
            # How soon a worker frees room is the scheduler's: on a fast machine it always keeps up.
            nonlocal pushed
            pushed += len(piece)
            if pushed - len(piece) in crowded:
                raise FullError("push_audio: no room")
            push_audio(piece, capture_ns)

        monkeypatch.setattr(session, "push_audio", push_audio_into_a_crowd)
        listener = Listener(Microphone(samples), session)
        events = list(listener)
        report = listener.report
    assert report.refused_samples == pytest.approx(SAMPLE_RATE_HZ, abs=SAMPLE_RATE_HZ // 50)
    assert report.metrics.input_samples + report.refused_samples == len(samples)
    assert report.metrics.gaps == sum(isinstance(event, galago.Gap) for event in events) == 1
    assert finals(events) == ["stop", "go"]


def test_a_file_waits_for_room_and_loses_nothing(bundle: Bundle, clip: Path) -> None:
    with FileSource(clip) as source, bundle.session(worker=True, input_capacity_ms=700) as session:
        listener = Listener(source, session)
        assert finals(list(listener)) == [SENTENCE]
        assert listener.report.refused_samples == 0


def test_samples_that_are_no_numbers_do_not_end_a_live_stream(bundle: Bundle) -> None:
    samples = np.concatenate([synthesise(["stop"]), synthesise(["go"])])
    samples[100] = np.nan
    with bundle.session() as session:
        listener = Listener(Microphone(samples), session)
        assert finals(list(listener)) == ["stop", "go"]
        assert listener.report.dropped_frames == 320


def test_stopping_finalises_what_was_heard(bundle: Bundle) -> None:
    source = Microphone(synthesise(["go"], tail_ms=40), stays_open=True)  # no endpoint would ever come
    with bundle.session(worker=True, input_capacity_ms=10_000) as session:
        listener = Listener(source, session)

        def stop_when_all_is_taken() -> None:
            source.all_taken.wait()
            listener.stop()

        stopper = threading.Thread(target=stop_when_all_is_taken)
        stopper.start()
        events = list(listener)
        stopper.join()
    assert finals(events) == ["go"]
    assert source.closed.is_set()


def test_an_iteration_that_was_broken_off_can_be_finished(bundle: Bundle, clip: Path) -> None:
    with FileSource(clip) as source, bundle.session() as session:
        listener = Listener(source, session)
        for event in listener:
            if isinstance(event, galago.Partial) and event.text:
                break
        events = list(listener.finish())
        assert finals(events), "what was said before the break is still told"
        assert session.finished


def test_an_error_of_the_feeder_reaches_the_caller(bundle: Bundle) -> None:
    class Broken(Microphone):
        def __iter__(self) -> Iterator[AudioBlock]:
            yield from super().__iter__()
            raise ZeroDivisionError("a defect of the source")

    with bundle.session(worker=True) as session, pytest.raises(ZeroDivisionError):
        list(Listener(Broken(np.zeros(1600, np.float32)), session))


def test_a_three_hour_file_costs_the_memory_of_a_block(tiny_bundle: Path, tmp_path: Path) -> None:
    num_seconds = 3 * 3600
    path = tmp_path / "long.wav"
    speech = (synthesise(SENTENCE.split()) * 32767).astype(np.int16)
    soundfile.write(path, speech, SAMPLE_RATE_HZ)
    content = bytearray(path.read_bytes())
    content[40:44] = (2 * num_seconds * SAMPLE_RATE_HZ).to_bytes(4, "little")
    with path.open("wb") as file:
        file.write(content)  # the sentence comes first ...
        file.truncate(
            44 + 2 * num_seconds * SAMPLE_RATE_HZ
        )  # ... then silence that takes no room on the disk
    with (
        FileSource(path, block_ms=640) as source,
        Bundle(tiny_bundle, chunk_ms=640) as bundle,
        bundle.session() as session,
    ):
        before = session.metrics().peak_bytes
        listener = Listener(source, session)
        tracemalloc.start()
        try:
            events = list(listener)
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        report = listener.report
    assert finals(events) == [SENTENCE]
    assert report.audio_s == num_seconds
    assert report.metrics.steps >= num_seconds / 0.64
    assert report.metrics.peak_bytes == before
    assert peak_bytes < 5_000_000  # of 691 MB of samples; the interpreter's own tables may grow by 2 MB


def test_a_bundle_without_an_ear_is_refused_by_name(tiny_eye_bundle: Path, clip: Path) -> None:
    with Bundle(tiny_eye_bundle) as bundle, bundle.session() as session:
        with FileSource(clip) as source, pytest.raises(UnsupportedError, match="has no ear"):
            Listener(source, session)
