"""`galago say`: a text, aloud or into a file."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import typer

from galago.runtime.errors import InvalidArgumentError, of_status
from galago.runtime.events import Event, Failed
from galago.runtime.session import Session
from galago.streaming.cli.exits import complain, exit_codes
from galago.streaming.cli.interrupts import ended_by_signals
from galago.streaming.cli.listen import EVENT_CAPACITY
from galago.streaming.cli.options import open_bundle
from galago.streaming.crew import Crew
from galago.streaming.sound.sink import AudioSink
from galago.streaming.sound.sound_card import Backend
from galago.streaming.sound.speaker import open_speaker
from galago.streaming.sound.wav_sink import RawPcmSink, WavSink
from galago.streaming.turns.player import Player
from galago.streaming.turns.voice import SessionVoice, Voice

SPEAKER = "speaker"
STANDARD_OUTPUT = "-"
_WAIT_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class SayOptions:
    """What the command line said."""

    text: str
    output: str = SPEAKER
    bundle: str = "default"
    device: str | None = None
    backend: Backend = "sounddevice"
    num_threads: int | None = None


def say(options: SayOptions) -> None:
    """Say it to its end; Ctrl-C silences it."""
    with (
        exit_codes(),
        open_bundle(options.bundle, num_threads=options.num_threads, roles=("voice",)) as bundle,
    ):
        text = sys.stdin.read() if options.text == STANDARD_OUTPUT else options.text
        if not text.strip():
            raise InvalidArgumentError("there is nothing to say: the text is empty")
        with bundle.session(worker=True, event_capacity=EVENT_CAPACITY) as session:
            voice = SessionVoice(session)  # asked before a speaker is opened
            with open_sink(options, voice) as sink:
                exit_code = play(text, voice, sink, session)
                if sink.underruns:
                    complain(f"{sink.underruns} gaps in what was said: this machine was too busy")
            if exit_code is not None:
                raise typer.Exit(exit_code)


def open_sink(options: SayOptions, voice: Voice) -> AudioSink:
    """What `-o` means: the speaker, "-" for raw PCM on standard output, or a WAV file."""
    if options.output == SPEAKER:
        return open_speaker(voice.sample_rate_hz, options.device, options.backend)
    if options.output == STANDARD_OUTPUT:
        return RawPcmSink(None, voice.sample_rate_hz)
    return WavSink(options.output, voice.sample_rate_hz)


def play(text: str, voice: Voice, sink: AudioSink, session: Session | None = None) -> int | None:
    """Say a text to its end; Ctrl-C and SIGTERM silence it, and what was written until then is kept.

    Args:
        text: what to say.
        voice: who says it.
        sink: where to.
        session: whose events tell when the voice has ended; None: the voice knows by itself.

    Returns:
        the exit code, where a signal ended it.

    Raises:
        GalagoError: the voice, or the sink, failed.
    """
    failures: list[BaseException] = []
    player = Player(voice, sink)
    crew = Crew(lambda name, error: failures.append(error))
    with ended_by_signals(player.close) as ending:
        player.say(text)
        crew.start("player", player.run)
        try:
            while player.is_speaking and not failures and ending.signal is None:
                if session is None:
                    crew.join(_WAIT_S)
                    continue
                session.wait(_WAIT_S)
                for event in session.events():
                    _heed(event, voice)
        finally:
            player.close()
            crew.join()
    if failures:
        raise failures[0]
    return ending.exit_code


def _heed(event: Event, voice: Voice) -> None:
    if isinstance(voice, SessionVoice):
        voice.told(event)
    if isinstance(event, Failed):
        raise of_status(event.status, event.text)
