"""What `make demo` plays: the clips of examples/audio as a microphone would deliver them, heard live.

    python examples/python/demo.py            the clips, in real time
    python examples/python/demo.py --mic      your microphone, until Ctrl-C
    python examples/python/demo.py --fast     the clips, as fast as they can be heard

Home commands are heard through the grammar examples/grammars/home.yaml, the rest as open text.  The clips are
synthetic speech: they show that the path works, not how well people are understood (the benchmarks do).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import galago
from galago.streaming import AudioSource, FileSource, Listener, RealTimeSource

EXAMPLES = Path(__file__).resolve().parents[1]
GRAMMAR = EXAMPLES / "grammars" / "home.yaml"
NS_PER_MS = 1e6


@dataclass
class Measured:
    """What the clips add up to."""

    partial_ms: list[float] = field(default_factory=list)
    final_ms: list[float] = field(default_factory=list)
    step_p50_ms: list[float] = field(default_factory=list)
    step_p99_ms: list[float] = field(default_factory=list)
    busy_ns: int = 0
    engine_ns: int = 0
    audio_ns: int = 0

    def add(self, metrics: galago.Metrics) -> None:
        self.busy_ns += metrics.busy_ns
        self.engine_ns += metrics.engine_ns
        self.audio_ns += metrics.input_duration_ns
        for kept, value in (
            (self.final_ms, metrics.final_latency_ns),
            (self.step_p50_ms, metrics.step_p50_ns),
            (self.step_p99_ms, metrics.step_p99_ns),
        ):
            if value is not None:
                kept.append(value / NS_PER_MS)


class Screen:
    """A transcript on a terminal: a partial is replaced by the next one, a final stays."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()

    def partial(self, text: str) -> None:
        if self._live:
            print(f"\r\x1b[K  … {text}", end="", flush=True)

    def line(self, text: str) -> None:
        print(f"\r\x1b[K{text}" if self._live else text, flush=True)


def show(event: galago.Event, screen: Screen) -> None:
    """One event, as a person reads it."""
    if isinstance(event, galago.Partial):
        screen.partial(event.text)
    elif isinstance(event, galago.Final):
        screen.line(f"  “{event.text}”  " + " ".join(f"{word.confidence:.2f}" for word in event.words))
    elif isinstance(event, galago.Intent):
        slots = ", ".join(f"{name}={value}" for name, value in event.slots.items())
        screen.line(f"  → {event.name}({slots})  confidence {event.confidence:.2f}")
    elif isinstance(event, galago.Rejected):
        screen.line(f"  ✗ fits no sentence of the grammar; open listening heard “{event.text}”")
    elif isinstance(event, galago.Gap):
        screen.line("  (input was lost here)")


def hear(source: AudioSource, session: galago.Session, screen: Screen, measured: Measured) -> None:
    """Listen to one source to its end."""
    with source:
        listener = Listener(source, session)
        for event in listener:
            show(event, screen)
            if isinstance(event, galago.Partial):
                measured.partial_ms.append(event.latency_ms)
    measured.add(session.metrics())


def percentiles(values_ms: Sequence[float]) -> str:
    if not values_ms:
        return "nothing measured"
    p50, p95, p99 = np.percentile(values_ms, [50, 95, 99])
    return f"p50 {p50:7.1f}   p95 {p95:7.1f}   p99 {p99:7.1f}   of {len(values_ms)}"


def print_table(measured: Measured, *, real_time: bool) -> None:
    """Latency where it means something, cost always."""
    print("\nmilliseconds")
    if real_time:
        print(f"  a partial, after the audio it is of         {percentiles(measured.partial_ms)}")
        print(f"  a final, after the voice (holds endpoint)   {percentiles(measured.final_ms)}")
    print(f"  a step, medians of the clips                {percentiles(measured.step_p50_ms)}")
    print(f"  a step, 99th percentiles of the clips       {percentiles(measured.step_p99_ms)}")
    if measured.audio_ns and measured.busy_ns:
        rtf = measured.busy_ns / measured.audio_ns
        share = measured.engine_ns / measured.busy_ns
        print(
            f"\nRTF {rtf:.4f}: {100 * rtf:.1f} % of one core, {100 * share:.0f} % of that inside the engine"
        )


def play_clips(bundle: galago.Bundle, *, real_time: bool) -> None:
    screen, measured = Screen(), Measured()
    groups = json.loads((EXAMPLES / "audio" / "clips.json").read_text(encoding="utf-8"))
    for group, clips in groups.items():
        print(f"\n{'Commands, through ' + GRAMMAR.name if group == 'home' else 'Open text'}")
        for clip in clips:
            with bundle.session(worker=real_time) as session:
                if group == "home":
                    session.set_grammar(GRAMMAR)
                noise = "" if clip["snr_db"] is None else f", noise at {clip['snr_db']} dB"
                print(f"\n{clip['text']}   [{clip['voice']}{noise}]")
                source: AudioSource = FileSource(EXAMPLES / "audio" / clip["file"])
                hear(RealTimeSource(source) if real_time else source, session, screen, measured)
    print_table(measured, real_time=real_time)


def listen_to_microphone(bundle: galago.Bundle) -> None:
    from galago.streaming.sound_card import open_microphone

    screen, measured = Screen(), Measured()
    print("Speak; Ctrl-C ends it.")
    with bundle.session(worker=True) as session:
        try:
            hear(open_microphone(), session, screen, measured)
        except KeyboardInterrupt:
            measured.add(session.metrics())
    print_table(measured, real_time=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mic", action="store_true", help="listen to the microphone")
    parser.add_argument("--fast", action="store_true", help="do not wait for the clock")
    parser.add_argument(
        "--bundle", default="default", help="a bundle's folder, or the name of one that ships"
    )
    parser.add_argument("--chunk-ms", type=int, help="new audio of one step (default: the bundle's)")
    arguments = parser.parse_args()
    try:
        with galago.open(arguments.bundle, chunk_ms=arguments.chunk_ms) as bundle:
            print(f"{bundle.manifest.name} {bundle.manifest.version}: {bundle.manifest.description}")
            if arguments.mic:
                listen_to_microphone(bundle)
            else:
                play_clips(bundle, real_time=not arguments.fast)
    except galago.GalagoError as error:
        print(f"galago: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
