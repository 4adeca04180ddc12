"""Memory of a C program with one session, and its growth over hours of audio at full speed.

The program is ``examples/c/listen.c``: it opens a bundle and a session, reads samples from its standard
input, and prints what it hears. It is fed a loop of running speech with pauses, as fast as it takes them;
its resident memory (VmRSS) is read from ``/proc`` every ten seconds of audio. What it holds a minute into
the audio is the base; growth is the most it ever held above that.

    python -m benchmarks.memory --hours 2
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import common, hearing
from benchmarks.corpora import SAMPLE_RATE_HZ, Audio, read_clips, to_int16
from galago.runtime import abi

SAMPLE_EVERY_S = 10
SETTLED_AFTER_S = 60
LOOP_S = 300


def status_kib(pid: int, field: str) -> int:
    """A field of /proc/PID/status in KiB: VmRSS, RssAnon, VmHWM."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0])
    raise KeyError(f"/proc/{pid}/status has no {field}")


def speech_loop(seconds: int) -> Audio:
    """Running speech of many voices with pauses of 0.2 to 2 s under faint noise, exactly ``seconds`` long."""
    rng = np.random.default_rng(11)
    parts: list[Audio] = []
    total = 0
    for clip in read_clips("so762", "dev", limit=seconds // 2):
        pause = np.zeros(round(rng.uniform(0.2, 2.0) * SAMPLE_RATE_HZ), np.float32)
        parts += [clip.samples, pause]
        total += len(clip.samples) + len(pause)
        if total >= seconds * SAMPLE_RATE_HZ:
            break
    loop = np.concatenate(parts)[: seconds * SAMPLE_RATE_HZ]
    if len(loop) < seconds * SAMPLE_RATE_HZ:
        raise ValueError(f"{len(loop) / SAMPLE_RATE_HZ:.0f} s of speech found, {seconds} s wanted")
    return loop + rng.normal(0.0, 1e-4, len(loop)).astype(np.float32)


def summary(series: Sequence[tuple[float, int]], peak_kib: int) -> dict[str, Any]:
    """What (second of audio, VmRSS in KiB) pairs tell.

    Raises:
        ValueError: the series ends before memory counts as settled.
    """
    settled = [kib for second, kib in series if second >= SETTLED_AFTER_S]
    if len(settled) < 2:
        raise ValueError(
            f"{series[-1][0] if series else 0} s of audio: too short, memory settles in a minute"
        )
    return {
        "audio_s": round(series[-1][0], 1),
        "rss_after_first_minute_mib": round(settled[0] / 1024, 2),
        "rss_at_end_mib": round(settled[-1] / 1024, 2),
        "peak_rss_mib": round(peak_kib / 1024, 2),
        "growth_kib": max(settled) - settled[0],
        "series_mib": [[round(second), round(kib / 1024, 2)] for second, kib in thin(series, 60)],
    }


def thin(series: Sequence[tuple[float, int]], most: int) -> list[tuple[float, int]]:
    """At most ``most`` of the pairs, evenly, first and last among them."""
    if len(series) <= most:
        return list(series)
    return [series[round(i * (len(series) - 1) / (most - 1))] for i in range(most)]


def soak(command: Sequence[str], loop: Audio, hours: float) -> tuple[list[tuple[float, int]], int, float]:
    """Feed a program; (second, VmRSS in KiB) pairs, its peak in KiB, and the wall seconds it took.

    Raises:
        RuntimeError: the program failed, or ended before its input did.
    """
    pcm = to_int16(loop).astype("<i2").tobytes()
    slice_bytes = SAMPLE_EVERY_S * SAMPLE_RATE_HZ * 2
    num_slices = round(hours * 3600 / SAMPLE_EVERY_S)
    series: list[tuple[float, int]] = []
    begin = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as program:
        assert program.stdin is not None
        for index in common.progress(range(num_slices), "10 s of audio"):
            at = index * slice_bytes % len(pcm)
            try:
                program.stdin.write(pcm[at : at + slice_bytes])
                program.stdin.flush()
            except BrokenPipeError:
                raise RuntimeError(f"{command[0]} ended with {program.wait()} in mid-stream") from None
            series.append(((index + 1) * SAMPLE_EVERY_S, status_kib(program.pid, "VmRSS")))
        peak_kib = status_kib(program.pid, "VmHWM")
        program.stdin.close()
        if program.wait() != 0:
            raise RuntimeError(f"{command[0]} ended with {program.returncode}")
    return series, peak_kib, time.monotonic() - begin


def find_program() -> Path:
    """The C example, where the release preset builds it: a sanitizer's build would hold far more.

    Raises:
        FileNotFoundError: it is not built.
    """
    path = common.ROOT / "build" / "release" / "examples" / "c" / "listen"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: `make native` builds it")
    return path


def main() -> None:
    parser = common.parser(__doc__)
    hearing.add_arguments(parser)
    parser.add_argument("--hours", type=float, default=2.0, help="of audio")
    parser.add_argument("--program", type=Path, help="the C program (default: the example, from build/)")
    args = parser.parse_args()
    program = args.program or find_program()
    with hearing.opened(args) as bundle:
        folder, target = bundle.folder, hearing.running_target(bundle)
        command = [os.fspath(program), os.fspath(folder), "-"]
        engine_path = abi.default_engine_path()
        if engine_path is not None:  # the engine's Python wheel: a C program does not look there by itself
            command += ["--engine-path", os.fspath(engine_path)]
        series, peak_kib, wall_s = soak(command, speech_loop(LOOP_S), args.hours)
        numbers = summary(series, peak_kib) | {"wall_s": round(wall_s, 1)}
        row = common.make_row(
            "memory",
            numbers,
            variant=target,
            bundle=folder,
            target=target,
            threads=args.threads,
            warm_up=f"{SETTLED_AFTER_S} s of audio",
            settings={"hours": args.hours, "program": program.name},
        )
    shown = (
        "rss_after_first_minute_mib",
        "rss_at_end_mib",
        "peak_rss_mib",
        "growth_kib",
        "audio_s",
        "wall_s",
    )
    print(common.table(["memory", ""], [[name, numbers[name]] for name in shown]))
    common.finish([row], args)


if __name__ == "__main__":
    main()
