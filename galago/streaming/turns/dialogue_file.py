"""The dialogue as people write it: TOML, checked when it is read.  docs/dialogue.md explains it."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from galago.runtime.errors import GalagoError, InvalidArgumentError
from galago.streaming.toml_file import Table, read_toml
from galago.streaming.turns.dialogue import OWN_SLOTS, Dialogue, Order, Rule, slots_of
from galago.streaming.turns.hooks import Hook, ProcessHook, PythonHook
from galago.streaming.turns.question import HEARD, Heard
from galago.streaming.turns.sight import SEEN, LabelHistory, Seen

SCHEMA_VERSION = 1
_ORDERS = ("rotation", "random")
_WHEN = ("heard", "intent", "slots", "seen", "label", "min_confidence")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What can be heard and seen, to check a dialogue against; None: not known, and not checked."""

    intents: Collection[str] | None = None
    slots: Collection[str] | None = None
    labels: Collection[str] | None = None

    @classmethod
    def of_grammar(cls, compiled: bytes | None, labels: Collection[str] | None = None) -> Vocabulary:
        """What a compiled grammar can tell; without one there are no intents at all."""
        if compiled is None:
            return cls((), (), labels)
        from galago.runtime.language.grammar_format import read_grammar
        from galago.runtime.language.template_graph import LabelKind

        outputs = read_grammar(compiled).outputs
        return cls(
            {output.text for output in outputs if output.kind == LabelKind.INTENT},
            {output.text for output in outputs if output.kind == LabelKind.SLOT_BEGIN},
            labels,
        )


@dataclass(frozen=True, slots=True)
class DialogueFile:
    """A dialogue, and how it wants to be shown what is seen."""

    dialogue: Dialogue
    sure_score: float
    max_age_ms: float

    def history(self) -> LabelHistory:
        """A memory for labels with the file's own bounds."""
        return LabelHistory(sure_score=self.sure_score, max_age_ms=self.max_age_ms)


def read_dialogue(path: str | os.PathLike[str], vocabulary: Vocabulary | None = None) -> DialogueFile:
    """Read a file and check it against what can be heard and seen.

    Raises:
        InvalidArgumentError: naming file, line, key and what is wrong there.
        NotFoundError: no such file.
    """
    document = read_toml(path)
    document.schema(SCHEMA_VERSION)
    document.only("schema_version", "sure_score", "max_age_ms", "failed", "names", "hooks", "reply")
    reader = _Reader(document, vocabulary or Vocabulary())
    rules = [reader.rule(table) for table in document.tables("reply")]
    if not rules:
        raise document.wrong("reply", "a dialogue needs at least one [[reply]]")
    dialogue = Dialogue(
        rules,
        names=reader.names(),
        hooks=reader.hooks(),
        failed=document.text("failed") if "failed" in document else None,
    )
    return DialogueFile(
        dialogue,
        sure_score=document.number("sure_score", 0.6, minimum=0.0, maximum=1.0),
        max_age_ms=document.number("max_age_ms", 2000.0, minimum=1.0, maximum=600_000.0),
    )


