"""Speed of the ear on one thread, and of the same network in ONNX Runtime int8, in one run.

Both hear the same clips end to end, from samples to text, a chunk at a time: galago through its public
Python API (native features, engine, decoding), the peer as ``onnx_peer`` makes it. They take turns clip by
clip, so that a slow moment of the machine meets both, and the ratio is that of the medians of their steps.
Time is taken twice around each step: on the wall, and as CPU time of the whole process, which a busy
machine disturbs less.

    python -m benchmarks.ear_speed --seconds 120
    python -m benchmarks.ear_speed --checkpoint best.pt     # beside ONNX Runtime on the same weights
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import galago
from benchmarks import common, hearing, onnx_peer
from benchmarks.corpora import SAMPLE_RATE_HZ, Audio, Clip, read_clips
from benchmarks.parity import load_network
from benchmarks.scoring import count_errors

if TYPE_CHECKING:
    from galago.models.conformer import Conformer

WARM_UP_CHUNKS = 50
CALIBRATION_CLIPS = 24


@dataclass
class Timed:
    """Times of the steps of one recogniser, and what it heard."""

    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    audio_s: float = 0.0

    def step(self, work: Callable[[Audio], None], chunk: Audio) -> None:
        """Run and time the work of one chunk of samples."""
        wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        work(chunk)
        self.cpu_ms.append((time.process_time_ns() - cpu_ns) / 1e6)
        self.wall_ms.append((time.perf_counter_ns() - wall_ns) / 1e6)
        self.audio_s += len(chunk) / SAMPLE_RATE_HZ

    def numbers(self, chunk_ms: int) -> dict[str, Any]:
        """RTF is over all steps; beside it that of the median step, which other programs disturb less."""
        wall, cpu = common.percentiles(self.wall_ms), common.percentiles(self.cpu_ms)
        return {
            "step_wall_ms": wall,
            "step_cpu_ms": cpu,
            "rtf_median_step": round(wall["p50"] / chunk_ms, 5),
            "rtf_wall": round(sum(self.wall_ms) / 1e3 / self.audio_s, 5),
            "rtf_cpu": round(sum(self.cpu_ms) / 1e3 / self.audio_s, 5),
            "num_steps": len(self.wall_ms),
            "audio_s": round(self.audio_s, 1),
        }


class GalagoEar:
    """galago, a chunk at a time. Its own counters are added up over the clips, since reset clears them."""

    def __init__(self, session: galago.Session) -> None:
        self._session = session
        self.busy_ns = self.engine_ns = self.steps = 0

    def hear(self, samples: Audio, timed: Timed) -> None:
        session, chunk = self._session, self._session.info.chunk_samples
        session.reset()
        texts: list[str] = []

        def work(block: Audio) -> None:
            session.push_audio(block)
            while session.step():
                pass
            texts.extend(event.text for event in session.events() if isinstance(event, galago.Final))

        for begin in range(0, len(samples) - chunk + 1, chunk):
            timed.step(work, samples[begin : begin + chunk])
        metrics = session.metrics()
        self.busy_ns += metrics.busy_ns
        self.engine_ns += metrics.engine_ns
        self.steps += metrics.steps
        session.end_input()
        while session.step():
            pass
        texts.extend(event.text for event in session.events() if isinstance(event, galago.Final))
        timed.texts.append(" ".join(texts))

    def numbers(self, audio_s: float) -> dict[str, Any]:
        """The core's own account: busy time, the engine's part, and what is galago's."""
        return {
            "rtf_busy": round(self.busy_ns / 1e9 / audio_s, 5),
            "busy_ms_per_step": round(self.busy_ns / 1e6 / max(self.steps, 1), 4),
            "engine_ms_per_step": round(self.engine_ns / 1e6 / max(self.steps, 1), 4),
            "own_overhead_percent": round(100.0 * (self.busy_ns - self.engine_ns) / max(self.busy_ns, 1), 2),
        }


