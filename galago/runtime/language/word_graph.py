"""All sentences of a grammar as one graph of words and slot marks.

Whole words are read off the text graph of each template, digits spoken. Then the graphs of all sentences
are united, made deterministic and minimal: sentences share their beginnings and their ends.

    turn (on|off) {area}     0 -turn-> 1 -on--> 2 -<area>-> 3 -kitchen-> 4 -</area kitchen>-> 6
                                        \\-off-/              \\-hall----> 5 -</area hall>----/
"""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from galago.runtime.language.sentence_templates import GrammarError, IntentSentences
from galago.runtime.language.spoken_numbers import spoken_forms
from galago.runtime.language.template_graph import MAX_STATES, Graph, Label, LabelKind, TextLabel, text_graph

_PUNCTUATION = '.,:;!?¿¡"“”()…–—'
_INITIALISM = re.compile(r"(\w\.){2,}")


@dataclass
class WordGraph:
    """A minimal deterministic graph. State 0 is the start; ``arcs[state]`` maps a label to the next state.

    ``between_words[state]``: no slot is open there, so filler words may be said.
    """

    arcs: list[dict[Label, int]]
    is_final: list[bool]
    between_words: list[bool]


CheckWord = Callable[[str], object]
"""Raises GrammarError for a word that cannot be said."""


def build_word_graph(name: str, blocks: Iterable[IntentSentences], check_word: CheckWord) -> WordGraph:
    """The graph of all sentences of a grammar; each path ends with the INTENT mark."""
    words = Graph(name)
    start, end = words.state(), words.state()
    for block in blocks:
        tail = [
            label
            for slot, value in block.slots.items()
            for label in (Label(LabelKind.SLOT_BEGIN, slot), Label(LabelKind.SLOT_END, value))
        ]
        tail.append(Label(LabelKind.INTENT, block.intent))
        done = words.state()
        words.chain(done, tail, end)
        for template in block.sentences:
            text = text_graph(template, block.scope)
            _TextReader(text, words, template.where, check_word).read(start, done)
    return _minimal(_deterministic(words, start, end, name))


def build_phrase_graph(phrases: Iterable[str], check_word: CheckWord) -> WordGraph:
    """The graph of plain phrases; each path begins with the PHRASE mark."""
    words = Graph("phrases")
    start, end = words.state(), words.state()
    for phrase in phrases:
        text = Graph("phrases")
        pieces = phrase.split()
        if not pieces:
            raise GrammarError(f"phrase {phrase!r} is empty")
        text.state(), text.state()
        text.chain(0, itertools.chain.from_iterable((piece, " ") for piece in pieces), 1)
        first = words.state()
        words.arc(start, Label(LabelKind.PHRASE, " ".join(pieces)), first)
        _TextReader(text, words, f"phrase {phrase!r}", check_word).read(first, end)
    return _minimal(_deterministic(words, start, end, "phrases"))


def plain_words(text: str, where: str, check_word: CheckWord) -> list[tuple[str, ...]]:
    """Every way to say plain text, digits spoken; GrammarError where there is nothing to say."""
    ways: list[tuple[str, ...]] = [()] if text.split() else []
    for token in text.split():
        ways = [(*way, *more) for way in ways for more in _spoken(token)]
    if not all(ways) or not ways:
        raise GrammarError(f"{where}: holds no word")
    for word in itertools.chain.from_iterable(ways):
        try:
            check_word(word)
        except GrammarError as error:
            raise GrammarError(f"{where}: {error}") from error
    return list(dict.fromkeys(ways))


