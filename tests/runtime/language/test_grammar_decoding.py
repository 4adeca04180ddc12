"""A sentence's phones, noisy, decode to that sentence: the automaton means what it says."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from galago.runtime.language.grammar import compile_grammar, read_grammar, sentences
from galago.runtime.language.grammar_format import GrammarSentence
from galago.runtime.language.phones import PHONE_INDEX, PHONES
from galago.runtime.language.template_graph import LabelKind
from tests.runtime.language.tiny_lexicon import tiny_lexicon
from tests.runtime.language.viterbi_oracle import Oracle

LEXICON = tiny_lexicon()
SOURCE = {
    "language": "en",
    "intents": {
        "Turn": {
            "data": [
                {"sentences": ["turn [the] {room} (lamp|fan) {state}", "turn {state} [the] {room} lamp"]}
            ]
        },
        "Dim": {"data": [{"sentences": ["(dim|set) {room} to {level} [%]"], "slots": {"what": "light"}}]},
        "Bring": {"data": [{"sentences": ["bring [the] (tomato|cup) [now]"]}]},
    },
    "lists": {
        "room": {"values": ["kitchen", "hall", {"in": "red hall", "out": "foyer"}]},
        "state": {"values": ["on", "off"]},
        "level": {"range": {"from": 20, "to": 50, "step": 10}},
    },
    "skip_words": ["please", "could you"],
}
COMPILED = compile_grammar(SOURCE, lexicon=LEXICON)
ORACLE = Oracle(read_grammar(COMPILED))
ALL = list(sentences(COMPILED))


def speak(text: str, rng: np.random.Generator, noise: float) -> NDArray[np.float64]:
    """Log-probabilities (num_frames, num_phones) of the text: 1-4 frames a phone, silence here and there."""
    rows: list[int] = [0] * int(rng.integers(0, 3))
    for word in text.split():
        pronunciations = LEXICON.pronounce(word)
        for phone in pronunciations[rng.integers(len(pronunciations))]:
            rows += [PHONE_INDEX[phone]] * int(rng.integers(1, 5))
        rows += [0] * int(rng.integers(0, 3))
    logits = noise * rng.standard_normal((len(rows), len(PHONES)))
    logits[np.arange(len(rows)), rows] += 4.0
    log_probs: NDArray[np.float64] = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return log_probs


def understood(scores: NDArray[np.float64]) -> GrammarSentence:
    _, labels = ORACLE.decode(scores)
    words = [label.text for label in labels if label.kind == LabelKind.WORD]
    names = [label.text for label in labels if label.kind == LabelKind.INTENT]
    marks = [label.text for label in labels if label.kind in (LabelKind.SLOT_BEGIN, LabelKind.SLOT_END)]
    assert len(names) == 1
    return GrammarSentence(" ".join(words), names[0], tuple(zip(marks[::2], marks[1::2], strict=True)))


@pytest.mark.parametrize("index", range(0, len(ALL), len(ALL) // 12))
def test_a_noisy_sentence_is_understood(index: int) -> None:
    scores = speak(ALL[index].text, np.random.default_rng(index), noise=1.0)
    assert understood(scores) == ALL[index]


def test_fillers_are_heard_and_change_nothing() -> None:
    scores = speak("please turn could you the kitchen lamp on please", np.random.default_rng(1), noise=0.5)
    heard = understood(scores)
    assert heard.text == "please turn could you the kitchen lamp on please"
    assert heard.slots == (("room", "kitchen"), ("state", "on"))


def test_either_pronunciation_is_heard() -> None:
    for seed in range(6):
        assert understood(speak("bring the tomato now", np.random.default_rng(seed), noise=0.5)).text == (
            "bring the tomato now"
        )