class OnnxRuntimeEar:
    """The peer, a chunk at a time."""

    def __init__(self, path: Path, tokens: tuple[str, ...], threads: int) -> None:
        self._ear = onnx_peer.OnnxEar(path, threads)
        self._tokens = tokens

    def hear(self, samples: Audio, timed: Timed, chunk: int) -> None:
        ear = self._ear
        features, text = onnx_peer.StreamingFeatures(), onnx_peer.GreedyText(self._tokens)
        ear.reset()

        def work(block: Audio) -> None:
            features.push(block)
            while (frames := features.pop(ear.chunk_frames)) is not None:
                text.advance(ear.step(frames)[1])

        for begin in range(0, len(samples) - chunk + 1, chunk):
            timed.step(work, samples[begin : begin + chunk])
        timed.texts.append(text.text)


def enough(clips: list[Clip], seconds: float) -> list[Audio]:
    """Clips until ``seconds`` are together."""
    chosen, total = [], 0.0
    for clip in clips:
        if total >= seconds:
            break
        chosen.append(clip.samples)
        total += clip.duration_s
    return chosen


def check_same_network(network: Conformer, bundle: galago.Bundle) -> None:
    """End the program where the bundle runs another network than the peer would: that is no comparison."""
    manifest = json.loads((bundle.folder / "manifest.json").read_text(encoding="utf-8"))
    name = hearing.running_target(bundle)
    (target,) = (t for t in manifest["roles"]["ear"]["targets"] if t["name"] == name)
    ours = {state["name"]: tuple(state["shape"]) for state in target["states"]}
    theirs = {state: tuple(value.shape) for state, value in network.initial_states().items()}
    if ours != theirs:
        raise SystemExit(f"{bundle.folder}: holds another network than the checkpoint; name its own --bundle")


