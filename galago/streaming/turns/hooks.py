"""Own code in a dialogue: a Python function, or a program that reads and writes JSON lines.

Either is given the question and says what to answer, or which slots to fill, or nothing::

    def switch(question: Question) -> str | Mapping[str, str] | None:    # python = "lights:switch"
        return "The lamp is on." if ... else {"state": "off"}

A program gets one line for each question and answers with one line: {"say": "..."}, {"slots": {...}}, both,
or {}.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import selectors
import subprocess
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galago.runtime.closing import Closing
from galago.runtime.errors import GalagoError, InvalidArgumentError, NotFoundError

if TYPE_CHECKING:
    from galago.streaming.turns.question import Question

_MAX_LINE_BYTES = 1 << 20
_END_S = 1.0  # what a program may take to end once its input did
_READ_BYTES = 65536


class HookError(GalagoError):
    """Own code of a dialogue failed; the message names the hook."""


@dataclass(frozen=True, slots=True)
class HookAnswer:
    """What own code says."""

    say: str | None = None  # instead of the rule's sentences; may have slots
    slots: Mapping[str, str] = field(default_factory=dict)


class Hook(Closing):
    """Own code.  Called between events of the stream, which wait meanwhile: it has to be quick."""

    @abstractmethod
    def __call__(self, question: Question) -> HookAnswer:
        """Answer a question; raise HookError where that fails."""

    def close(self) -> None:
        """Nothing is held, as a rule."""


class PythonHook(Hook):
    """A function, "package.module:function".

    Raises:
        NotFoundError: there is no such module or function.
    """

    def __init__(self, name: str, entry: str) -> None:
        module, _, function = entry.partition(":")
        self._name = name
        try:
            found = getattr(importlib.import_module(module), function) if module and function else None
        except (ImportError, AttributeError) as error:
            raise NotFoundError(f"hook {name}: {entry}: {error}") from error
        if not callable(found):
            raise NotFoundError(f"hook {name}: expected MODULE:FUNCTION, found {entry!r}")
        self._function = found

    def __call__(self, question: Question) -> HookAnswer:
        try:
            answer = self._function(question)
        except (
            Exception
        ) as error:  # it is the user's code: whatever it raises is told, and the stream goes on
            raise HookError(f"hook {self._name}: {type(error).__name__}: {error}") from error
        if answer is None or isinstance(answer, str):
            return HookAnswer(answer)
        if isinstance(answer, Mapping):
            return HookAnswer(slots={str(name): str(value) for name, value in answer.items()})
        raise HookError(
            f"hook {self._name}: expected a string, a mapping of slots or None, found {type(answer).__name__}"
        )


class ProcessHook(Hook):
    """A program that stays and answers each line of JSON with a line of JSON.

    It is started with the first question, and again after it died.  Its standard error is the device's.

    Args:
        name: for messages.
        command: the program and its arguments.
        folder: where it runs.
        timeout_s: what one answer may take; a program that is slower is killed.
    """

    def __init__(
        self, name: str, command: Sequence[str], *, folder: Path | None = None, timeout_s: float = 2.0
    ) -> None:
        if not command or not timeout_s > 0:
            raise InvalidArgumentError(f"hook {name}: expected a command and a timeout above 0")
        self._name = name
        self._command = list(command)
        self._folder = folder
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, question: Question) -> HookAnswer:
        process = self._running()
        try:
            line = self._exchange(process, json.dumps(question_row(question), ensure_ascii=False) + "\n")
            return self._read(line)
        except (OSError, HookError, ValueError) as error:
            self._kill()  # a late answer must not become that of the next question
            if isinstance(error, HookError):
                raise
            raise HookError(f"hook {self._name}: {error}") from error

    def close(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it went first
            process.stdin.close()
        try:
            process.wait(timeout=_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            try:
                self._process = subprocess.Popen(
                    self._command, cwd=self._folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
                )
            except OSError as error:
                raise HookError(f"hook {self._name}: {self._command[0]}: {error.strerror}") from error
            assert self._process.stdin is not None
            os.set_blocking(self._process.stdin.fileno(), False)
        return self._process

    def _exchange(self, process: subprocess.Popen[bytes], line: str) -> bytes:
        """Write a line and read one, both within the limit: a program that reads nothing does not hang us."""
        assert process.stdin is not None and process.stdout is not None
        deadline_s = time.monotonic() + self._timeout_s
        pending = line.encode()
        received = b""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            selector.register(process.stdin, selectors.EVENT_WRITE)
            while b"\n" not in received:
                ready = selector.select(max(0.0, deadline_s - time.monotonic()))
                if not ready and time.monotonic() >= deadline_s:
                    raise HookError(f"hook {self._name}: no answer within {self._timeout_s:g} s")
                for key, _ in ready:
                    if key.fileobj is process.stdin:
                        pending = pending[os.write(process.stdin.fileno(), pending) :]
                        if not pending:
                            selector.unregister(process.stdin)
                        continue
                    piece = os.read(process.stdout.fileno(), _READ_BYTES)
                    received += piece
                    if not piece or len(received) > _MAX_LINE_BYTES:
                        what = "it ended" if not piece else "its answer has no end"
                        raise HookError(f"hook {self._name}: {what}")
        return received

    def _read(self, line: bytes) -> HookAnswer:
        try:
            row = json.loads(line)
        except ValueError as error:
            raise HookError(f"hook {self._name}: expected one line of JSON: {error}") from error
        say = row.get("say") if isinstance(row, dict) else 0
        slots = row.get("slots", {}) if isinstance(row, dict) else 0
        if not (say is None or isinstance(say, str)) or not isinstance(slots, dict):
            raise HookError(f'hook {self._name}: expected {{"say": "...", "slots": {{...}}}}')
        return HookAnswer(say, {name: str(value) for name, value in slots.items()})

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
        self.close()


def question_row(question: Question) -> dict[str, Any]:
    """A question as the object of one JSON line."""
    sight = question.sight
    return {
        "heard": question.heard,
        "intent": question.intent,
        "slots": dict(question.slots),
        "text": question.text,
        "confidence": round(question.confidence, 3),
        "seen": sight.seen,
        "label": sight.label,
        "score": round(sight.score, 4),
        "age_ms": None if sight.age_ms is None else round(sight.age_ms, 1),
        "end_s": round(question.end_ns / 1e9, 3),
    }
