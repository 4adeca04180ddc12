"""`galago demo`: the clips that ship with a bundle, through the path that a microphone takes.

`demo/demo.json` of the bundle lists them::

    [{"file": "kitchen.flac", "text": "turn on the light", "grammar": "home.yaml", "shows": "an intent"}]

Files and grammars are relative to `demo/`; "text", "grammar" and "shows" may be missing.  Where there is a
`demo/turn/turn.toml`, the turn of conversation that it describes comes last (demo_turn.py).
"""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from galago.runtime.bundle import Bundle
from galago.runtime.errors import CorruptError, GalagoError, NotFoundError
from galago.runtime.events import Final, Rejected
from galago.runtime.manifest import check_relative
from galago.streaming.cli.demo_turn import TurnOptions, load_turn, play_turn
from galago.streaming.cli.exits import FAILED, complain, exit_codes
from galago.streaming.cli.interrupts import Ending, ended_by_signals
from galago.streaming.cli.listen import EVENT_CAPACITY, LIVE_CAPACITY_MS
from galago.streaming.cli.options import open_bundle
from galago.streaming.cli.tables import milliseconds, print_table
from galago.streaming.pipeline import Listener, StreamReport
from galago.streaming.sound.files import FileSource
from galago.streaming.sound.microphone import open_microphone
from galago.streaming.sound.replay import RealTimeSource
from galago.streaming.sound.sound_card import Backend
from galago.streaming.source import AudioSource
from galago.streaming.transcript import LiveTranscript, PlainTranscript, Transcript

AUDIO_SUFFIXES = (".flac", ".ogg", ".wav")


@dataclass(frozen=True, slots=True)
class Clip:
    file: Path
    text: str | None  # what was said
    grammar: Path | None
    shows: str | None  # why it is in the demo


@dataclass(frozen=True, slots=True)
class Heard:
    """What one clip came to."""

    report: StreamReport
    final_latencies_ms: tuple[float, ...]


def demo(
    name: str,
    *,
    clips: Path | None,
    mic: bool,
    chunk_ms: int | None,
    num_threads: int | None,
    backend: Backend,
    device: str | None,
    output: Path,
    speaker: bool,
) -> None:
    """Play every clip (or listen to the microphone), print what it cost, then play the turn."""
    with (
        exit_codes(),
        open_bundle(
            name,
            chunk_ms=chunk_ms,
            num_threads=num_threads,
            roles=("ear",) if mic else ("ear", "eye", "voice"),
        ) as bundle,
    ):
        target = bundle.metadata("open.target")
        print(f"{bundle.manifest.name} {bundle.manifest.version}: {target}", flush=True)
        code = 0
        folder = clips or bundle.folder / "demo"
        turn = None if mic else load_turn(folder)
        with (
            ended_by_signals() as ending,
            LiveTranscript() if sys.stdout.isatty() else PlainTranscript(sys.stdout) as transcript,
        ):
            hearing = _Hearing(bundle, transcript, ending)
            if mic:
                print("Speak; Ctrl-C ends it.", flush=True)
                with open_microphone(device, backend) as source:
                    hearing.listen(source, None)
            else:
                code = hearing.play(load_clips(folder))
        if hearing.heard:
            print()
            print_table(
                ["", ">audio", ">RTF", ">step p50", ">step p99", ">final after voice"],
                [_row(one) for one in hearing.heard],
            )
        if ending.exit_code is not None:
            code = ending.exit_code
        elif turn is not None:
            code = play_turn(bundle, turn, TurnOptions(output, speaker, backend)) or code
        if code:
            raise typer.Exit(code)


def load_clips(folder: Path) -> list[Clip]:
    """The clips of a bundle; those whose file is not there are left out.

    Raises:
        NotFoundError: the bundle has no clip to play.
        CorruptError: demo.json is no list of clips.
    """
    listing = folder / "demo.json"
    if not listing.is_file():
        files = sorted(path for path in folder.glob("*") if path.suffix in AUDIO_SUFFIXES)
        clips = [Clip(path, None, None, None) for path in files]
    else:
        try:
            entries = json_format.loads(listing.read_text(encoding="utf-8"))
        except ValueError as error:
            raise CorruptError(f"{listing}: {error}") from error
        if not isinstance(entries, list):
            raise CorruptError(f"{listing}: expected a list of clips")
        clips = [_clip(listing, i, entry) for i, entry in enumerate(entries)]
        clips = [clip for clip in clips if clip.file.is_file()]
    if not clips:
        raise NotFoundError(f"{folder}: no clips to play; try galago demo --mic")
    return clips


def _clip(listing: Path, number: int, entry: Any) -> Clip:
    where = f"{listing}: [{number}]"
    if not isinstance(entry, dict) or not isinstance(entry.get("file"), str):
        raise CorruptError(f'{where}: expected an object with a "file"')

    def text(key: str) -> str | None:
        value = entry.get(key)
        if value is not None and not isinstance(value, str):
            raise CorruptError(f"{where}.{key}: expected a string")
        return value

    grammar = text("grammar")
    for path in filter(None, (entry["file"], grammar)):
        check_relative(path, where)
    folder = listing.parent
    return Clip(
        file=folder / entry["file"],
        text=text("text"),
        grammar=folder / grammar if grammar else None,
        shows=text("shows"),
    )


class _Hearing:
    """Listens to one source after the other; what each came to stands in `heard`."""

    def __init__(self, bundle: Bundle, transcript: Transcript, ending: Ending) -> None:
        self._bundle = bundle
        self._transcript = transcript
        self._ending = ending
        self.heard: list[Heard] = []

    def play(self, clips: Sequence[Clip]) -> int:
        """Every clip in real time, until a signal comes; returns the exit code."""
        code = 0
        for clip in clips:
            note = ": ".join(filter(None, (clip.shows, clip.text and f"“{clip.text}”")))
            print(f"\n{clip.file.name}  {note}", flush=True)
            try:
                with RealTimeSource(FileSource(clip.file)) as source:
                    self.listen(source, clip.grammar)
            except GalagoError as error:
                code = FAILED
                complain(str(error))
            if self._ending.signal is not None:
                break
        return code

    def listen(self, source: AudioSource, grammar: Path | None) -> None:
        """One source to its end; a signal ends it before."""
        transcript = self._transcript
        with self._bundle.session(
            worker=True, event_capacity=EVENT_CAPACITY, input_capacity_ms=LIVE_CAPACITY_MS
        ) as session:
            session.set_grammar(grammar)
            listener = Listener(source, session)
            transcript.begin(source.name, live=True)
            latencies_ms: list[float] = []
            try:
                with self._ending.asking(listener.stop):
                    for event in listener:
                        transcript.origin_ns = listener.origin_ns
                        transcript.show(event)
                        latency_ns = session.metrics().final_latency_ns
                        if isinstance(event, Final | Rejected) and latency_ns is not None:
                            latencies_ms.append(latency_ns / 1e6)
            finally:
                self.heard.append(Heard(listener.report, tuple(latencies_ms)))


def _row(heard: Heard) -> tuple[str, ...]:
    metrics = heard.report.metrics
    latencies = heard.final_latencies_ms
    return (
        Path(heard.report.name).name,
        f"{heard.report.audio_s:.1f} s",
        "–" if metrics.rtf is None else f"{metrics.rtf:.4f}",
        milliseconds(metrics.step_p50_ns),
        milliseconds(metrics.step_p99_ns),
        f"{max(latencies):.0f} ms" if latencies else "–",
    )