def peer_graphs(
    args: argparse.Namespace, bundle: galago.Bundle, chunk_samples: int, folder: Path
) -> dict[str, Path]:
    """ONNX Runtime's graphs of the checkpoint; made in ``folder`` unless they are there.

    Static quantisation is what its documents advise for a CPU; dynamic is beside it because it is at times
    the faster one for small chunks, and a peer is to be measured at its best.
    """
    chunk_frames = chunk_samples // 160
    stem = f"{Path(args.checkpoint).stem}-{chunk_frames}frames"
    fp32, dynamic = folder / f"{stem}.onnx", folder / f"{stem}-dynamic.onnx"
    static = folder / f"{stem}-{'s8' if args.signed else 'u8'}.onnx"
    if not fp32.is_file():
        from galago.quantize.ear.export import export_onnx

        network = load_network(args.checkpoint)
        check_same_network(network, bundle)
        export_onnx(network, chunk_frames // 4, fp32)
    if not static.is_file():
        clips = read_clips("so762", "train", limit=CALIBRATION_CLIPS)
        streams = [onnx_peer.chunks_of(clip.samples, chunk_frames) for clip in clips]
        print("quantising for ONNX Runtime ...", file=sys.stderr, flush=True)
        onnx_peer.quantise(fp32, static, streams, unsigned=not args.signed)
    if not dynamic.is_file():
        onnx_peer.quantise_dynamic(fp32, dynamic)
    return {"onnxruntime-int8": static, "onnxruntime-int8-dynamic": dynamic, "onnxruntime-fp32": fp32}


def table_of(numbers: dict[str, Any]) -> str:
    """Recognisers one below the other, ratios against galago."""
    lines = []
    for name, found in numbers.items():
        times = [*found["step_wall_ms"].values(), found["step_cpu_ms"]["p50"]]
        ratios = [found.get("ratio_wall", 1.0), found.get("ratio_cpu", 1.0)]
        rtf = [f"{found[key]:.5f}" for key in ("rtf_median_step", "rtf_wall", "rtf_cpu")]
        lines.append([name, *times, *rtf, *ratios])
    header = [
        "",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "p50 CPU ms",
        "RTF of p50",
        "RTF",
        "RTF CPU",
        "ratio",
        "ratio CPU",
    ]
    return common.table(header, lines)


def main() -> None:
    parser = common.parser(__doc__)
    hearing.add_arguments(parser, chunk_ms=320)
    parser.add_argument("--seconds", type=float, default=120.0, help="of speech in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--checkpoint", help="the bundle's network (or a preset's name): adds the peer")
    parser.add_argument(
        "--shipped-only", action="store_true", help="write the row of what ships, not that beside the peers"
    )
    parser.add_argument("--onnx-dir", type=Path, help="folder that keeps the peer's graphs for the next run")
    parser.add_argument(
        "--signed", action="store_true", help="S8 activations for the peer, to see the difference"
    )
    args = parser.parse_args()

    audio = enough(list(read_clips("voxforge", "dev")), args.seconds)
    with (
        hearing.opened(args) as bundle,
        bundle.session(greedy=True, one_pass=True) as session,
        bundle.session() as shipped_session,
        tempfile.TemporaryDirectory() as scratch,
    ):
        ear = bundle.manifest.ear
        if ear is None:
            raise SystemExit(f"{bundle.folder}: the bundle has no ear")
        chunk, chunk_ms = session.info.chunk_samples, session.info.chunk_ms
        ours, own = GalagoEar(session), Timed()
        # The peers are greedy and look once; what ships may decode in another way and look twice, which costs
        # what it costs.
        method = str(ear.decoding.get("method", "greedy"))
        shipped = None if method == "greedy" else (GalagoEar(shipped_session), Timed())
        peers: dict[str, OnnxRuntimeEar] = {}
        if args.checkpoint is not None:
            for name, path in peer_graphs(args, bundle, chunk, args.onnx_dir or Path(scratch)).items():
                peers[name] = OnnxRuntimeEar(path, ear.tokens, args.threads)
        timed = {name: Timed() for name in peers}
        warm = audio[0].repeat(1 + WARM_UP_CHUNKS * chunk // len(audio[0]))
        GalagoEar(session).hear(warm, Timed())
        if shipped is not None:
            GalagoEar(shipped_session).hear(warm, Timed())
        for peer in peers.values():
            peer.hear(warm, Timed(), chunk)
        for samples in common.progress(audio * args.rounds, "clips"):
            ours.hear(samples, own)
            if shipped is not None:
                shipped[0].hear(samples, shipped[1])
            for name, peer in peers.items():
                peer.hear(samples, timed[name], chunk)
        target = hearing.running_target(bundle)
        numbers: dict[str, Any] = {"galago": own.numbers(chunk_ms) | ours.numbers(own.audio_s)}
        as_shipped: dict[str, Any] = {}
        if shipped is not None:
            times = shipped[1]
            as_shipped[f"galago, {method}"] = times.numbers(chunk_ms) | shipped[0].numbers(times.audio_s)
        for name, times in timed.items():
            found = times.numbers(chunk_ms)
            for clock in ("wall", "cpu"):
                median, median_own = (x[f"step_{clock}_ms"]["p50"] for x in (found, numbers["galago"]))
                found[f"ratio_{clock}"] = round(median / median_own, 2)
            spoken = [(a.split(), b) for a, b in zip(own.texts, times.texts, strict=True) if a.split()]
            found["texts_differ_wer_percent"] = round(count_errors(spoken).wer, 2) if spoken else None
            numbers[name] = found
        variant = f"{bundle.manifest.name}-{target}-{args.threads}thread"
        measured = {} if args.shipped_only else {variant + ("-signed-peer" if args.signed else ""): numbers}
        if as_shipped:
            measured[f"{variant}-shipped"] = as_shipped
        rows = [
            common.make_row(
                "ear_speed",
                found,
                variant=name,
                bundle=bundle.folder,
                target=target,
                threads=args.threads,
                warm_up=f"{WARM_UP_CHUNKS} chunks of each",
                settings={"chunk_ms": chunk_ms, "rounds": args.rounds, "seconds": args.seconds},
            )
            for name, found in measured.items()
        ]
    print(table_of({**numbers, **as_shipped}))
    account = numbers["galago"]
    print(f"galago's own account: RTF {account['rtf_busy']}, {account['busy_ms_per_step']} ms a step, "
          f"{account['own_overhead_percent']} % of it outside the engine")  # fmt: skip
    common.finish(rows, args)


if __name__ == "__main__":
    main()
