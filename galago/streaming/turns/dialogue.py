"""What the device answers: from what was heard and seen to a sentence.

    dialogue = read_dialogue("turn.toml")          # dialogue_file.py; docs/dialogue.md has the format
    reply = dialogue.answer(Question("intent", end_ns=..., intent="AskSee", sight=history.at(...)))
    reply.text                                      # "I see an apple."

Rules are tried from top to bottom and the first that fits answers.  Nothing is left to chance unless a rule
asks for it: the same questions get the same answers.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from galago.runtime.errors import GalagoError
from galago.streaming.turns.hooks import Hook
from galago.streaming.turns.question import Heard, Question
from galago.streaming.turns.sight import Seen

Order = Literal["rotation", "random"]

#: Slots that every question fills; the others are those of its intent and of its hook.
OWN_SLOTS = ("label", "second", "score", "text", "intent", "confidence")
_SLOT = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"\b([Aa]) \{(\w+)\}")
_VOWELS = ("a", "e", "i", "o", "u", "8", "11 ", "18 ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When to answer, and what.  A condition that is None, or empty, holds always."""

    heard: tuple[Heard, ...] = ()
    intents: tuple[str, ...] = ()
    slots: Mapping[str, tuple[str, ...] | bool] = field(default_factory=dict)  # True: said; False: not said
    seen: tuple[Seen, ...] = ()
    labels: tuple[str, ...] = ()
    min_confidence: float = 0.0
    say: tuple[str, ...] = ()
    order: Order = "rotation"
    hook: str | None = None
    place: str = ""  # "turn.toml:12", for messages

    def fits(self, question: Question) -> bool:
        """Whether every condition holds."""
        return (
            (not self.heard or question.heard in self.heard)
            and (not self.intents or question.intent in self.intents)
            and all(_slot_fits(question.slots.get(name), wanted) for name, wanted in self.slots.items())
            and (not self.seen or question.sight.seen in self.seen)
            and (not self.labels or question.sight.label in self.labels)
            and question.confidence >= self.min_confidence
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """What is to be said, and why."""

    text: str  # may be empty: a hook that acts and says nothing
    question: Question
    place: str  # of the rule that answered
    problem: str | None = None  # what went wrong with its hook


class Dialogue:
    """Rules, the names of labels, and hooks.  Close it to end the hooks' processes.

    Args:
        rules: in order of their rank.
        names: label -> how it is said; a label that is not here is said with spaces for `-` and `_`.
        hooks: name -> own code.
        failed: what is said when a hook failed; None: nothing.
        seed: of rules whose order is "random".
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        *,
        names: Mapping[str, str] | None = None,
        hooks: Mapping[str, Hook] | None = None,
        failed: str | None = None,
        seed: int | None = None,
    ) -> None:
        self.rules = tuple(rules)
        self._names = dict(names or {})
        self._hooks = dict(hooks or {})
        self._failed = failed
        self._chance = random.Random(seed)
        self._num_said = [0] * len(self.rules)

    def answer(self, question: Question) -> Reply | None:
        """The reply of the first rule that fits; None where none does: the device says nothing."""
        for index, rule in enumerate(self.rules):
            if rule.fits(question):
                return self._reply(index, rule, question)
        return None

    def spoken_name(self, label: str) -> str:
        """How a label is said."""
        return self._names.get(label, label.replace("-", " ").replace("_", " "))

    def close(self) -> None:
        """End the processes of hooks."""
        for hook in self._hooks.values():
            hook.close()

    def _reply(self, index: int, rule: Rule, question: Question) -> Reply:
        slots = self._slots(question)
        said: str | None = None
        if rule.hook is not None:
            try:
                answer = self._hooks[rule.hook](question)
            except GalagoError as error:
                return Reply(self._failed or "", question, rule.place, f"{rule.place}: {error}")
            slots.update(answer.slots)
            said = answer.say
        if said is None and rule.say:
            said = self._variant(index, rule)
        try:
            return Reply(fill(said or "", slots), question, rule.place)
        except KeyError as error:  # checked when the file was read, but for what a hook did not give
            complaint = f"{rule.place}: nothing fills {{{error.args[0]}}}"
            return Reply(self._failed or "", question, rule.place, complaint)

    def _variant(self, index: int, rule: Rule) -> str:
        if rule.order == "random":
            return self._chance.choice(rule.say)
        self._num_said[index] += 1
        return rule.say[(self._num_said[index] - 1) % len(rule.say)]

    def _slots(self, question: Question) -> dict[str, str]:
        sight = question.sight
        return {
            **question.slots,
            "label": self.spoken_name(sight.label),
            "second": self.spoken_name(sight.second),
            "score": f"{sight.score * 100:.0f}",
            "text": question.text,
            "intent": question.intent,
            "confidence": f"{question.confidence * 100:.0f}",
        }


def slots_of(template: str) -> list[str]:
    """The names in braces, in order."""
    return _SLOT.findall(template)


def fill(template: str, slots: Mapping[str, str]) -> str:
    """Put values for names in braces; "a {label}" becomes "an apple" where the value asks for it.

    The article goes by the letter: who says "an hour" gives the label that name in `[names]`, or writes
    another sentence.

    Raises:
        KeyError: nothing fills a slot.
    """

    def article(found: re.Match[str]) -> str:
        value = slots[found[2]]
        is_vowel = f"{value.lower()} ".startswith(_VOWELS)
        return f"{found[1]}{'n' if is_vowel else ''} {{{found[2]}}}"

    return _SLOT.sub(lambda found: slots[found[1]], _ARTICLE.sub(article, template))


def _slot_fits(value: str | None, wanted: Collection[str] | bool) -> bool:
    if isinstance(wanted, bool):
        return (value is not None) == wanted
    return value in wanted
