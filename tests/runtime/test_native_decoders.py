"""The core's decoders against slow and plain ones: by collapsing, by counting every path, by Viterbi."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from galago.runtime.language.grammar import compile_grammar, read_grammar
from galago.runtime.language.grammar_format import ARC_DTYPE, EPSILON, KIND_GRAMMAR, CompiledGrammar
from galago.runtime.language.phones import PHONE_INDEX, PHONES
from galago.runtime.language.template_graph import Label, LabelKind
from tests.runtime.language.tiny_lexicon import tiny_lexicon
from tests.runtime.language.viterbi_oracle import Oracle
from tests.runtime.native_tools import decode, find_tool

TOKENS = ["<blank>", " ", "a", "b"]
EXHAUSTIVE = {"tokens": "|".join(TOKENS), "beam-width": 64, "token-beam": 1000, "rows-per-call": 4}
Rows = NDArray[np.float64]


def random_rows(rng: np.random.Generator, num_rows: int, num_classes: int, sharpness: float = 1.0) -> Rows:
    logits = sharpness * rng.standard_normal((num_rows, num_classes))
    log_probs: Rows = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return log_probs.astype(np.float32).astype(np.float64)


# -- text ----------------------------------------------------------------------------------------------------


def collapse(path: tuple[int, ...]) -> str:
    """A path's text, spaces normalised at its begin and between words; one at its end stays."""
    letters = "".join(TOKENS[token] for token, _ in itertools.groupby(path) if token != 0)
    words = " ".join(letters.split())
    return words + " " if words and letters.endswith(" ") else words


def probabilities_of_texts(rows: Rows) -> dict[str, float]:
    """The probability of every text, summed over all paths: num_classes ** num_rows of them."""
    totals: dict[str, float] = {}
    for path in itertools.product(range(rows.shape[1]), repeat=len(rows)):
        probability = float(np.exp(rows[np.arange(len(rows)), path].sum()))
        text = collapse(path)
        totals[text] = totals.get(text, 0.0) + probability
    return totals


def bonus(text: str, hotwords: dict[str, float]) -> float:
    """Of whole words alone: nats a letter, the largest of all hotwords that begin with the same letters."""
    return sum(
        max(boost for hotword, boost in hotwords.items() if hotword.startswith(word[: end + 1]))
        for word in text.split()
        if word in hotwords
        for end in range(len(word))
    )


@pytest.mark.parametrize("seed", range(8))
def test_greedy_is_the_best_path_collapsed(seed: int, native_library: Path) -> None:
    rows = random_rows(np.random.default_rng(seed), 200, len(TOKENS), 2.0)
    tool = find_tool(native_library, "tool_ctc")
    heard = decode(tool, rows, {"tokens": "|".join(TOKENS)})
    best = rows.argmax(axis=1)
    assert heard["text"] == collapse(tuple(best)).strip()

    runs = [(token, list(run)) for token, run in itertools.groupby(range(200), key=lambda t: best[t])]
    words: list[list[tuple[int, list[int]]]] = [[]]
    for token, run in runs:
        if token == 1:
            words.append([])
        elif token != 0:
            words[-1].append((int(token), run))
    for word, emitted in zip(heard["words"], filter(None, words), strict=True):
        assert word["word"] == "".join(TOKENS[token] for token, _ in emitted)
        assert (word["begin_token"], word["end_token"]) == (emitted[0][1][0], emitted[-1][1][-1] + 1)
        peaks = [rows[run, token].max() for token, run in emitted]
        assert word["confidence"] == pytest.approx(np.exp(np.mean(peaks)), rel=1e-5)


@pytest.mark.parametrize("seed", range(25))
def test_the_beam_finds_the_most_probable_text(seed: int, native_library: Path) -> None:
    rows = random_rows(np.random.default_rng(seed), 6, len(TOKENS), 1.5)
    totals = probabilities_of_texts(rows)
    best = max(totals, key=lambda text: totals[text])
    heard = decode(
        find_tool(native_library, "tool_ctc"),
        rows,
        {
            "tokens": "|".join(TOKENS),
            "method": "beam",
            "beam-width": 64,
            "token-beam": 1000,
            "rows-per-call": 4,
        },
    )
    assert heard["text"] == best.strip()


@pytest.mark.parametrize("seed", range(25))
def test_the_beam_with_hotwords_finds_the_best_sum(seed: int, native_library: Path) -> None:
    rng = np.random.default_rng(100 + seed)
    rows = random_rows(rng, 6, len(TOKENS), 1.0)
    hotwords = {"ab": 1.5, "ba": 0.5, "aab": 1.0}
    totals = probabilities_of_texts(rows)
    best = max(totals, key=lambda text: np.log(totals[text]) + bonus(text, hotwords))
    heard = decode(
        find_tool(native_library, "tool_ctc"),
        rows,
        {
            **EXHAUSTIVE,
            "method": "greedy",
            "hotword": [f"{word}={boost}" for word, boost in hotwords.items()],
        },
    )
    assert heard["text"] == best.strip()


