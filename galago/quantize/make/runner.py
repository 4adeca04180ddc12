"""Does the steps that are not up to date, one process after the other, and says how long it will take."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from galago.quantize.make.acceptance import Verdict, judge
from galago.quantize.make.content import Contents
from galago.quantize.make.plan import Plan
from galago.quantize.make.state import Done, State
from galago.quantize.make.steps import Step
from galago.quantize.pack import replace_folder

__all__ = ["Clock", "Interrupted", "Outcome", "StepError", "duration", "make_steps"]

_INTERRUPTED = 130


class StepError(Exception):
    """A step failed, or what it made is not good enough; the message says which."""


class Interrupted(Exception):
    """Ctrl-C: the step that ran has saved what it can."""


@dataclass
class Outcome:
    """What was made, for the report: also of a make that did not come to its end."""

    seconds: dict[str, float] = field(default_factory=dict)  # of the steps that were done now
    skipped: list[str] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    error: str | None = None


def make_steps(plan: Plan, state: State, outcome: Outcome, say: Callable[[str], None], lock: IO[str]) -> None:
    """Do every step of ``plan`` that is not done.

    Args:
        outcome: is filled while the steps are done.
        lock: of the output folder; the processes of steps keep it open.

    Raises:
        StepError: a step failed, or a criterion is not met.
        Interrupted: somebody pressed Ctrl-C.
        OSError: the state cannot be written.
    """
    root = plan.layout.root
    clock = Clock(state)
    for number, step in enumerate(plan.steps):
        key = step.key(state.contents)
        label = f"[{number + 1}/{len(plan.steps)}] {step.name}"
        if state.is_done(step.name, key, root):
            say(f"{label}: up to date")
            outcome.skipped.append(step.name)
        else:
            waiting = [step, *(s for s in plan.steps[number + 1 :] if not _is_done(s, state, root))]
            say(f"{label}{clock.left(waiting)}")
            began = time.monotonic()
            state.steps.pop(step.name, None)
            step.begin(key)
            _run(step, root, lock)
            try:
                outputs = step.outputs_of(state.contents, root)
            except FileNotFoundError as error:
                raise StepError(f"{step.name}: ended well, but left no {error.filename or error}") from error
            seconds = round(time.monotonic() - began, 1)
            outcome.seconds[step.name] = seconds
            state.steps[step.name] = Done(key, outputs, seconds)
            clock.ran(step, seconds)
            say(f"{label}: {duration(seconds)}")
        state.save()
        if step.criteria:
            _accept(step, root, outcome)
    packed = plan.layout.packed
    size_bytes = sum(p.stat().st_size for p in packed.rglob("*") if p.is_file())
    verdicts = judge("bundle", plan.inputs.criteria, {"size_bytes": float(size_bytes)})
    outcome.verdicts += verdicts
    _refuse(verdicts)
    _deliver(packed, plan.layout.bundle, state.contents)
    state.save()


def _is_done(step: Step, state: State, root: Path) -> bool:
    """As far as can be known before the steps ahead of it are done."""
    try:
        return state.is_done(step.name, step.key(state.contents), root)
    except OSError:  # what it is made of is still to be made
        return False


def _deliver(packed: Path, bundle: Path, contents: Contents) -> None:
    """Put an accepted bundle in the place of the one before, all at once, where it is another."""
    if bundle.is_dir() and contents.of_path(bundle) == contents.of_path(packed):
        return
    partial = bundle.with_name(bundle.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(packed, partial)
    replace_folder(partial, bundle)


def _accept(step: Step, root: Path, outcome: Outcome) -> None:
    document = json.loads((root / step.outputs[-1]).read_text(encoding="utf-8"))
    measures: Mapping[str, float] = document["measures"]
    verdicts = judge(step.subject, step.criteria, measures)
    outcome.verdicts += verdicts
    _refuse(verdicts)


def _refuse(verdicts: list[Verdict]) -> None:
    missed = [str(verdict) for verdict in verdicts if not verdict.is_met]
    if missed:
        raise StepError("not accepted: " + "; ".join(missed))


def _run(step: Step, root: Path, lock: IO[str]) -> None:
    # A step runs in another folder: where this process found galago in its own, that must be said.
    found = [str(Path(__file__).resolve().parents[3]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in found if path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "galago.quantize.make.child", str(os.getpid()), *step.command],
        cwd=root,
        env=environment,
        pass_fds=(lock.fileno(),),
    )
    interrupted = False
    while True:
        try:
            code = process.wait()
            break
        except KeyboardInterrupt:
            # The terminal has told the process too. Training finishes its step and saves.
            interrupted = True
    if interrupted or code == _INTERRUPTED:
        raise Interrupted(step.name)
    if code != 0:
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        raise StepError(f"{step.name}: {how}; what it said stands above")


def duration(seconds: float) -> str:
    """``42 s``, ``7 min``, ``3 h 20 min``."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


class Clock:
    """How long steps take: as last time, or as others of their kind by amount."""

    def __init__(self, state: State) -> None:
        self._last = {name: done.seconds for name, done in state.steps.items()}
        self._rates: dict[str, float] = {}

    def ran(self, step: Step, seconds: float) -> None:
        if step.amount:
            self._rates[step.kind] = seconds / step.amount

    def _guess(self, step: Step) -> float | None:
        if step.amount and step.kind in self._rates:
            return step.amount * self._rates[step.kind]
        return self._last.get(step.name)

    def left(self, steps: Sequence[Step]) -> str:
        """What stands behind the name of a step that begins."""
        guesses = [self._guess(step) for step in steps]
        known = sum(guess for guess in guesses if guess is not None)
        num_unknown = guesses.count(None)
        if not known:
            return ""
        more = f", and {num_unknown} steps that were never timed" if num_unknown else ""
        return f" (about {duration(known)} left{more})"
