"""Latency of finals and partials in real time: clips are replayed at the speed at which they were spoken.

The session steps on its own thread (worker); samples come in blocks of 20 ms, each pushed when its last
sample would have left a microphone, with that moment as capture time. Told apart:

- *final*: from the voice's end to the final, less the endpoint silence that the bundle asks for. The end is
  taken twice: as galago tells it (``end_ns`` of the final), and from the clip itself (the last 20 ms block
  within 35 dB of its loudest), which galago has no part in.
- *first partial*: from the voice's start (in the clip) to the first partial with a word in it.
- *word*: from the end of a word, as the final tells it, to the first partial that has this word in its place.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import galago
from benchmarks import common, hearing
from benchmarks.corpora import SAMPLE_RATE_HZ, Audio, pad, read_clips

BLOCK_SAMPLES = SAMPLE_RATE_HZ // 50
NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
VOICE_RANGE_DB = 35.0
BEFORE_S = 0.5


@dataclass
class Latencies:
    """Milliseconds, one entry a clip (a word in ``word``)."""

    final_ms: list[float] = field(default_factory=list)
    final_by_clip_ms: list[float] = field(default_factory=list)
    first_partial_ms: list[float] = field(default_factory=list)
    word_ms: list[float] = field(default_factory=list)
    without_final: int = 0
    early_finals: int = 0


def voice_span(samples: Audio) -> tuple[int, int]:
    """Where a clip's voice begins and ends, in samples: blocks of 20 ms within 35 dB of the loudest.

    Raises:
        ValueError: the clip has no sound.
    """
    blocks = samples[: len(samples) // BLOCK_SAMPLES * BLOCK_SAMPLES].reshape(-1, BLOCK_SAMPLES)
    power = np.mean(np.square(blocks, dtype=np.float64), axis=1)
    if power.size == 0 or power.max() == 0.0:
        raise ValueError("no sound: a voice cannot begin or end in it")
    loud = np.flatnonzero(power >= power.max() * 10.0 ** (-VOICE_RANGE_DB / 10.0))
    return int(loud[0]) * BLOCK_SAMPLES, int(loud[-1] + 1) * BLOCK_SAMPLES


def replay(session: galago.Session, samples: Audio) -> tuple[list[galago.Event], int]:
    """Play samples into a session with a worker; its events, and the capture time of the first sample."""
    events: list[galago.Event] = []
    session.reset()

    def take() -> None:
        while not session.finished:
            if session.wait(1.0):
                events.extend(session.events())

    taker = threading.Thread(target=take)
    begin_ns = time.monotonic_ns()
    taker.start()
    try:
        for first in range(0, len(samples), BLOCK_SAMPLES):
            block = samples[first : first + BLOCK_SAMPLES]
            captured_ns = begin_ns + (first + len(block)) * NS_PER_S // SAMPLE_RATE_HZ
            time.sleep(max(0.0, (captured_ns - time.monotonic_ns()) / NS_PER_S))
            session.push_audio(block, begin_ns + first * NS_PER_S // SAMPLE_RATE_HZ)
    finally:
        session.end_input()
        taker.join()
    return events, begin_ns


def measure(
    into: Latencies,
    events: Sequence[galago.Event],
    voice_begin_ns: int,
    voice_end_ns: int,
    silence_ns: int,
    input_end_ns: int,
) -> None:
    """Add what one clip's events tell.

    Args:
        voice_begin_ns, voice_end_ns: of the clip, on the monotonic clock.
        silence_ns: endpoint silence of the bundle.
        input_end_ns: when the clip was over: a final behind it came from the end of input, not of the voice.
    """
    finals = [e for e in events if isinstance(e, galago.Final)]
    partials = [e for e in events if isinstance(e, galago.Partial) and e.text.strip()]
    into.early_finals += sum(final.emitted_ns < voice_end_ns for final in finals)
    closing = [final for final in finals if voice_end_ns <= final.emitted_ns < input_end_ns]
    if not closing:
        into.without_final += 1
    else:
        final = closing[0]
        into.final_ms.append((final.emitted_ns - final.end_ns - silence_ns) / NS_PER_MS)
        into.final_by_clip_ms.append((final.emitted_ns - voice_end_ns - silence_ns) / NS_PER_MS)
    if partials:
        into.first_partial_ms.append((partials[0].emitted_ns - voice_begin_ns) / NS_PER_MS)
    for final in finals:
        mine = [p for p in partials if p.utterance == final.utterance]
        for place, word in enumerate(final.words):
            with_it = (
                p.emitted_ns for p in mine if [w.text for w in p.words[place : place + 1]] == [word.text]
            )
            into.word_ms.append((next(with_it, final.emitted_ns) - word.end_ns) / NS_PER_MS)


def summary(found: Latencies) -> dict[str, Any]:
    """Percentiles of everything that was measured."""
    numbers: dict[str, Any] = {"num_finals": len(found.final_ms), "num_words": len(found.word_ms)}
    numbers |= {"without_final": found.without_final, "early_finals": found.early_finals}
    for name in ("final_ms", "final_by_clip_ms", "first_partial_ms", "word_ms"):
        if values := getattr(found, name):
            numbers[name] = common.percentiles(values, 1)
    return numbers


def main() -> None:
    parser = common.parser(__doc__)
    hearing.add_arguments(parser)
    parser.add_argument("--sets", nargs="+", default=["kathleen", "lj", "voxforge"])
    parser.add_argument("--limit", type=int, default=20, help="clips of each set")
    args = parser.parse_args()
    clips = [clip for name in args.sets for clip in read_clips(name, "dev", limit=args.limit)]
    found = Latencies()
    with hearing.opened(args) as bundle, bundle.session(worker=True) as session:
        ear = bundle.manifest.ear
        if ear is None:
            raise SystemExit(f"{bundle.folder}: the bundle has no ear")
        silence_ms = int(ear.endpoint["silence_ms"])
        after_s = silence_ms / 1000 + 1.0
        for clip in common.progress(clips, "clips"):
            begin, end = voice_span(clip.samples)
            samples = pad(clip.samples, BEFORE_S, after_s)
            events, begin_ns = replay(session, samples)
            shift = round(BEFORE_S * SAMPLE_RATE_HZ)
            at = [
                begin_ns + s * NS_PER_S // SAMPLE_RATE_HZ for s in (begin + shift, end + shift, len(samples))
            ]
            measure(found, events, at[0], at[1], silence_ms * NS_PER_MS, at[2])
        numbers, target = summary(found), hearing.running_target(bundle)
        row = common.make_row(
            "latency",
            numbers,
            variant=target,
            bundle=bundle.folder,
            target=target,
            threads=args.threads,
            settings={
                "chunk_ms": session.info.chunk_ms,
                "algorithmic_latency_ms": session.info.algorithmic_latency_ms,
                "endpoint_silence_ms": silence_ms,
                "sets": args.sets,
                "limit": args.limit,
            },
        )
    lines = [[name, *value.values()] for name, value in numbers.items() if isinstance(value, dict)]
    print(common.table(["latency", "p50", "p95", "p99"], lines))
    print(f"{numbers['num_finals']} finals; {numbers['without_final']} clips without one in time, "
          f"{numbers['early_finals']} finals inside a clip")  # fmt: skip
    common.finish([row], args)


if __name__ == "__main__":
    main()