# -- grammars ------------------------------------------------------------------------------------------------


def scaled(rows: Rows, log_priors: Rows, prior_scale: float) -> Rows:
    """Scores against the free phone loop, with the core's floor."""
    scores = rows - prior_scale * log_priors
    clamped: Rows = np.maximum(scores - scores.max(axis=1, keepdims=True), -20.0)
    return clamped


def random_automaton(rng: np.random.Generator, num_phones: int) -> CompiledGrammar:
    """A few states in a row; phone and epsilon arcs forward, phone arcs back: no epsilon cycle."""
    num_states = int(rng.integers(3, 7))
    rows: list[tuple[int, int, int, int, float]] = []
    begin = [0]
    outputs: list[Label] = []
    for state in range(num_states):
        for _ in range(int(rng.integers(2, 5))):
            forward = state + 1 < num_states and rng.random() < 0.8
            target = int(rng.integers(state + 1, num_states)) if forward else int(rng.integers(0, num_states))
            epsilon = forward and rng.random() < 0.3
            output = 0
            if epsilon:
                outputs.append(Label(LabelKind.WORD, f"w{len(outputs)}"))
                output = len(outputs)
            phone = EPSILON if epsilon else int(rng.integers(1, num_phones))
            rows.append((target, output, phone, 0, -float(rng.exponential())))
        begin.append(len(rows))
    is_final = np.zeros(num_states, np.bool_)
    is_final[-1] = True
    return CompiledGrammar(
        kind=KIND_GRAMMAR,
        phones_sha256=bytes(32),
        arc_begin=np.array(begin, np.uint32),
        is_final=is_final,
        arcs=np.array(rows, ARC_DTYPE),
        outputs=outputs,
    )


def reaches_the_end(grammar: CompiledGrammar) -> bool:
    reached = [0]
    for state in reached:
        for arc in grammar.arcs[grammar.arc_begin[state] : grammar.arc_begin[state + 1]]:
            if int(arc["next_state"]) not in reached:
                reached.append(int(arc["next_state"]))
    return grammar.num_states - 1 in reached


@pytest.mark.parametrize("seed", range(40))
def test_random_automata_decode_as_by_plain_viterbi(seed: int, tmp_path: Path, native_library: Path) -> None:
    rng = np.random.default_rng(seed)
    num_phones = 5
    grammar = random_automaton(rng, num_phones)
    while not reaches_the_end(grammar):
        grammar = random_automaton(rng, num_phones)
    log_priors = np.log(rng.dirichlet(np.ones(num_phones))).astype(np.float32)
    rows = random_rows(rng, int(rng.integers(6, 25)), num_phones, 2.0)
    compiled, priors = tmp_path / "automaton", tmp_path / "priors.f32"
    compiled.write_bytes(grammar.to_bytes())
    log_priors.tofile(priors)
    try:
        _, labels = Oracle(grammar).decode(scaled(rows, log_priors.astype(np.float64), 0.3))
        expected: str | None = " ".join(label.text for label in labels)
    except ValueError:  # too few rows for any sentence
        expected = None
    heard = decode(
        find_tool(native_library, "tool_phones"),
        rows,
        {
            "compiled": compiled,
            "num-phones": num_phones,
            "log-priors": priors,
            "prior-scale": 0.3,
            "beam": "inf",
            "rows-per-call": int(rng.integers(1, 9)),
        },
    )
    assert heard["complete"] == (expected is not None)
    if expected is not None:
        assert heard["text"] == expected


LEXICON = tiny_lexicon()
GRAMMAR = compile_grammar(
    {
        "language": "en",
        "intents": {
            "Turn": {
                "data": [
                    {"sentences": ["turn [the] {room} (lamp|fan) {state}", "turn {state} [the] {room} lamp"]}
                ]
            },
            "Dim": {"data": [{"sentences": ["(dim|set) {room} to {level} [%]"], "slots": {"what": "light"}}]},
        },
        "lists": {
            "room": {"values": ["kitchen", "hall", {"in": "red hall", "out": "foyer"}]},
            "state": {"values": ["on", "off"]},
            "level": {"range": {"from": 20, "to": 50, "step": 10}},
        },
        "skip_words": ["please"],
    },
    lexicon=LEXICON,
)
SENTENCES = {
    "turn the red hall lamp on": ("Turn", {"room": "foyer", "state": "on"}),
    "turn off kitchen lamp please": ("Turn", {"room": "kitchen", "state": "off"}),
    "dim hall to thirty": ("Dim", {"room": "hall", "level": "30", "what": "light"}),
}


