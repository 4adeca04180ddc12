"""The automaton says exactly what hassil, the reference, recognises, with the same intents and slots."""

from __future__ import annotations

from typing import Any

from hassil.intents import Intents
from hassil.recognize import recognize_all
from hassil.sample import sample_intents
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from galago.runtime.language.grammar import GrammarError, compile_grammar, sentences
from tests.runtime.language.tiny_lexicon import tiny_lexicon

LEXICON = tiny_lexicon()
MAX_TEXTS = 300

Meaning = tuple[str, str, tuple[tuple[str, str], ...]]

# No word is the beginning of another: hassil matches text, not words.
_words = st.sampled_from(["turn", "lamp", "bring", "red", "cup", "please", "dim", "hall", "now"])


def _grouped(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    parts = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        parts.map(" ".join),
        inner.map(lambda text: f"[{text}]"),
        st.lists(inner, min_size=2, max_size=3).map(lambda texts: f"({'|'.join(texts)})"),
        st.lists(inner, min_size=2, max_size=2).map(lambda texts: f"({';'.join(texts)})"),
        inner.map(lambda text: f"{text} light[s]"),
    )


_plain = st.recursive(_words, _grouped, max_leaves=4)
_referring = st.one_of(
    _words,
    st.sampled_from(["{room}", "{room:place}", "{level}", "{level:n}", "{thing}", "<rule>"]),
)
_templates = st.recursive(_referring, _grouped, max_leaves=6)


@st.composite
def _grammars(draw: st.DrawFn) -> dict[str, Any]:
    # A first word of its own: nothing can be said without a word, and intents differ.
    intents = {
        name: {
            "data": [
                {
                    "sentences": [
                        f"{first} {template}"
                        for template in draw(st.lists(_templates, min_size=1, max_size=2))
                    ],
                    "slots": draw(st.sampled_from([{}, {"domain": "light"}])),
                }
            ]
        }
        for name, first in (("Set", "set"), ("Ask", draw(st.sampled_from(["set", "could"]))))
    }
    return {
        "language": "en",
        "intents": intents,
        "lists": {
            "room": {
                "values": [
                    "kitchen",
                    {"in": draw(_plain.filter(lambda t: not t.startswith("["))), "out": "x"},
                ]
            },
            "level": {"range": {"from": 19 + 1, "to": 40, "step": draw(st.sampled_from([7, 10, 20]))}},
            "thing": {"values": [f"fan {draw(_plain)}", "tomato"]},
        },
        "expansion_rules": {"rule": draw(_plain), "unused": "all"},
    }


def _texts_of_hassil(intents: Intents) -> set[str]:
    texts: set[str] = set()
    for _, text in sample_intents(intents, language="en"):
        if not any(character.isdigit() for character in text):  # digits are read, not said
            texts.add(" ".join(text.replace("-", " ").split()))
        assume(len(texts) <= MAX_TEXTS)
    return texts


def _meanings_of_hassil(intents: Intents, texts: set[str]) -> set[Meaning]:
    meanings = set()
    for text in texts:
        for result in recognize_all(text, intents, language="en"):
            heard = {entity.name: entity for entity in result.entities_list if entity.text}
            slots = [
                (e.name, str(e.value).strip()) for e in result.entities_list if e.name in heard and e.text
            ]
            slots += [(name, str(value)) for name, value in result.intent_data.slots.items()]
            meanings.add((text, result.intent.name, tuple(slots)))
    return meanings


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(_grammars())
def test_the_automaton_says_what_hassil_recognises(source: dict[str, Any]) -> None:
    intents = Intents.from_dict(source)
    texts = _texts_of_hassil(intents)
    try:
        compiled = compile_grammar(source, lexicon=LEXICON)
    except GrammarError as error:  # a list value such as (turn|[turn]) may be nothing at all
        assert "without a word being said" in str(error)
        assume(False)
    ours = {(s.text, s.name, s.slots) for s in sentences(compiled)}
    assert {text for text, _, _ in ours} == texts
    assert ours == _meanings_of_hassil(intents, texts)
