"""`galago listen`: files, the microphone or a pipe, to a live transcript or JSON lines."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import typer

from galago.runtime.bundle import Bundle
from galago.runtime.errors import GalagoError
from galago.runtime.session import Session
from galago.streaming.cli.exits import FAILED, complain, exit_codes
from galago.streaming.cli.interrupts import Ending, ended_by_signals
from galago.streaming.cli.options import open_bundle
from galago.streaming.pipeline import Listener
from galago.streaming.sound.files import FileSource
from galago.streaming.sound.microphone import open_microphone
from galago.streaming.sound.raw_pcm import RawFormat, RawPcmSource, SampleType
from galago.streaming.sound.replay import RealTimeSource
from galago.streaming.sound.sound_card import Backend
from galago.streaming.source import AudioSource
from galago.streaming.transcript import JsonTranscript, LiveTranscript, PlainTranscript, Transcript

MICROPHONE = "mic"
STANDARD_INPUT = "-"
EVENT_CAPACITY = 1024  # a terminal may stall for seconds: no event is lost meanwhile
LIVE_CAPACITY_MS = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenOptions:
    """What the command line said."""

    sources: tuple[str, ...] = (MICROPHONE,)
    bundle: str = "default"
    grammar: Path | None = None
    hotwords: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    chunk_ms: int | None = None
    json: bool = False
    realtime: bool = False
    device: str | None = None
    backend: Backend = "sounddevice"
    num_threads: int | None = None
    sample_rate_hz: int | None = None
    num_channels: int | None = None
    sample_type: SampleType | None = None
    greedy: bool = False
    beam: bool = False
    one_pass: bool = False

    @property
    def raw_format(self) -> RawFormat | None:
        """The format of headerless files; None where no option says that they are headerless."""
        if self.sample_rate_hz is None and self.num_channels is None and self.sample_type is None:
            return None
        return RawFormat(self.sample_rate_hz or 16000, self.num_channels or 1, self.sample_type or "s16")


def listen(options: ListenOptions) -> None:
    """Listen to every source in turn; a source that fails is told and the next one is heard."""
    with exit_codes():
        with open_bundle(
            options.bundle, chunk_ms=options.chunk_ms, num_threads=options.num_threads, roles=("ear",)
        ) as bundle:
            phrases = bundle.compile_phrases(options.phrases) if options.phrases else None
            grammar = bundle.compile_grammar(options.grammar) if options.grammar else None
            failures = 0
            with ended_by_signals() as ending, _transcript(options) as transcript:
                for name in options.sources:
                    try:
                        with (
                            open_source(name, options) as source,
                            open_session(bundle, source, options) as session,
                        ):
                            session.set_grammar(grammar)
                            session.set_phrases(phrases)
                            session.set_hotwords(options.hotwords)
                            _listen_to(source, session, transcript, ending)
                    except GalagoError as error:
                        failures += 1
                        complain(str(error))
                    if ending.exit_code is not None:
                        raise typer.Exit(ending.exit_code)
        if failures:
            raise typer.Exit(FAILED)


def open_source(name: str, options: ListenOptions) -> AudioSource:
    """The source that a word of the command line means."""
    if name == MICROPHONE:
        return open_microphone(options.device, options.backend)
    raw_format = options.raw_format
    if name == STANDARD_INPUT:
        source: AudioSource = RawPcmSource(None, raw_format or RawFormat())
    elif raw_format is not None:
        source = RawPcmSource.open(name, raw_format)
    else:
        source = FileSource(name)
    return RealTimeSource(source) if options.realtime else source


def open_session(bundle: Bundle, source: AudioSource, options: ListenOptions) -> Session:
    """A session for one source: live ones get a worker, so that a slow terminal costs no audio."""
    return bundle.session(
        worker=source.live,
        greedy=options.greedy,
        beam=options.beam,
        one_pass=options.one_pass,
        event_capacity=EVENT_CAPACITY,
        input_capacity_ms=LIVE_CAPACITY_MS if source.live else None,
    )


def _listen_to(source: AudioSource, session: Session, transcript: Transcript, ending: Ending) -> None:
    """Show what is heard; what was said before Ctrl-C is still told."""
    listener = Listener(source, session)
    transcript.begin(source.name, live=source.live)
    last_sequence = 0
    try:
        with ending.asking(listener.stop):
            for event in listener:
                if event.sequence > last_sequence + 1:
                    complain(f"{source.name}: {event.sequence - last_sequence - 1} events were lost")
                last_sequence = event.sequence
                transcript.origin_ns = listener.origin_ns
                transcript.show(event)
    finally:
        report = listener.report
        if report.dropped_frames:
            complain(f"{source.name}: {report.dropped_frames} frames were lost: this machine was too busy")
        if report.refused_samples:
            seconds = report.refused_samples / session.info.sample_rate_hz
            complain(f"{source.name}: {seconds:.2f} s of audio were not heard: the model is too slow here")


def _transcript(options: ListenOptions) -> Transcript:
    if options.json:
        return JsonTranscript(sys.stdout)
    name_files = len(options.sources) > 1
    if sys.stdout.isatty():
        return LiveTranscript(name_files=name_files)
    return PlainTranscript(sys.stdout, name_files=name_files)
