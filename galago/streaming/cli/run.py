"""`galago run`: a device out of one file: it hears, sees, answers, and ends when it is asked to."""

from __future__ import annotations

import json as json_format
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

import typer

from galago.runtime.bundle import Bundle
from galago.runtime.errors import GalagoError, UnsupportedError
from galago.runtime.events import NS_PER_S, Event, Labels
from galago.runtime.session import Session
from galago.streaming.cli.exits import INTERRUPTED, complain, exit_codes
from galago.streaming.cli.interrupts import ended_by_signals
from galago.streaming.cli.labels import check_eye, labels_row
from galago.streaming.cli.listen import EVENT_CAPACITY, LIVE_CAPACITY_MS
from galago.streaming.cli.options import open_bundle
from galago.streaming.cli.tables import print_table
from galago.streaming.images.camera import open_camera
from galago.streaming.images.image_source import ImageSource
from galago.streaming.sound.files import FileSource
from galago.streaming.sound.microphone import open_microphone
from galago.streaming.sound.raw_pcm import RawFormat, RawPcmSource
from galago.streaming.sound.replay import RealTimeSource
from galago.streaming.sound.sink import AudioSink
from galago.streaming.sound.speaker import open_speaker
from galago.streaming.sound.tee_sink import TeeSink
from galago.streaming.sound.wav_sink import RealTimeSink, WavSink
from galago.streaming.source import AudioSource
from galago.streaming.transcript import as_json, lasting_line
from galago.streaming.turns.conversation import Conversation, Interrupted, Parts, Told, Trouble
from galago.streaming.turns.dialogue import Reply
from galago.streaming.turns.dialogue_file import DialogueFile, Vocabulary, read_dialogue
from galago.streaming.turns.player import PlaybackEnded, PlaybackStarted
from galago.streaming.turns.run_config import (
    MICROPHONE,
    NONE,
    SPEAKER,
    STANDARD_INPUT,
    EarConfig,
    EyeConfig,
    RunConfig,
    VoiceConfig,
    read_config,
)
from galago.streaming.turns.timeline import Timeline
from galago.streaming.turns.timeline_picture import save_picture
from galago.streaming.turns.turn_meter import TurnCost, TurnMeter
from galago.streaming.turns.voice import SessionVoice, Voice


def run(path: Path) -> None:
    """Run what a file describes, until its source ends, Ctrl-C (exit code 130) or SIGTERM (0)."""
    with exit_codes():
        config = read_config(path)
        logging.basicConfig(level=config.output.log_level.upper(), format="galago: %(message)s")
        with open_bundle(
            config.bundle,
            chunk_ms=config.ear.chunk_ms,
            num_threads=config.num_threads,
            roles=("ear", "voice") if config.eye is None else ("ear", "eye", "voice"),
        ) as bundle:
            if converse(bundle, config, sys.stdout) == signal.SIGINT:
                raise typer.Exit(INTERRUPTED)


def converse(
    bundle: Bundle,
    config: RunConfig,
    output: TextIO,
    *,
    voice: Voice | None = None,
    measured: Callable[[TurnCost], None] = lambda cost: None,
) -> int | None:
    """Compose the conversation of a file and tell what happens; returns the signal that ended it, if one did.

    Args:
        bundle: what hears, sees and speaks.
        config: what to compose.
        output: where lines are written.
        voice: in place of the bundle's own.
        measured: is told at the end what it took.
    """
    ear = bundle.manifest.ear
    if ear is None:
        raise UnsupportedError(f"{bundle.manifest.name}: this bundle has no ear: it cannot converse")
    if config.eye is not None:
        check_eye(bundle)
    grammar = bundle.compile_grammar(config.ear.grammar) if config.ear.grammar else None
    labels = [label.name for label in bundle.manifest.eye.labels] if bundle.manifest.eye else ()
    dialogue = _dialogue(config, Vocabulary.of_grammar(grammar, labels))
    timeline = Timeline()
    session = bundle.session(
        worker=True,
        event_capacity=EVENT_CAPACITY,
        input_capacity_ms=LIVE_CAPACITY_MS,
        endpoint_silence_ms=config.ear.endpoint_silence_ms,
    )
    meter = TurnMeter(config.ear.endpoint_silence_ms or int(ear.endpoint["silence_ms"]))
    with session, ExitStack() as opened:
        session.set_grammar(grammar)
        session.set_phrases(config.ear.phrases)
        session.set_hotwords(config.ear.hotwords)
        if config.voice.sink != NONE and voice is None:
            voice = SessionVoice(session)
        sink = _sink(config.voice, voice)
        parts = Parts(
            ear=opened.enter_context(_ear(config.ear)),
            camera=_camera(config.eye),
            voice=voice,
            sink=None if sink is None else opened.enter_context(sink),
            # A file does not hear the speaker, however it is replayed.
            echo=config.turn.echo if config.ear.source in (MICROPHONE, STANDARD_INPUT) else "none",
            barge_in=config.turn.barge_in,
            heard=timeline.heard.add,
            said=timeline.said.add,
        )
        if config.eye is not None:
            parts.camera_rate_hz = config.eye.rate_hz
        if dialogue is not None:
            parts.dialogue, parts.history = dialogue.dialogue, dialogue.history()
        try:
            meter.begin()
            ended_by = _tell(session, parts, config, (timeline.add, meter.add), output)
            cost = meter.end(session.metrics())
        finally:
            if dialogue is not None:
                dialogue.dialogue.close()
            _report(timeline, config, output)
    measured(cost)
    return ended_by


