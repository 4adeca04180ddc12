"""What every benchmark shares: the row it writes, the machine it ran on, percentiles, progress, tables.

A benchmark is a program that writes a *row*: what was measured, with what, on what. The rows of a
benchmark are a JSON list in ``benchmarks/results/NAME.json``; a row replaces the one with the same
``variant``, so that a file tells the last run of each variant. Tables in documents are made from rows.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"

#: Packages whose version can change a number.
PACKAGES = (
    "galago",
    "numpy",
    "openvino",
    "onnxruntime",
    "torch",
    "kaldi-native-fbank",
    "pocketsphinx",
    "jiwer",
)

T = TypeVar("T")


# -- rows ------------------------------------------------------------------------------------------


def make_row(
    name: str,
    numbers: Mapping[str, Any],
    *,
    variant: str = "",
    bundle: Path | None = None,
    target: str | None = None,
    threads: int | None = None,
    warm_up: str = "none",
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The row of one measurement.

    Args:
        name: the benchmark's module.
        numbers: what was measured; times in distributions are ``{"p50": ..., "p95": ..., "p99": ...}``.
        variant: tells rows of one benchmark apart (an engine, a chunk, a set).
        bundle: the bundle directory that was measured.
        target: the bundle's target that ran.
        threads: threads of the engine.
        warm_up: what ran, unmeasured, before the measurement.
        settings: what the command line chose.
    """
    return {
        "name": name,
        "variant": variant,
        "commit": commit(),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **machine(),
        "versions": versions(),
        "bundle": None if bundle is None else describe_bundle(bundle),
        "target": target,
        "threads": threads,
        "warm_up": warm_up,
        "settings": dict(settings or {}),
        "numbers": dict(numbers),
    }


def write_rows(rows: Sequence[Mapping[str, Any]], folder: Path = RESULTS) -> Path:
    """Put rows of one benchmark into its file, each in place of the one with its variant."""
    names = {row["name"] for row in rows}
    if len(names) != 1:
        raise ValueError(f"expected rows of one benchmark, found {sorted(names)}")
    path = folder / f"{names.pop()}.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    fresh = {row["variant"]: row for row in rows}
    merged = [fresh.pop(row["variant"], row) for row in kept] + list(fresh.values())
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".json.part")
    part.write_text(json.dumps(merged, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, path)
    return path


def finish(rows: Sequence[Mapping[str, Any]], args: argparse.Namespace) -> None:
    """Write the rows where ``--results`` says, and tell."""
    print(f"\n{write_rows(rows, args.results)}: {len(rows)} row(s) written", file=sys.stderr)


# -- where it ran ----------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    """CPU, its cores as this process sees them, clock governor, load before the run."""
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return {
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "governor": governor.read_text().strip() if governor.is_file() else "not shown",
        "load_1min": round(os.getloadavg()[0], 2),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }


def cpu_name() -> str:
    """The processor as Linux names it, with the instruction sets that decide int8 and bf16 speed."""
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return platform.processor() or platform.machine()
    fields: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    name = fields.get("model name") or platform.machine()
    flags = set(fields.get("flags", "").split())
    wanted = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8")
    return " ".join(
        [
            name,
            *(f"family {fields['cpu family']}",) * ("cpu family" in fields),
            *(flag for flag in wanted if flag in flags),
        ]
    )


def versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue  # not installed: it took no part
    return found


def commit() -> str:
    """The commit of this checkout, with ``+changes`` where tracked files differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True
        ).stdout

    try:
        head = git("rev-parse", "--short=12", "HEAD").strip()
        changes = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+changes" if changes.strip() else "")


def describe_bundle(folder: Path) -> dict[str, str]:
    """Name and version of a bundle and the SHA-256 of its manifest, which lists those of all its files."""
    data = (folder / "manifest.json").read_bytes()
    manifest = json.loads(data)
    return {
        "name": manifest["name"],
        "version": manifest["version"],
        "sha256": hashlib.sha256(data).hexdigest(),
    }


# -- numbers ---------------------------------------------------------------------------------------


def percentiles(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """p50, p95 and p99 by nearest rank: each is a value that was really measured.

    Raises:
        ValueError: no values.
    """
    if len(values) == 0:
        raise ValueError("no measurements: nothing to take percentiles of")
    p50, p95, p99 = np.percentile(np.asarray(values, np.float64), [50, 95, 99], method="inverted_cdf")
    return {
        "p50": round(float(p50), digits),
        "p95": round(float(p95), digits),
        "p99": round(float(p99), digits),
    }


# -- command lines and what they print -------------------------------------------------------------


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that all benchmarks share."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--bundle", type=Path, help="bundle directory (default: the one that ships)")
    made.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON rows")
    return made


def progress(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Yield ``items``; tell on stderr how many are done, how fast, and how long the rest takes."""
    total = len(items) if total is None and isinstance(items, Sequence) else total
    begin = last = time.monotonic()
    every_s, end = (0.2, "\r") if sys.stderr.isatty() else (10.0, "\n")
    done = 0
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= every_s:
            last, rate = now, done / (now - begin)
            rest = "" if total is None else f"/{total}, {(total - done) / rate:.0f} s to go"
            print(f"{label}: {done}{rest} ({rate:.1f}/s)   ", end=end, file=sys.stderr, flush=True)
    print(f"{label}: {done} in {time.monotonic() - begin:.1f} s          ", file=sys.stderr, flush=True)


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Columns of text, numbers to the right."""
    shown = [[f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(header), *shown]) for i in range(len(header))]
    lines = ["  ".join(h.ljust(w) for h, w in zip(header, widths, strict=True)).rstrip()]
    lines.append("  ".join("-" * w for w in widths))
    for row in shown:
        cells = [
            c.rjust(w) if c[:1] in "-0123456789" else c.ljust(w) for c, w in zip(row, widths, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
