"""Kills a make with SIGKILL again and again, and compares the bundle with that of a make nobody disturbed.

    python -m tests.quantize.make.kills --kills 10 --seed 1

Each kill waits for something in the output folder, never for a time: the machine may be as slow as it likes.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.quantize.make.tiny import command, environment, make, write_eye

__all__ = ["NUM_STEPS", "Moment", "bundle_hash", "draw_moments", "kill_at", "logged"]

NUM_STEPS = 12


class Moment:
    """Something that is there from some moment of a make on, whatever was killed before it."""

    def __init__(self, name: str, has_come: Callable[[Path], bool]) -> None:
        self.name, self.has_come = name, has_come


def _exists(path: str) -> Moment:
    return Moment(path, lambda root: (root / path).exists())


def logged(run: str, num_rows: int) -> Moment:
    """So many steps of a run are done and written down."""

    def has_come(root: Path) -> bool:
        log = root / "runs" / run / "log.jsonl"
        return log.is_file() and log.read_bytes().count(b"\n") >= num_rows

    return Moment(f"{num_rows} rows of {run}", has_come)


def _moments() -> Iterator[Moment]:
    """In the order in which they come, for the recipes of :func:`write_eye`."""
    yield _exists(".lock")
    for run in ("small", "larger"):
        yield _exists(f"runs/{run}/make.json")
        yield from (logged(run, rows) for rows in range(1, NUM_STEPS + 1))
        yield _exists(f"runs/{run}/curves.png")
        yield _exists(f"measured/{run}.json")
    for name in ("float-eye.onnx", "calibration.npz", "report.json"):
        yield _exists(f"roles/eye.work/{name}")
    yield _exists("roles/eye/manifest.json")
    yield _exists("measured/eye.json")
    yield _exists("bundle/manifest.json")


def draw_moments(num_kills: int, seed: int) -> list[Moment]:
    """Random moments of a make, one of each of as many equal parts of it, in their order."""
    moments, rng = list(_moments()), random.Random(seed)
    bounds = [len(moments) * i // num_kills for i in range(num_kills + 1)]
    return [moments[rng.randrange(*part)] for part in zip(bounds, bounds[1:], strict=False)]


def bundle_hash(output: Path) -> str:
    """Of names and contents of all files of the bundle that a make has left."""
    digest = hashlib.sha256()
    for path in sorted((output / "bundle").rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(output).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def kill_at(recipe: Path, output: Path, moment: Moment) -> bool:
    """Begin a make and kill it at ``moment``; whether it had not ended before."""
    with open(output.with_suffix(".said"), "ab") as said:
        process = subprocess.Popen(
            command(recipe, output), env=environment(), stdout=said, stderr=subprocess.STDOUT
        )
        while process.poll() is None and not moment.has_come(output):
            time.sleep(0.002)  # only how closely it is watched
        process.kill()
        return process.wait() < 0


def main() -> int:
    """Make, kill and compare; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = write_eye(folder / "recipes", num_steps=NUM_STEPS)
        straight = make(recipe, folder / "straight")
        if straight.returncode != 0:
            print(straight.stderr, file=sys.stderr)
            return 1
        expected = bundle_hash(folder / "straight")
        print(f"undisturbed: {expected}", flush=True)
        moments = draw_moments(options.kills, options.seed)
        print("killed at: " + "; ".join(moment.name for moment in moments), flush=True)
        num_killed = sum(kill_at(recipe, folder / "killed", moment) for moment in moments)
        last = make(recipe, folder / "killed")
        if last.returncode != 0:
            print(last.stderr, file=sys.stderr)
            return 1
        found = bundle_hash(folder / "killed")
        print(f"after {num_killed} kills: {found}")
        return 0 if found == expected and num_killed == len(moments) else 1


if __name__ == "__main__":
    sys.exit(main())