def _tell(
    session: Session,
    parts: Parts,
    config: RunConfig,
    observers: Sequence[Callable[[Told], None]],
    output: TextIO,
) -> int | None:
    conversation = Conversation(session, parts, closed_vocabulary=config.ear.grammar is not None)
    teller = Teller(output, json=config.output.json, ear=parts.ear.name, live=parts.ear.live)
    with ended_by_signals(conversation.stop) as ending:
        for told in conversation:
            for observe in observers:
                observe(told)
            teller.tell(told)
    if conversation.underruns:
        complain(f"{conversation.underruns} gaps in what was said: this machine was too busy")
    return ending.signal


class Teller:
    """What happens, a line each: for people, or as JSON.

    JSON lines have the events of `galago listen --json` and `galago watch --json`, and of their own kinds:
    "reply" (text, intent, seen, label, rule), "playback_start", "playback_end" (interrupted), "interrupted"
    and "trouble".  Times count from the first that is told.
    """

    def __init__(self, output: TextIO, *, json: bool, ear: str, live: bool) -> None:
        self._output = output
        self._json = json
        self._ear = ear
        self._live = live
        self._origin_ns: int | None = None

    def tell(self, told: Told) -> None:
        """Write one line, if it deserves one."""
        if self._origin_ns is None:
            self._origin_ns = _begin_ns(told)
        if self._json:
            row = self._row(told)
            line = None if row is None else json_format.dumps(row, ensure_ascii=False)
        else:
            line = _line(told)
        if line is not None:
            self._output.write(line + "\n")
            self._output.flush()

    def _row(self, told: Told) -> dict[str, Any] | None:
        assert self._origin_ns is not None
        if isinstance(told, Labels):
            when_s = self._seconds(told.begin_ns)
            return {**labels_row(told, "eye"), "begin_s": when_s, "end_s": when_s}
        if isinstance(told, Event):
            return as_json(told, file=self._ear, origin_ns=self._origin_ns, live=self._live)
        begin_s = self._seconds(_begin_ns(told))
        match told:
            case Reply():
                question = told.question
                return {
                    "type": "reply",
                    "text": told.text,
                    "intent": question.intent,
                    "seen": question.sight.seen,
                    "label": question.sight.label,
                    "rule": told.place,
                    "begin_s": begin_s,
                }
            case PlaybackStarted():
                return {"type": "playback_start", "begin_s": begin_s}
            case PlaybackEnded():
                end_s = self._seconds(told.end_ns)
                interrupted = told.was_interrupted
                return {
                    "type": "playback_end",
                    "begin_s": begin_s,
                    "end_s": end_s,
                    "interrupted": interrupted,
                }
            case Interrupted():
                return {"type": "interrupted", "begin_s": begin_s, "end_s": self._seconds(told.silent_ns)}
            case Trouble():
                return {"type": "trouble", "text": told.text, "begin_s": begin_s}

    def _seconds(self, time_ns: int) -> float:
        return round((time_ns - (self._origin_ns or 0)) / NS_PER_S, 3)


def _begin_ns(told: Told) -> int:
    match told:
        case Reply():
            return told.question.end_ns
        case Trouble():
            return told.when_ns
        case _:
            return told.begin_ns


def _line(told: Told) -> str | None:
    match told:
        case Labels() | PlaybackStarted() | PlaybackEnded():
            return None
        case Reply():
            return f"« {told.text} »" if told.text else None
        case Interrupted():
            return "[interrupted]"
        case Trouble():
            complain(told.text)
            return None
        case _:
            return lasting_line(told)


def _report(timeline: Timeline, config: RunConfig, output: TextIO) -> None:
    if config.output.timeline and not config.output.json:
        print(file=output)
        print_table([">begin", ">end", "who", "what"], timeline.table())
    if config.output.picture is not None:
        save_picture(timeline, config.output.picture)


def _dialogue(config: RunConfig, vocabulary: Vocabulary) -> DialogueFile | None:
    return None if config.turn.dialogue is None else read_dialogue(config.turn.dialogue, vocabulary)


def _ear(config: EarConfig) -> AudioSource:
    if config.source == MICROPHONE:
        return open_microphone(config.device, config.backend)
    if config.source == STANDARD_INPUT:
        # At the pace of a clock, as a pipe from a microphone has it: then its times are those of the camera.
        return RealTimeSource(RawPcmSource(None, RawFormat(config.sample_rate_hz)))
    return RealTimeSource(FileSource(config.source))


def _camera(config: EyeConfig | None) -> Callable[[Callable[[str], None]], ImageSource] | None:
    if config is None:
        return None
    source, rate_hz, binding = config.source, config.rate_hz, config.binding

    def open_it(report: Callable[[str], None]) -> ImageSource:
        # A picture does not go away when it has been seen: the device looks at it until it ends.
        return open_camera(source, rate_hz=rate_hz, realtime=True, hold=True, binding=binding, report=report)

    return open_it


def _sink(config: VoiceConfig, voice: Voice | None) -> AudioSink | None:
    if voice is None or config.sink == NONE:
        return None
    if config.sink == SPEAKER:
        sink: AudioSink = open_speaker(voice.sample_rate_hz, config.device, config.backend)
    else:
        sink = RealTimeSink(WavSink(config.sink, voice.sample_rate_hz))
    if config.record is None:
        return sink
    try:
        return TeeSink(sink, WavSink(config.record, voice.sample_rate_hz))
    except GalagoError:
        sink.close()
        raise