class _TextReader:
    """Reads whole words off a text graph (from its state 0 to its state 1) into a word graph.

    A configuration is a state of the text graph, the piece of a word read so far, and the slots that
    ended within that word: their marks follow it.
    """

    def __init__(self, text: Graph, words: Graph, where: str, check_word: CheckWord) -> None:
        self._text, self._words, self._where, self._check_word = text, words, where, check_word
        self._states: dict[tuple[int, str, tuple[Label, ...]], int] = {}
        self._todo: list[tuple[int, str, tuple[Label, ...]]] = []

    def read(self, begin: int, end: int) -> None:
        """Lead from ``begin`` to ``end``. GrammarError where a path holds no word at all."""
        first = self._state((0, "", ()))
        self._words.arc(begin, None, first)
        while self._todo:
            configuration = self._todo.pop()
            state, piece, ended = configuration
            here = self._states[configuration]
            if state == 1:
                self._flush(here, piece, ended, end)
            for label, target in self._text.arcs[state]:
                self._step(here, piece, ended, label, target)
        self._refuse_silence(first, end)
        self._refuse_silent_slots(first, end)

    def _state(self, configuration: tuple[int, str, tuple[Label, ...]]) -> int:
        if configuration not in self._states:
            self._states[configuration] = self._words.state()
            self._todo.append(configuration)
        return self._states[configuration]

    def _step(self, here: int, piece: str, ended: tuple[Label, ...], label: TextLabel, target: int) -> None:
        if label is None:
            self._words.arc(here, None, self._state((target, piece, ended)))
        elif label == " ":
            self._flush(here, piece, ended, self._state((target, "", ())))
        elif isinstance(label, str):
            self._words.arc(here, None, self._state((target, piece + label, ended)))
        elif label.kind == LabelKind.SLOT_END and piece:
            self._words.arc(here, None, self._state((target, piece, (*ended, label))))
        elif ended:
            raise GrammarError(
                f"{self._where}: two slots meet within one word at {piece!r}; part them by a space"
            )
        else:
            # A slot that begins within a word begins before the word.
            self._words.arc(here, label, self._state((target, piece, ended)))

    def _flush(self, here: int, piece: str, ended: tuple[Label, ...], target: int) -> None:
        for words in _spoken(piece) if piece else [()]:
            for word in words:
                try:
                    self._check_word(word)
                except GrammarError as error:
                    raise GrammarError(f"{self._where}: {error}") from error
            labels = [*(Label(LabelKind.WORD, word) for word in words), *ended]
            self._words.chain(here, labels or [None], target)

    def _refuse_silence(self, first: int, end: int) -> None:
        seen, stack = {first}, [first]
        while stack:
            for label, target in self._words.arcs[stack.pop()]:
                if (label is None or label.kind != LabelKind.WORD) and target not in seen:
                    if target == end:
                        raise GrammarError(f"{self._where}: can be said without a word")
                    seen.add(target)
                    stack.append(target)

    def _refuse_silent_slots(self, first: int, end: int) -> None:
        """A slot filled by saying nothing would be a guess: hassil does not recognise it either."""
        seen, stack = {first, end}, [first]
        while stack:
            for label, target in self._words.arcs[stack.pop()]:
                if label is not None and label.kind == LabelKind.SLOT_BEGIN:
                    self._refuse_silent_slot(label.text, target)
                if target not in seen:
                    seen.add(target)
                    stack.append(target)

    def _refuse_silent_slot(self, slot: str, opened: int) -> None:
        seen, stack = {opened}, [opened]
        while stack:
            for label, target in self._words.arcs[stack.pop()]:
                if label is not None and label.kind == LabelKind.SLOT_END:
                    raise GrammarError(
                        f"{self._where}: slot {slot!r} can become {label.text!r} without a word being said"
                    )
                if label is None and target not in seen:
                    seen.add(target)
                    stack.append(target)


@functools.lru_cache(maxsize=4096)
def _spoken(piece: str) -> list[tuple[str, ...]]:
    """A written word as spoken ones, without the punctuation around it; (()) for punctuation alone."""
    token = unicodedata.normalize("NFC", piece).replace("’", "'").lstrip(_PUNCTUATION)
    if not _INITIALISM.fullmatch(token):
        token = token.rstrip(_PUNCTUATION)
    return spoken_forms(token) if token else [()]