class _Reader:
    def __init__(self, document: Table, vocabulary: Vocabulary) -> None:
        self._document = document
        self._vocabulary = vocabulary
        self._hook_tables = document.mapping("hooks")

    def names(self) -> dict[str, str]:
        table = self._document.table("names")
        for label in table.values:
            self._known(table, label, label, self._vocabulary.labels, "label")
        return {label: table.text(label) for label in table.values}

    def hooks(self) -> dict[str, Hook]:
        table = self._document.table("hooks")
        hooks: dict[str, Hook] = {}
        for name, settings in self._hook_tables.items():
            if not isinstance(settings, dict) or ("python" in settings) == ("process" in settings):
                raise table.wrong(name, 'expected { python = "module:function" } or { process = [...] }')
            unknown = sorted(set(settings) - {"python", "process", "timeout_s", "slots"})
            if unknown:
                raise table.wrong(name, f"{unknown[0]} is not known here")
            try:
                hooks[name] = self._hook(name, settings)
            except (GalagoError, TypeError) as error:
                raise table.wrong(name, str(error)) from error
        return hooks

    def _hook(self, name: str, settings: dict[str, Any]) -> Hook:
        folder = self._document.folder
        if "python" in settings:
            # As for a program: what stands beside the file is found first.
            if str(folder.resolve()) not in sys.path:
                sys.path.insert(0, str(folder.resolve()))
            return PythonHook(name, str(settings["python"]))
        command = settings["process"]
        if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
            raise InvalidArgumentError("expected process = [PROGRAM, ARGUMENT, ...]")
        return ProcessHook(name, command, folder=folder, timeout_s=float(settings.get("timeout_s", 2.0)))

    def rule(self, table: Table) -> Rule:
        table.only(*_WHEN, "say", "order", "hook")
        hook = table.text("hook") if "hook" in table else None
        if hook is not None and hook not in self._hook_tables:
            raise table.wrong("hook", f"there is no [hooks] entry {hook!r}")
        if hook is None and "say" not in table:
            raise table.wrong("say", "a reply says something, or has a hook")
        intents = table.texts("intent", ())
        for intent in intents:
            self._known(table, "intent", intent, self._vocabulary.intents, "intent")
        labels = table.texts("label", ())
        for label in labels:
            self._known(table, "label", label, self._vocabulary.labels, "label")
        say = table.texts("say", ())
        self._check_slots(table, say, hook)
        return Rule(
            heard=cast("tuple[Heard, ...]", self._words(table, "heard", HEARD)),
            intents=intents,
            slots=self._slots(table),
            seen=cast("tuple[Seen, ...]", self._words(table, "seen", SEEN)),
            labels=labels,
            min_confidence=table.number("min_confidence", 0.0, minimum=0.0, maximum=1.0),
            say=say,
            order=cast(Order, table.choice("order", _ORDERS, "rotation")),
            hook=hook,
            place=f"{Path(table.path).name}:{table.line}" if table.line else Path(table.path).name,
        )

    def _slots(self, table: Table) -> dict[str, tuple[str, ...] | bool]:
        slots: dict[str, tuple[str, ...] | bool] = {}
        for name, wanted in table.mapping("slots").items():
            self._known(table, "slots", name, self._vocabulary.slots, "slot")
            values = [wanted] if isinstance(wanted, str) else wanted
            if isinstance(values, list) and values and all(isinstance(value, str) for value in values):
                slots[name] = tuple(values)
            elif isinstance(wanted, bool):
                slots[name] = wanted
            else:
                raise table.wrong("slots", f"{name}: expected a string, a list of strings, true or false")
        return slots

    def _check_slots(self, table: Table, say: tuple[str, ...], hook: str | None) -> None:
        """Refuse a sentence that nothing can fill, before it is needed."""
        for template in say:
            rest = template
            for name in slots_of(template):
                rest = rest.replace(f"{{{name}}}", "")
                if name in OWN_SLOTS or name in self._hook_slots(hook):
                    continue
                if hook is not None and "slots" not in self._hook_tables[hook]:
                    continue  # it did not say what it gives
                self._known(table, "say", name, self._vocabulary.slots, "slot", also=OWN_SLOTS)
            if "{" in rest or "}" in rest:
                raise table.wrong("say", f"a brace that is no {{slot}}: {template!r}")

    def _hook_slots(self, hook: str | None) -> Collection[str]:
        settings = self._hook_tables.get(hook or "", {})
        return settings.get("slots", ()) if isinstance(settings, dict) else ()

    @staticmethod
    def _words(table: Table, key: str, known: Collection[str]) -> tuple[str, ...]:
        words = table.texts(key, ())
        for word in words:
            if word not in known:
                raise table.wrong(key, f"expected one of {', '.join(known)}, found {word!r}")
        return words

    @staticmethod
    def _known(
        table: Table,
        key: str,
        name: str,
        known: Collection[str] | None,
        kind: Literal["intent", "slot", "label"],
        also: Collection[str] = (),
    ) -> None:
        if known is not None and name not in known:
            listed = ", ".join([*also, *sorted(known)]) or "none: there is no grammar"
            raise table.wrong(key, f"there is no {kind} {name!r}; known: {listed}")
