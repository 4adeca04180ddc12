"""`galago bench ear`: what the ear costs on this machine, at full speed, one step at a time."""

from __future__ import annotations

import json as json_format
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from galago.boards.profile import this_machine
from galago.runtime import abi
from galago.runtime.bundle import Bundle
from galago.runtime.errors import UnsupportedError
from galago.runtime.events import Final
from galago.streaming.cli.exits import exit_codes
from galago.streaming.cli.options import open_bundle
from galago.streaming.cli.tables import megabytes, milliseconds, print_table

WARM_UP_STEPS = 20  # the engine settles its memory and the processor its clock


def bench_ear(
    name: str, *, seconds: float, chunk_ms: int | None, num_threads: int | None, json: bool
) -> None:
    """Print a table, or one JSON row."""
    with exit_codes(), open_bundle(name, chunk_ms=chunk_ms, num_threads=num_threads) as bundle:
        row = measure(bundle, seconds=seconds, num_threads=num_threads or 1)
        if json:
            print(json_format.dumps(row, ensure_ascii=False))
            return
        step = row["step_ms"]
        print_table(
            ["", ""],
            [
                ("board", row["board"]["name"]),
                ("target", f"{row['target']} ({row['inference_precision']})"),
                ("chunk", f"{row['chunk_ms']} ms, {row['num_threads']} thread(s)"),
                ("audio", f"{row['audio_s']:.1f} s in {row['num_steps']} steps"),
                ("RTF", f"{row['rtf']:.5f}  (busy time / audio time)"),
                ("step p50", milliseconds(step["p50"] * 1e6)),
                ("step p95", milliseconds(step["p95"] * 1e6)),
                ("step p99", milliseconds(step["p99"] * 1e6)),
                ("own overhead", f"{100 * row['own_overhead']:.1f} % of a step is not the engine"),
                ("from Python", f"{100 * row['python_overhead']:.1f} % of wall time is not the core"),
                ("session memory", megabytes(row["session_bytes"])),
                ("process memory", megabytes(row["resident_bytes"])),
            ],
        )


def measure(bundle: Bundle, *, seconds: float, num_threads: int) -> dict[str, Any]:
    """One row: everything that is needed to compare it with another machine's.

    The audio is the bundle's golden recording over and over, or quiet noise where it has none.
    """
    if bundle.manifest.ear is None:
        raise UnsupportedError(f"{bundle.folder}: this bundle has no ear")
    with bundle.session() as session:
        chunk_samples = session.info.chunk_samples
        rate_hz = session.info.sample_rate_hz
        audio = _audio(bundle, round(seconds * rate_hz) // chunk_samples * chunk_samples or chunk_samples)
        for begin in range(0, min(len(audio), WARM_UP_STEPS * chunk_samples), chunk_samples):
            session.push_audio(audio[begin : begin + chunk_samples])
            while session.step():
                pass
        session.reset()
        step_ns: list[int] = []
        num_words = 0
        began_ns = time.perf_counter_ns()
        for begin in range(0, len(audio), chunk_samples):
            session.push_audio(audio[begin : begin + chunk_samples])
            while True:
                before_ns = time.perf_counter_ns()
                if not session.step():
                    break
                step_ns.append(time.perf_counter_ns() - before_ns)
            num_words += sum(len(event.words) for event in session.events() if isinstance(event, Final))
        wall_ns = time.perf_counter_ns() - began_ns
        metrics = session.metrics()
    # A step that only ends an utterance on time runs no engine and takes microseconds: it does not count.
    step_ns = sorted(step_ns)[len(step_ns) - metrics.steps :]
    p50, p95, p99 = (float(value) / 1e6 for value in np.percentile(step_ns, (50, 95, 99)))
    return {
        "bench": "ear",
        "bundle": bundle.manifest.name,
        "bundle_version": bundle.manifest.version,
        "library": abi.version(),
        "target": bundle.metadata("open.target"),
        "engine": bundle.metadata("open.engine"),
        "inference_precision": bundle.metadata("open.inference_precision"),
        "chunk_ms": chunk_samples * 1000 // rate_hz,
        "num_threads": num_threads,
        "audio_s": len(audio) / rate_hz,
        "num_steps": len(step_ns),
        "num_words": num_words,
        "rtf": metrics.busy_ns / (len(audio) / rate_hz * 1e9),
        "wall_rtf": wall_ns / (len(audio) / rate_hz * 1e9),
        "step_ms": {"p50": p50, "p95": p95, "p99": p99, "max": max(step_ns) / 1e6},
        "own_overhead": 1.0 - metrics.engine_ns / metrics.busy_ns,
        "python_overhead": 1.0 - metrics.busy_ns / wall_ns,
        "late_steps": metrics.late_steps,
        "session_bytes": metrics.peak_bytes,
        "resident_bytes": _resident_bytes(),
        "board": this_machine().as_dict(),
    }


def _audio(bundle: Bundle, num_samples: int) -> npt.NDArray[np.float32]:
    golden = bundle.manifest.golden
    if golden:
        recording = np.fromfile(bundle.folder / golden[0].audio, "<f4").astype(np.float32)
    else:
        recording = np.random.default_rng(0).normal(0.0, 0.01, 10 * 16000).astype(np.float32)
    return np.resize(recording, num_samples)


def _resident_bytes() -> int | None:
    try:
        fields = Path("/proc/self/statm").read_text().split()
    except OSError:  # not Linux
        return None
    import resource

    return int(fields[1]) * resource.getpagesize()