def _deterministic(graph: Graph, start: int, end: int, where: str) -> WordGraph:
    """Subset construction; arcs without a label vanish. The graph has no cycles, so it ends."""
    closures: dict[int, frozenset[int]] = {}

    def closure(states: Iterable[int]) -> frozenset[int]:
        return frozenset().union(*(_closure_of(state) for state in states))

    def _closure_of(state: int) -> frozenset[int]:
        if state not in closures:
            seen, stack = {state}, [state]
            while stack:
                for label, target in graph.arcs[stack.pop()]:
                    if label is None and target not in seen:
                        seen.add(target)
                        stack.append(target)
            # Only states with labelled arcs matter, and the end.
            closures[state] = frozenset(
                s for s in seen if s == end or any(label is not None for label, _ in graph.arcs[s])
            )
        return closures[state]

    first = closure([start])
    index: dict[frozenset[int], int] = {first: 0}
    arcs: list[dict[Label, int]] = []
    todo = [first]
    position = 0
    while position < len(todo):
        targets: dict[Label, set[int]] = {}
        for state in sorted(todo[position]):
            for label, target in graph.arcs[state]:
                if label is not None:
                    targets.setdefault(label, set()).add(target)
        row: dict[Label, int] = {}
        for label, states in targets.items():
            subset = closure(states)
            if subset not in index:
                if len(index) >= MAX_STATES:
                    raise GrammarError(f"{where}: too big: more than {MAX_STATES} states")
                index[subset] = len(index)
                todo.append(subset)
            row[label] = index[subset]
        arcs.append(row)
        position += 1
    is_final = [end in subset for subset in todo]
    return WordGraph(arcs, is_final, [False] * len(arcs))


def _minimal(graph: WordGraph) -> WordGraph:
    """Unite states from which the same can follow (for graphs without cycles), keep those of use."""
    canonical = [0] * len(graph.arcs)
    of_signature: dict[tuple[bool, frozenset[tuple[Label, int]]], int] = {}
    for state in _children_first(graph.arcs):
        row = frozenset((label, canonical[target]) for label, target in graph.arcs[state].items())
        canonical[state] = of_signature.setdefault((graph.is_final[state], row), state)
    number = {canonical[0]: 0}
    order = [canonical[0]]
    arcs: list[dict[Label, int]] = []
    for state in order:  # grows while it is walked
        united: dict[Label, int] = {}
        for label, target in graph.arcs[state].items():
            target = canonical[target]
            if target not in number:
                number[target] = len(order)
                order.append(target)
            united[label] = number[target]
        arcs.append(united)
    is_final = [graph.is_final[state] for state in order]
    return WordGraph(arcs, is_final, _between_words(arcs))


def _between_words(arcs: list[dict[Label, int]]) -> list[bool]:
    """True at the start, after a word outside all slots, and after a slot that held words."""
    in_slot = [False] * len(arcs)
    after_word = [False] * len(arcs)
    after_slot = [False] * len(arcs)
    for state in reversed(list(_children_first(arcs))):
        for label, target in arcs[state].items():
            if label.kind == LabelKind.WORD:
                after_word[target] = True
                in_slot[target] |= in_slot[state]
            elif label.kind == LabelKind.SLOT_BEGIN:
                in_slot[target] = True
            elif label.kind == LabelKind.SLOT_END:
                after_slot[target] |= after_word[state]
    between = [
        (word or slot) and not inside
        for word, slot, inside in zip(after_word, after_slot, in_slot, strict=True)
    ]
    between[0] = True
    return between


def _children_first(arcs: list[dict[Label, int]]) -> Iterator[int]:
    """States in an order in which every arc leads back."""
    done = [False] * len(arcs)
    stack = [(0, iter(arcs[0].values()))]
    done[0] = True
    while stack:
        state, targets = stack[-1]
        for target in targets:
            if not done[target]:
                done[target] = True
                stack.append((target, iter(arcs[target].values())))
                break
        else:
            stack.pop()
            yield state
