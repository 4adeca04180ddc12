"""A sentence template as a graph over pieces of text, spaces and slot marks.

Pieces stay as they are written, so that ``light[s]`` and ``{name}'s`` hold together; words are made of
them in ``word_graph``.

    {area}'s light[s]     0 -<area>-> o -kitchen-> o -</area>-> o -'s-> o -" "-> o -light-> o -s-> 1
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from galago.runtime.language.sentence_templates import (
    GrammarError,
    ListValue,
    NumberValue,
    Scope,
    SlotList,
    Template,
    parse_range,
)

MAX_STATES = 500_000  # of words; phones multiply them
MAX_UNLISTED_VALUES = 10_000  # ways to say a list value whose slot takes the words as they were said

_MAX_DEPTH = 100  # of brackets and rules in each other


class LabelKind(enum.IntEnum):
    """What an arc puts out; the numbers are those of the compiled grammar."""

    WORD = 1
    SLOT_BEGIN = 2
    SLOT_END = 3
    INTENT = 4
    PHRASE = 5


class Label(NamedTuple):
    """A word, or a mark between words."""

    kind: LabelKind
    text: str


TextLabel = str | Label | None
"""What an arc of a text graph holds: a piece of text, " " between words, a mark, or nothing."""


class Graph:
    """States and arcs; ``arcs[state]`` lists (label, next state)."""

    def __init__(self, where: str) -> None:
        self.arcs: list[list[tuple[Any, int]]] = []
        self._where = where

    def state(self) -> int:
        if len(self.arcs) >= MAX_STATES:
            raise GrammarError(f"{self._where}: too big: more than {MAX_STATES} states")
        self.arcs.append([])
        return len(self.arcs) - 1

    def arc(self, begin: int, label: Any, end: int) -> None:
        self.arcs[begin].append((label, end))

    def chain(self, begin: int, labels: Iterable[Any], end: int) -> None:
        """Lead from ``begin`` to ``end`` over ``labels``, one after the other."""
        last = None
        for label in labels:
            if last is not None:
                middle = self.state()
                self.arc(begin, last, middle)
                begin = middle
            last = label
        self.arc(begin, last, end)


def text_graph(template: Template, scope: Scope) -> Graph:
    """From state 0 to state 1: the template as pieces of text, spaces and marks."""
    graph = Graph(template.where)
    graph.state(), graph.state()
    _TemplateWalker(graph, scope, template.where).walk(template.expression, 0, 1)
    return graph


class _TemplateWalker:
    """Adds expressions of hassil to a text graph."""

    def __init__(self, graph: Graph, scope: Scope, where: str, open_list: str | None = None) -> None:
        from hassil import expression

        self._kinds = expression
        self._graph, self._scope, self._where = graph, scope, where
        self._open_rules: list[str] = []
        self._open_list = open_list
        self._depth = 0

    def walk(self, expression: Any, begin: int, end: int) -> None:
        """Lead from ``begin`` to ``end`` over every way to read ``expression``."""
        kinds = self._kinds
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise GrammarError(f"{self._where}: nested more than {_MAX_DEPTH} deep")
        if isinstance(expression, kinds.TextChunk):
            self._text(expression.original_text, begin, end)
        elif isinstance(expression, kinds.Alternative):
            for item in expression.items:
                self.walk(item, begin, end)
        elif isinstance(expression, kinds.Permutation):
            self._permutation(expression.items, begin, end)
        elif isinstance(expression, kinds.Group):
            self._sequence(expression.items, begin, end)
        elif isinstance(expression, kinds.ListReference):
            self._list(expression, begin, end)
        elif isinstance(expression, kinds.RuleReference):
            self._rule(expression.rule_name, begin, end)
        else:
            raise GrammarError(f"{self._where}: {type(expression).__name__} is not supported")
        self._depth -= 1

    def _text(self, text: str, begin: int, end: int) -> None:
        pieces = [" " if piece.isspace() else piece for piece in re.split(r"(\s+)", text) if piece]
        self._graph.chain(begin, pieces or [None], end)

    def _sequence(self, items: list[Any], begin: int, end: int) -> None:
        for item in items[:-1]:
            middle = self._graph.state()
            self.walk(item, begin, middle)
            begin = middle
        if items:
            self.walk(items[-1], begin, end)
        else:
            self._graph.arc(begin, None, end)

    def _permutation(self, items: list[Any], begin: int, end: int) -> None:
        """Every order of the items: a state for each subset of those already said."""
        states = {0: begin, (1 << len(items)) - 1: end}
        for said in range((1 << len(items)) - 1):
            if said not in states:
                states[said] = self._graph.state()
        for said in range((1 << len(items)) - 1):
            for index, item in enumerate(items):
                if not said >> index & 1:
                    self.walk(item, states[said], states[said | 1 << index])

    def _rule(self, name: str, begin: int, end: int) -> None:
        if name not in self._scope.rules:
            raise GrammarError(f"{self._where}: unknown rule <{name}>")
        if name in self._open_rules:
            cycle = " -> ".join(f"<{rule}>" for rule in (*self._open_rules, name))
            raise GrammarError(f"{self._where}: a rule holds itself: {cycle}")
        self._open_rules.append(name)
        self.walk(self._scope.rules[name].expression, begin, end)
        self._open_rules.pop()

    def _list(self, reference: Any, begin: int, end: int) -> None:
        name, slot = reference.list_name, reference.slot_name
        if self._open_list is not None:
            raise GrammarError(f"{self._where}: list {{{name}}} inside a value of list {{{self._open_list}}}")
        slot_list = self._find_list(reference)
        if slot_list.is_wildcard:
            raise GrammarError(
                f"{self._where}: list {{{name}}} is a wildcard: a closed grammar cannot hold it"
            )
        if not slot:
            raise GrammarError(f"{self._where}: {{{name}:}} names no slot")
        if not reference.is_capture:
            opened, closed = self._graph.state(), end
            self._graph.arc(begin, Label(LabelKind.SLOT_BEGIN, slot), opened)
        else:
            opened, closed = begin, end
        self._open_list = name
        for value in slot_list.values:
            for output, lead in self._value_ways(value):
                target = closed
                if not reference.is_capture:
                    target = self._graph.state()
                    self._graph.arc(target, Label(LabelKind.SLOT_END, output), closed)
                lead(opened, target)
        self._open_list = None

    def _find_list(self, reference: Any) -> SlotList:
        name = reference.list_name
        if name in self._scope.lists:
            return self._scope.lists[name]
        inline = reference.get_inline_range()
        if inline is None:
            raise GrammarError(f"{self._where}: unknown list {{{name}}}")
        start, stop, step = inline
        return SlotList(name, parse_range(start, stop, step, f"{self._where}: {{{name}}}"))

    def _value_ways(self, value: ListValue | NumberValue) -> Iterator[tuple[str, Callable[[int, int], None]]]:
        """Pairs of slot value and what adds the words for it between two states."""
        if isinstance(value, NumberValue):
            spoken = value.spoken

            def numbers(begin: int, end: int) -> None:
                for words in spoken:
                    self._text(" ".join(words), begin, end)

            yield value.output, numbers
        elif value.output is not None:
            expression = value.template.expression
            yield value.output, lambda begin, end: self.walk(expression, begin, end)
        else:
            for text in _all_texts(value.template, self._scope, self._open_list):
                yield text, lambda begin, end, text=text: self._text(text, begin, end)  # type: ignore[misc]


def _all_texts(template: Template, scope: Scope, open_list: str | None) -> list[str]:
    """Every text of a template without lists: the slot's value is what was said."""
    graph = Graph(template.where)
    graph.state(), graph.state()
    _TemplateWalker(graph, scope, template.where, open_list).walk(template.expression, 0, 1)
    texts: dict[str, None] = {}
    stack = [(0, "")]
    num_ways = 0
    while stack:
        state, text = stack.pop()
        if state == 1:
            texts[" ".join(text.split())] = None
            num_ways += 1
        if num_ways > MAX_UNLISTED_VALUES:
            raise GrammarError(
                f"{template.where}: more than {MAX_UNLISTED_VALUES} ways to say it; give it an 'out'"
            )
        stack += [(target, text + (label or "")) for label, target in reversed(graph.arcs[state])]
    return list(texts)
