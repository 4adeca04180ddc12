"""From words to phones: a word graph and a lexicon make the automaton that the native core decodes.

A word becomes an epsilon arc that puts the word out, then its pronunciations as a prefix tree::

    --WORD tomato--> o -T-> o -AH-> o -M-> o -EY-> o -T-> o -OW-> next
                                            \\-AA-> o -T-> o -OW-/
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from galago.runtime.language.grammar_format import (
    ARC_DTYPE,
    EPSILON,
    KIND_GRAMMAR,
    KIND_PHRASES,
    MAX_ARCS,
    MAX_STATES,
    CompiledGrammar,
)
from galago.runtime.language.lexicon import Lexicon, LexiconError, load_default
from galago.runtime.language.phones import PHONES, SILENCE, Pronunciation, phones_sha256
from galago.runtime.language.sentence_templates import GrammarError, Source, read_templates
from galago.runtime.language.template_graph import Label, LabelKind
from galago.runtime.language.word_graph import WordGraph, build_phrase_graph, build_word_graph, plain_words

SKIP_WORD_WEIGHT = -1.0  # nats that a filler word costs, so that one is heard only where one was said


def compile_grammar(
    source: Source, *, lexicon: Lexicon | None = None, phones: Sequence[str] = PHONES
) -> bytes:
    """Compile a grammar in Home Assistant's hassil YAML for ``Session.set_grammar``.

    Args:
        source: the path of a YAML file, YAML text (a string with a line break, or bytes), or a mapping
            of the same shape.
        lexicon: how words sound; None: that of the bundle that ships.
        phones: names of the bundle's phones, silence first.

    Raises:
        GrammarError: naming file, intent, sentence and what is wrong there.
        OSError: the file cannot be read.
        ImportError: hassil or PyYAML is not installed.
    """
    templates = read_templates(source)
    builder = _Builder(lexicon or load_default(), phones)
    words = build_word_graph(templates.name, templates.blocks, builder.pronounce)
    builder.add(words)
    where = f"{templates.name}: skip_words"
    skip_words = [
        way
        for phrase in templates.skip_words
        for way in plain_words(phrase, f"{where}: {phrase!r}", builder.pronounce)
    ]
    for state in np.flatnonzero(words.between_words).tolist():
        builder.add_loops(state, skip_words)
    return builder.finish(KIND_GRAMMAR).to_bytes()


def compile_phrases(
    phrases: Iterable[str] | str, *, lexicon: Lexicon | None = None, phones: Sequence[str] = PHONES
) -> bytes:
    """Compile wake phrases (one, or several) for ``Session.set_phrases``. Raises GrammarError."""
    listed = [phrases] if isinstance(phrases, str) else list(phrases)
    if not listed:
        raise GrammarError("no phrase given")
    builder = _Builder(lexicon or load_default(), phones)
    builder.add(build_phrase_graph(listed, builder.pronounce))
    return builder.finish(KIND_PHRASES).to_bytes()


class _Builder:
    """States and arcs over phones; state s of the word graph is state s here."""

    def __init__(self, lexicon: Lexicon, phones: Sequence[str]) -> None:
        if not phones or phones[0] != SILENCE:
            raise GrammarError(f"phones must begin with {SILENCE}")
        self._lexicon = lexicon
        self._phones_sha256 = phones_sha256(phones)
        self._phone_index = {phone: index for index, phone in enumerate(phones)}
        self._arcs: list[list[tuple[int, int, int, float]]] = []  # of a state: next, output, phone, weight
        self._num_arcs = 0
        self._is_final: list[bool] = []
        self._outputs: dict[Label, int] = {}
        self._spelled: dict[str, list[list[int]]] = {}

    def add(self, graph: WordGraph) -> None:
        self._arcs = [[] for _ in graph.arcs]
        self._is_final = list(graph.is_final)
        for state, row in enumerate(graph.arcs):
            for label, target in row.items():
                if label.kind == LabelKind.WORD:
                    self._word(state, label.text, target, 0.0)
                else:
                    self._arc(state, target, self._output(label), EPSILON, 0.0)

    def add_loops(self, state: int, phrases: Iterable[tuple[str, ...]]) -> None:
        """Let each phrase be said at ``state``, any number of times."""
        for words in phrases:
            here, weight = state, SKIP_WORD_WEIGHT
            for word in words[:-1]:
                middle = self._state()
                self._word(here, word, middle, weight)
                here, weight = middle, 0.0
            self._word(here, words[-1], state, weight)

    def finish(self, kind: int) -> CompiledGrammar:
        arc_begin = np.cumsum([0, *map(len, self._arcs)]).astype(np.uint32)
        arcs = np.array(
            [
                (target, output, phone, 0, weight)
                for row in self._arcs
                for target, output, phone, weight in row
            ],
            ARC_DTYPE,
        )
        outputs = list(self._outputs)
        is_final = np.array(self._is_final, np.bool_)
        return CompiledGrammar(kind, self._phones_sha256, arc_begin, is_final, arcs, outputs)

    def _word(self, begin: int, word: str, end: int, weight: float) -> None:
        first = self._state()
        self._arc(begin, first, self._output(Label(LabelKind.WORD, word)), EPSILON, weight)
        branches: dict[tuple[int, ...], int] = {(): first}
        for phones in self.pronounce(word):
            here = first
            for length in range(1, len(phones)):
                prefix = tuple(phones[:length])
                if prefix not in branches:
                    branches[prefix] = self._state()
                    self._arc(here, branches[prefix], 0, phones[length - 1], 0.0)
                here = branches[prefix]
            self._arc(here, end, 0, phones[-1], 0.0)

    def pronounce(self, word: str) -> list[list[int]]:
        """Phone indices of every pronunciation of ``word``; GrammarError where there is none."""
        if word not in self._spelled:
            try:
                variants = self._lexicon.pronounce(word)
            except LexiconError as error:
                raise GrammarError(str(error)) from error
            self._spelled[word] = [self._indices(word, phones) for phones in variants]
        return self._spelled[word]

    def _indices(self, word: str, phones: Pronunciation) -> list[int]:
        for phone in phones:
            if phone not in self._phone_index:
                raise GrammarError(f"{word!r} needs the phone {phone}, which the bundle lacks")
        return [self._phone_index[phone] for phone in phones]

    def _output(self, label: Label) -> int:
        return self._outputs.setdefault(label, len(self._outputs) + 1)

    def _state(self) -> int:
        if len(self._arcs) >= MAX_STATES:
            raise GrammarError(f"the grammar is too big: more than {MAX_STATES} states")
        self._arcs.append([])
        self._is_final.append(False)
        return len(self._arcs) - 1

    def _arc(self, begin: int, end: int, output: int, phone: int, weight: float) -> None:
        self._num_arcs += 1
        if self._num_arcs > MAX_ARCS:
            raise GrammarError(f"the grammar is too big: more than {MAX_ARCS} arcs")
        self._arcs[begin].append((end, output, phone, weight))