def spoken(text: str, rng: np.random.Generator) -> Rows:
    """Log-probabilities of the text's phones, 1 to 4 rows each, silence here and there."""
    heard: list[int] = [0] * int(rng.integers(0, 4))
    for word in text.split():
        pronunciations = LEXICON.pronounce(word)
        for phone in pronunciations[rng.integers(len(pronunciations))]:
            heard += [PHONE_INDEX[phone]] * int(rng.integers(1, 5))
        heard += [0] * int(rng.integers(0, 3))
    logits = rng.standard_normal((len(heard), len(PHONES)))
    logits[np.arange(len(heard)), heard] += 6.0
    log_probs: Rows = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return log_probs


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("text", SENTENCES)
def test_a_compiled_grammar_is_understood(text: str, seed: int, tmp_path: Path, native_library: Path) -> None:
    rows = spoken(text, np.random.default_rng(seed)).astype(np.float32).astype(np.float64)
    compiled = tmp_path / "grammar"
    compiled.write_bytes(GRAMMAR)
    heard = decode(find_tool(native_library, "tool_phones"), rows, {"compiled": compiled})
    intent, slots = SENTENCES[text]
    assert heard["text"] == text
    assert heard["intent"] == intent
    assert {slot["name"]: slot["value"] for slot in heard["slots"]} == slots
    assert heard["accepted"]
    _, labels = Oracle(read_grammar(GRAMMAR)).decode(scaled(rows, np.full(len(PHONES), -np.log(40.0)), 0.3))
    assert [word["word"] for word in heard["words"]] == [
        label.text for label in labels if label.kind == LabelKind.WORD
    ]
    ends = [0] + [word["end_token"] for word in heard["words"]]
    assert all(
        end <= word["begin_token"] < word["end_token"] <= len(rows)
        for end, word in zip(ends, heard["words"], strict=False)
    )


CHARACTERS = ["<blank>", " ", *"abcdefghijklmnopqrstuvwxyz"]


def best_path(rows: Rows, text: str) -> float:
    """Log-probability of the best CTC path that spells the text, over a trellis written out."""
    labels = [0]
    for character in text:
        labels += [CHARACTERS.index(character), 0]
    scores = np.full((len(rows) + 1, len(labels)), -np.inf)
    scores[0, 0] = 0.0
    for t, row in enumerate(rows):
        for s, label in enumerate(labels):
            ways = [scores[t, s], scores[t, s - 1] if s else -np.inf]
            if s >= 2 and label not in (0, labels[s - 2]):
                ways.append(scores[t, s - 2])
            scores[t + 1, s] = max(ways) + row[label]
    return float(scores[-1, -2:].max())


@pytest.mark.parametrize("seed", range(6))
def test_an_acceptance_weighs_both_heads(seed: int, tmp_path: Path, native_library: Path) -> None:
    rng = np.random.default_rng(seed)
    rows = spoken("turn the red hall lamp on", rng).astype(np.float32).astype(np.float64)
    rows = np.concatenate([rows, random_rows(rng, 5, len(PHONES))])  # something behind it
    characters = random_rows(rng, len(rows), len(CHARACTERS), 3.0)
    compiled, token_rows = tmp_path / "grammar", tmp_path / "tokens.f32"
    compiled.write_bytes(GRAMMAR)
    characters.astype(np.float32).tofile(token_rows)
    weights = {"bias": 9.0, "phone-ratio": 0.3, "character-ratio": 0.7, "character-doubt": -0.5}
    heard = decode(
        find_tool(native_library, "tool_phones"),
        rows,
        {
            "compiled": compiled,
            "beam": "inf",
            "token-rows": token_rows,
            "tokens": "|".join(CHARACTERS),
            **weights,
            "accept": 0.5,
        },
    )
    ratios = scaled(rows, np.full(len(PHONES), -np.log(40.0)), 0.3)
    phone_ratio, _ = Oracle(read_grammar(GRAMMAR)).decode(ratios)
    character_ratio = best_path(characters, heard["text"]) - characters.max(axis=1).sum()
    speech = ratios.argmax(axis=1) != 0
    for word in heard["words"]:
        speech[word["begin_token"] : word["end_token"]] = True
    doubt = -characters.max(axis=1)[speech].sum()
    evidence = np.array([phone_ratio, character_ratio, doubt]) / len(heard["text"])
    expected = 1.0 / (1.0 + np.exp(-(9.0 + evidence @ np.array([0.3, 0.7, -0.5]))))
    assert heard["confidence"] == pytest.approx(expected, rel=1e-3)
    assert heard["accepted"] == (heard["confidence"] >= 0.5)


def test_damaged_bytes_are_refused_with_words(tmp_path: Path, native_library: Path) -> None:
    compiled = tmp_path / "grammar"
    compiled.write_bytes(GRAMMAR[:-1])
    with pytest.raises(RuntimeError, match="compiled grammar"):
        decode(find_tool(native_library, "tool_phones"), np.zeros((1, 40)), {"compiled": compiled})
