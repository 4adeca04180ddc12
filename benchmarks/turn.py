"""A turn, again and again in real time: "what do you see?", a look, an answer; its latency and its cost.

    python -m benchmarks.turn --bundle my-bundle

The question is the demo's clip, replayed at the speed at which it was spoken; ear, eye (5 images/s) and voice
run in one session, as they do in `galago demo`, and the answer is played at the pace of a speaker. Each turn
begins at another sample of a chunk, so that no turn is lucky with the borders of chunks. Told apart:

- *turn*: from the end of the question's voice to the first sample of the answer, beyond the endpoint silence
  that the session asks for. The end is taken twice: as galago tells it, and from the clip itself (the last
  20 ms block within 35 dB of its loudest), which galago has no part in.
- *final*: of these, until the session knew what was said; *reply*: the rest.
- *first audio* (TTFA): from the text to its first sample, inside the session.
- *CPU*: of the whole process, Python and this program included, over the time of a turn.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import common
from benchmarks.corpora import SAMPLE_RATE_HZ, Audio
from benchmarks.latency import NS_PER_MS, NS_PER_S, voice_span
from galago.runtime.bundle import Bundle
from galago.runtime.bundle_folder import find_bundle
from galago.runtime.manifest import Manifest, read_manifest
from galago.streaming import (
    Conversation,
    Parts,
    RawFormat,
    RawPcmSink,
    RawPcmSource,
    RealTimeSink,
    RealTimeSource,
    Reply,
    SessionVoice,
    TurnCost,
    TurnMeter,
    Vocabulary,
    open_camera,
    read_dialogue,
)
from galago.streaming.turns.run_config import RunConfig, read_config

CONFIG = common.ROOT / "examples" / "demo" / "turn" / "turn.toml"
ROLES = ("ear", "eye", "voice")
QUEUE_MS = 2000  # of audio that may wait


@dataclass(frozen=True)
class Turn:
    """One turn: what it took, when its question was heard, and what was answered."""

    cost: TurnCost
    origin_ns: int  # capture time of the first sample
    replies: tuple[str, ...]


def read_question(path: Path) -> Audio:
    """A clip at 16 kHz.

    Raises:
        ValueError: another rate, or more channels than one.
    """
    import soundfile

    samples, rate_hz = soundfile.read(path, dtype="float32")
    if rate_hz != SAMPLE_RATE_HZ or samples.ndim != 1:
        raise ValueError(f"{path}: expected one channel at {SAMPLE_RATE_HZ} Hz")
    return np.asarray(samples, np.float32)


def endpoint_silence_ms(manifest: Manifest, config: RunConfig) -> int:
    """What ends the question: as the config asks for, or as the ear of the bundle has it.

    Raises:
        ValueError: the bundle has no ear.
    """
    if manifest.ear is None:
        raise ValueError("a turn needs an ear")
    return config.ear.endpoint_silence_ms or int(manifest.ear.endpoint["silence_ms"])


def take_turn(bundle: Bundle, config: RunConfig, question: Audio) -> Turn:
    """Play one turn in a session of its own.

    Raises:
        ValueError: the bundle has no ear or no eye, the config no eye, no grammar or no dialogue.
        GalagoError: the bundle has no voice, or an engine failed.
    """
    eye = bundle.manifest.eye
    if eye is None or config.eye is None:
        raise ValueError("a turn needs an eye")
    if config.ear.grammar is None or config.turn.dialogue is None:
        raise ValueError("a turn needs a grammar and a dialogue")
    grammar = bundle.compile_grammar(config.ear.grammar)
    vocabulary = Vocabulary.of_grammar(grammar, [label.name for label in eye.labels])
    dialogue = read_dialogue(config.turn.dialogue, vocabulary)
    pcm = io.BytesIO(np.round(np.clip(question, -1.0, 1.0) * 32767).astype("<i2").tobytes())
    source, rate_hz = config.eye.source, config.eye.rate_hz
    begins_ns: list[int] = []
    replies: list[str] = []
    with bundle.session(
        worker=True,
        event_capacity=1024,
        input_capacity_ms=QUEUE_MS,
        endpoint_silence_ms=config.ear.endpoint_silence_ms,
    ) as session:
        session.set_grammar(grammar)
        voice = SessionVoice(session)
        parts = Parts(
            ear=RealTimeSource(RawPcmSource(pcm, RawFormat(SAMPLE_RATE_HZ), name="question")),
            dialogue=dialogue.dialogue,
            history=dialogue.history(),
            camera=lambda report: open_camera(
                source, rate_hz=rate_hz, realtime=True, hold=True, report=report
            ),
            camera_rate_hz=rate_hz,
            voice=voice,
            sink=RealTimeSink(RawPcmSink(io.BytesIO(), voice.sample_rate_hz, name="answer")),
            echo="none",
            heard=lambda samples, begin_ns, sample_rate_hz: begins_ns.append(begin_ns),
        )
        meter = TurnMeter(endpoint_silence_ms(bundle.manifest, config))
        meter.begin()
        for told in Conversation(session, parts, closed_vocabulary=True):
            meter.add(told)
            if isinstance(told, Reply):
                replies.append(told.text)
        return Turn(meter.end(session.metrics()), begins_ns[0], tuple(replies))


def summary(turns: Sequence[tuple[Turn, int]]) -> dict[str, Any]:
    """The numbers of turns, each with the sample of its question in which the voice ends.

    Raises:
        ValueError: no turn was answered.
    """
    costs = [turn.cost for turn, _ in turns]
    first = [(turn, end, turn.cost.latencies[0]) for turn, end in turns if turn.cost.latencies]
    by_clip_ms = []
    for turn, end, latency in first:
        clip_end_ns = turn.origin_ns + end * NS_PER_S // SAMPLE_RATE_HZ
        by_clip_ms.append(latency.turn_ms + (latency.voice_end_ns - clip_end_ns) / NS_PER_MS)
    wall_s = sum(cost.wall_s for cost in costs)
    peaks = [cost.peak_bytes for cost in costs if cost.peak_bytes is not None]
    return {
        "num_turns": len(turns),
        "unanswered": len(turns) - len(first),
        "replies": dict(Counter(text for turn, _ in turns for text in turn.replies)),
        "turn_ms": common.percentiles([latency.turn_ms for _, _, latency in first], 1),
        "turn_by_clip_ms": common.percentiles(by_clip_ms, 1),
        "final_ms": common.percentiles([latency.final_ms for _, _, latency in first], 1),
        "reply_ms": common.percentiles([latency.reply_ms for _, _, latency in first], 1),
        "ttfa_ms": common.percentiles([cost.ttfa_ms for cost in costs if cost.ttfa_ms is not None], 2),
        "cpu_percent": round(100 * sum(cost.cpu_share * cost.wall_s for cost in costs) / wall_s, 2),
        "images_per_s": round(sum(cost.num_images for cost in costs) / wall_s, 2),
        "ear_rtf": _mean([cost.ear_rtf for cost in costs]),
        "eye_share": _mean([cost.eye_share for cost in costs]),
        "voice_rtf": _mean([cost.voice_rtf for cost in costs]),
        "peak_mb": round(max(peaks) / 1e6, 1) if peaks else None,
        "wall_s": round(wall_s, 1),
    }


def _mean(values: Sequence[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return round(float(np.mean(found)), 5) if found else None


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--turns", type=int, default=100)
    parser.add_argument("--config", type=Path, default=CONFIG, help="a turn, as `galago run` takes it")
    parser.add_argument("--chunk-ms", type=int, help="new audio of one step of the ear")
    parser.add_argument("--threads", type=int, default=1, help="threads of the engine")
    args = parser.parse_args()
    config, folder = read_config(args.config), find_bundle(args.bundle or "default")
    manifest = read_manifest(folder)
    if missing := [role for role in ROLES if getattr(manifest, role) is None]:
        raise SystemExit(f"{folder}: the bundle has no {' and no '.join(missing)}")
    question = read_question(Path(config.ear.source))
    end = voice_span(question)[1]
    generator = np.random.default_rng(0)
    turns: list[tuple[Turn, int]] = []
    with Bundle(folder, chunk_ms=args.chunk_ms, num_threads=args.threads, roles=ROLES) as bundle:
        with bundle.session() as session:
            chunk_samples = session.info.chunk_samples
        take_turn(bundle, config, question)  # the engine settles its memory
        for shift in common.progress(generator.integers(0, chunk_samples, args.turns).tolist(), "turns"):
            turns.append((take_turn(bundle, config, question[shift:]), end - shift))
        target = bundle.metadata("open.target")
    numbers = summary(turns)
    row = common.make_row(
        "turn",
        numbers,
        variant=target + (f"-limit{args.turns}" if args.turns < 50 else ""),
        bundle=folder,
        target=target,
        threads=args.threads,
        warm_up="one turn",
        settings={
            "chunk_ms": chunk_samples * 1000 // SAMPLE_RATE_HZ,
            "endpoint_silence_ms": endpoint_silence_ms(manifest, config),
            "turns": args.turns,
            "images_per_s": config.eye.rate_hz if config.eye else 0,
        },
    )
    lines = [[name, *value.values()] for name, value in numbers.items() if name.endswith("_ms")]
    print(common.table(["turn", "p50", "p95", "p99"], lines))
    print(f"CPU {numbers['cpu_percent']} % of a core, peak {numbers['peak_mb']} MB; {numbers['replies']}")
    common.finish([row], args)


if __name__ == "__main__":
    main()
