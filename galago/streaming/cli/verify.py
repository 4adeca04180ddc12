"""`galago verify`: is this bundle whole, and does this machine compute what it computed when packed?"""

from __future__ import annotations

import json as json_format
import math
from dataclasses import asdict

import typer

from galago.runtime.bundle_folder import find_bundle
from galago.runtime.golden import GoldenResult, verify_golden
from galago.runtime.manifest import read_manifest
from galago.streaming.cli.exits import FAILED, exit_codes
from galago.streaming.cli.tables import print_table


def verify(name: str, *, num_threads: int | None, json: bool) -> None:
    """Exit with 1 if a target computes something else here, or if none could be replayed."""
    with exit_codes():
        folder = find_bundle(name)
        results = verify_golden(folder, num_threads=num_threads)
        if json:
            rows = [{**asdict(result), "passed": result.passed} for result in results]
            for row in rows:
                difference = row["max_abs_difference"]
                if difference is not None and not math.isfinite(difference):
                    row["max_abs_difference"] = None  # JSON has no infinity
            print(json_format.dumps(rows, indent=1, ensure_ascii=False))
        else:
            num_files = len(read_manifest(folder).files)
            print(f"{num_files} files are what the manifest says")
            print_table(
                ["role", "target", "result", ">largest difference", ">tolerance", "heard or seen"],
                [_row(result) for result in results],
            )
        ran = [result for result in results if result.not_run is None]
        if not ran or not all(result.passed for result in ran):
            raise typer.Exit(FAILED)


def _row(result: GoldenResult) -> tuple[str, ...]:
    if result.not_run is not None:
        return (result.role, result.target, "not run", "–", f"{result.tolerance:g}", result.not_run)
    return (
        result.role,
        result.target,
        "ok" if result.passed else "DIFFERS",
        f"{result.max_abs_difference:.2g}",
        f"{result.tolerance:g}",
        result.text or "",
    )
