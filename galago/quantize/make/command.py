"""``galago make RECIPE``: train, quantize, measure and pack what a make recipe names; see ``docs/making.md``.

Exit codes: 0 the bundle is made and accepted, 1 a step failed or something was not reached, 2 the recipe or
what it names is wrong and nothing was begun, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from galago.models.training.errors import TrainingError
from galago.quantize.make.inputs import Options
from galago.quantize.make.plan import Plan, plan
from galago.quantize.make.recipe import load_make_recipe
from galago.quantize.make.report import bundle_sha256, write_report
from galago.quantize.make.runner import Interrupted, Outcome, StepError, make_steps
from galago.quantize.make.state import State
from galago.quantize.make.steps import Layout

__all__ = ["main"]

_DONE, _FAILED, _WRONG, _INTERRUPTED = 0, 1, 2, 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="galago make",
        description="Make a bundle from data. What is up to date is not made again.",
        epilog="The same command goes on with what was cut short.",
    )
    parser.add_argument("recipe", type=Path, help="a TOML file, for instance recipes/default.make.toml")
    parser.add_argument("-o", "--output", type=Path, help="where everything is made [made/NAME]")
    parser.add_argument(
        "--data-root",
        type=Path,
        help="what the paths of training recipes are relative to [$GALAGO_DATA, or here]",
    )
    parser.add_argument("--threads", type=int, help="of torch while it trains [its own choice]")
    parser.add_argument("--device", default="cpu", help="of training: cpu, cuda or cuda:N [cpu]")
    parser.add_argument("--num-workers", type=int, default=1, help="processes that make batches ahead [1]")
    parser.add_argument(
        "--adopt", action="store_true", help="go on with runs that were begun in the output folder by hand"
    )
    parser.add_argument("--no-step-times", action="store_true", help="measure no times for the report")
    parser.add_argument("--check", action="store_true", help="read everything that is named, then stop")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code. Arguments that argparse refuses exit with 2."""
    arguments = _parser().parse_args(argv)
    options = Options(
        data_root=arguments.data_root or Path(os.environ.get("GALAGO_DATA", ".")),
        threads=arguments.threads,
        device=arguments.device,
        num_workers=arguments.num_workers,
        adopt=arguments.adopt,
        step_times=not arguments.no_step_times,
    )
    try:
        recipe = load_make_recipe(arguments.recipe)
        layout = Layout((arguments.output or Path("made") / recipe.name).resolve())
        found = plan(arguments.recipe, recipe, layout, options)
        if arguments.check:
            _say(f"{arguments.recipe}: {len(found.steps)} steps, nothing wrong")
            return _DONE
        layout.root.mkdir(parents=True, exist_ok=True)
        with open(layout.root / ".lock", "a", encoding="utf-8") as lock:
            _wait_for(lock, layout.root)
            return _make(found, lock)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except (TrainingError, OSError) as error:
        _complain(str(error))
        return _WRONG


def _wait_for(lock: IO[str], root: Path) -> None:
    """Have the output folder alone. Of a make that was killed, processes may take a while to notice."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _complain(f"{root}: another galago make is at work there; waiting until it ends")
        fcntl.flock(lock, fcntl.LOCK_EX)


def _make(found: Plan, lock: IO[str]) -> int:
    state, outcome, code = State.load(found.layout.state), Outcome(), _DONE
    began = time.monotonic()
    try:
        make_steps(
            found, state, outcome, lambda line: _say(f"{time.monotonic() - began:6.0f} s  {line}"), lock
        )
    except (StepError, TrainingError, OSError) as error:
        outcome.error, code = str(error), _FAILED
    except Interrupted as error:
        outcome.error, code = f"{error}: stopped; the same command goes on from there", _INTERRUPTED
    if outcome.error is not None:
        _complain(outcome.error)
    else:
        _say(f"{found.layout.bundle}: sha256 {bundle_sha256(found.layout.bundle)}")
    try:
        _say(f"{write_report(found, state, outcome)}: the report")
    except OSError as error:  # most likely the disk that ended the make
        _complain(f"no report: {error}")
        code = code or _FAILED
    return code


def _say(line: str) -> None:
    print(line, flush=True)


def _complain(message: str) -> None:
    print(f"galago make: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
