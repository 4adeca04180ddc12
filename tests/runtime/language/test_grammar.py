"""Grammars from templates to sentences: what each piece of the syntax means, and what is refused how."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galago.runtime.language.grammar import (
    GrammarError,
    compile_grammar,
    compile_phrases,
    read_grammar,
    sentences,
)
from galago.runtime.language.phones import PHONES
from tests.runtime.language.tiny_lexicon import tiny_lexicon

LEXICON = tiny_lexicon()


def grammar(*templates: str, **more: Any) -> dict[str, Any]:
    return {"language": "en", "intents": {"Test": {"data": [{"sentences": list(templates)}]}}, **more}


def meanings(source: str | Path | Mapping[str, Any]) -> set[tuple[str, str, tuple[tuple[str, str], ...]]]:
    return {(s.text, s.name, s.slots) for s in sentences(compile_grammar(source, lexicon=LEXICON))}


def texts(*templates: str, **more: Any) -> set[str]:
    return {text for text, _, _ in meanings(grammar(*templates, **more))}


def test_optional_words_and_alternatives() -> None:
    assert texts("turn [the] lamp (on|off)") == {
        "turn the lamp on",
        "turn the lamp off",
        "turn lamp on",
        "turn lamp off",
    }


def test_a_word_is_put_together_from_its_pieces() -> None:
    assert texts("turn on light[s]") == {"turn on light", "turn on lights"}
    assert texts("(twenty|thirty)-(one|two)") == {"twenty-one", "twenty-two", "thirty-one", "thirty-two"}


def test_permutations_take_every_order() -> None:
    assert len(texts("(turn;lamp;now)")) == 6
    assert texts("set (it;now)") == {"set it now", "set now it"}


def test_rules_expand_and_may_use_rules() -> None:
    rules = {"the_lamp": "[<article>] lamp", "article": "(the|a)"}
    assert texts("dim <the_lamp>", expansion_rules=rules) == {"dim the lamp", "dim a lamp", "dim lamp"}


def test_list_values_fill_slots() -> None:
    lists = {"room": {"values": ["kitchen", {"in": "[the] (hall|all)", "out": "entrance"}]}}
    assert meanings(grammar("light {room}", "light {room:place} now", lists=lists)) == {
        ("light kitchen", "Test", (("room", "kitchen"),)),
        ("light hall", "Test", (("room", "entrance"),)),
        ("light the hall", "Test", (("room", "entrance"),)),
        ("light all", "Test", (("room", "entrance"),)),
        ("light the all", "Test", (("room", "entrance"),)),
        ("light kitchen now", "Test", (("place", "kitchen"),)),
        ("light hall now", "Test", (("place", "entrance"),)),
        ("light the hall now", "Test", (("place", "entrance"),)),
        ("light all now", "Test", (("place", "entrance"),)),
        ("light the all now", "Test", (("place", "entrance"),)),
    }


def test_a_value_without_out_is_what_was_said() -> None:
    assert meanings(grammar("{thing} on", lists={"thing": {"values": ["[red] (lamp|fan)"]}})) == {
        (f"{thing} on", "Test", (("thing", thing),)) for thing in ("lamp", "fan", "red lamp", "red fan")
    }


def test_ranges_are_said_in_words_and_kept_in_digits() -> None:
    lists = {"level": {"range": {"from": 40, "to": 50, "step": 5}}}
    assert meanings(grammar("set {level}%", lists=lists)) == {
        ("set forty percent", "Test", (("level", "40"),)),
        ("set forty five percent", "Test", (("level", "45"),)),
        ("set fifty percent", "Test", (("level", "50"),)),
    }


def test_ranges_may_have_fractions_and_a_multiplier() -> None:
    lists = {
        "x": {"range": {"from": 2, "to": 2, "fractions": "halves"}},
        "y": {"range": {"from": 3, "to": 3, "multiplier": 0.1}},
    }
    assert {
        (text, value) for text, _, ((_, value),) in meanings(grammar("set {x}", "dim {y}", lists=lists))
    } == {
        ("set two", "2"),
        ("set two point five", "2.5"),
        ("set two and a half", "2.5"),
        ("dim three", "0.3"),
    }


def test_an_inline_range_needs_no_list() -> None:
    assert meanings(grammar("set {1..3,2:n}")) == {
        ("set one", "Test", (("n", "1"),)),
        ("set three", "Test", (("n", "3"),)),
    }


def test_digits_in_a_sentence_are_spoken() -> None:
    assert texts("set it to 20%") == {"set it to twenty percent"}


def test_punctuation_is_no_word() -> None:
    assert texts("please, turn it on!") == {"please turn it on"}


def test_a_slot_may_end_within_a_word() -> None:
    lists = {"room": {"values": ["kitchen", "hall"]}}
    assert meanings(grammar("{room}'s lamp", lists=lists)) == {
        ("kitchen's lamp", "Test", (("room", "kitchen"),)),
        ("hall's lamp", "Test", (("room", "hall"),)),
    }


def test_fixed_slots_come_with_their_sentences() -> None:
    source = grammar("lamp on")
    source["intents"]["Test"]["data"][0]["slots"] = {"domain": "light", "level": 3, "on": True}
    assert meanings(source) == {
        ("lamp on", "Test", (("domain", "light"), ("level", "3"), ("on", "true"))),
    }


def test_local_lists_and_rules_win_over_global_ones() -> None:
    source = grammar(
        "<verb> {thing}", lists={"thing": {"values": ["cup"]}}, expansion_rules={"verb": "bring"}
    )
    source["intents"]["Test"]["data"].append(
        {
            "sentences": ["<verb> {thing}"],
            "lists": {"thing": {"values": ["fan"]}},
            "expansion_rules": {"verb": "turn"},
        }
    )
    assert {text for text, _, _ in meanings(source)} == {"bring cup", "turn fan"}


def test_a_value_stands_as_the_file_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "switch.yaml"
    path.write_text(
        "language: en-US\nintents:\n  Switch:\n    data:\n      - sentences: ['lamp {state}']\n"
        "lists:\n  state:\n    values:\n      - on\n      - {in: 'off', out: no}\n      - {in: dim, out: 007}"
    )
    assert meanings(path) == {
        ("lamp on", "Switch", (("state", "on"),)),
        ("lamp off", "Switch", (("state", "no"),)),
        ("lamp dim", "Switch", (("state", "007"),)),
    }
    assert meanings(path.read_text()) == meanings(path) == meanings(str(path))


def test_filler_words_make_loops_between_words_but_not_inside_slots() -> None:
    lists = {"thing": {"values": ["red lamp"]}}
    plain = compile_grammar(grammar("turn on {thing}", lists=lists), lexicon=LEXICON)
    filled = compile_grammar(
        grammar("turn on {thing}", lists=lists, skip_words=["um", "could you"]), lexicon=LEXICON
    )
    assert list(sentences(filled)) == list(sentences(plain))  # no loop is followed
    words = [label.text for label in read_grammar(filled).outputs]
    assert words.count("um") == 1
    arcs = read_grammar(filled).arcs
    fillers = (arcs["output"] == 1 + words.index("um")).sum()
    assert fillers == 4  # before "turn", after "turn", after "on", after the slot


def test_sentences_share_their_beginnings_and_ends() -> None:
    one = read_grammar(compile_grammar(grammar("turn the red lamp on now"), lexicon=LEXICON))
    two = read_grammar(
        compile_grammar(grammar("turn the red lamp on now", "turn the red fan on now"), lexicon=LEXICON)
    )
    assert two.num_states - one.num_states == 3  # "fan": after its word mark, after F, after AE


def test_the_bytes_are_deterministic() -> None:
    source = grammar("turn [the] (lamp|fan) (on|off)", "set {1..7:n}", skip_words=["um"])
    assert compile_grammar(source, lexicon=LEXICON) == compile_grammar(source, lexicon=LEXICON)


def test_all_pronunciations_are_in_the_automaton() -> None:
    compiled = read_grammar(compile_grammar(grammar("tomato"), lexicon=LEXICON))
    phones = [PHONES[p] for p in compiled.arcs["phone"] if p != 0xFFFF]
    assert sorted(phones) == sorted("T AH M EY T OW AA T OW".split())


def test_phrases() -> None:
    both = compile_phrases(["red lamp", "tomato 2"], lexicon=LEXICON)
    assert [(s.text, s.name) for s in sentences(both)] == [
        ("red lamp", "red lamp"),
        ("tomato two", "tomato 2"),
    ]
    assert compile_phrases("red lamp", lexicon=LEXICON) == compile_phrases(["red lamp"], lexicon=LEXICON)


@pytest.mark.parametrize("phrases", [[], [""], [" . "], ["red", "lamp #"]])
def test_phrases_that_cannot_be_said_are_refused(phrases: list[str]) -> None:
    with pytest.raises(GrammarError, match="phrase"):
        compile_phrases(phrases, lexicon=LEXICON)


WILD = {"anything": {"wildcard": True}}
ROOMS = {"room": {"values": ["hall"]}}


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        (grammar("go to {plce}", lists=ROOMS), ["intent Test", "'go to {plce}'", "unknown list {plce}"]),
        (grammar("dim <lamp>"), ["intent Test", "'dim <lamp>'", "unknown rule <lamp>"]),
        (grammar("set {anything}", lists=WILD), ["intent Test", "{anything} is a wildcard"]),
        (grammar(""), ["intent Test", "sentence '' is empty"]),
        (grammar("[please]"), ["'[please]'", "without a word"]),
        (grammar("[please] ."), ["without a word"]),
        (grammar("turn zyx"), ["intent Test", "'turn zyx'", "'zyx' is not in the dictionary"]),
        (grammar("turn лампу"), ["'turn лампу'", "no sound is known for 'л'"]),
        (grammar("turn (on"), ["'turn (on'", "Unable to find end of group"]),
        (grammar("turn ()"), ["'turn ()'"]),
        (grammar("light {room}{room:b}", lists=ROOMS), ["two slots meet within one word at 'hall'"]),
        (grammar("<a>", expansion_rules={"a": "on <b>", "b": "[<a>]"}), ["<a> -> <b> -> <a>"]),
        (
            grammar("{x}", lists={"x": {"values": ["lamp {room}"]}, **ROOMS}),
            ["list {room} inside a value of list {x}"],
        ),
        (grammar("on", lists={"x": {"values": []}}), ["list {x}", "has no values"]),
        (grammar("on", lists={"x": {"values": [""]}}), ["list {x}", "'' is empty"]),
        (grammar("on", lists={"x": {"values": [True]}}), ["list {x}", "quote it"]),
        (grammar("on", lists={"x": {"values": [{"out": "b"}]}}), ["list {x}", "lacks 'in'"]),
        (grammar("on", lists={"x": {"range": {"from": 3, "to": 1}}}), ["list {x}", "from 3 to 1", "nothing"]),
        (grammar("on", lists={"x": {"range": {"from": 1}}}), ["list {x}", "lacks 'to'"]),
        (grammar("on", lists={"x": {"range": {"from": "a", "to": 2}}}), ["list {x}", "from is 'a'"]),
        (grammar("on", lists={"x": {"range": {"from": 0, "to": 10**7}}}), ["list {x}", "10000001 numbers"]),
        (grammar("on", lists={"x": {"range": {"from": 0, "to": 1, "fractions": "thirds"}}}), ["'thirds'"]),
        (grammar("on", lists={"x": {}}), ["list {x}", "needs values or range"]),
        (grammar("on", lists={"x": {"value": ["a"]}}), ["list {x}", "unknown key 'value'"]),
        (grammar("on", skip_word=["um"]), ["unknown key 'skip_word'", "skip_words"]),
        (grammar("on", skip_words=["zyx"]), ["skip_words", "'zyx'"]),
        (grammar("on", skip_words=[""]), ["skip_words", "holds no word"]),
        (grammar("an", language="de"), ["language is 'de'"]),
        (grammar("on", settings={"ignore_whitespace": True}), ["ignore_whitespace"]),
        ({"language": "en"}, ["no intent has a sentence"]),
        ({"language": "en", "intents": ["a"]}, ["intents: expected a mapping, found list"]),
        (
            {"intents": {"A": {"data": [{"sentences": "turn on"}]}}},
            ["intent A", "expected a list, found str"],
        ),
        (
            {"intents": {"A": {"data": [{"sentences": ["on"], "requires_context": {"area": None}}]}}},
            ["intent A", "requires_context is not supported"],
        ),
        (grammar("(" * 120 + "on" + ")" * 120), ["more than 100 deep"]),
    ],
)
def test_what_cannot_be_compiled_is_refused_by_name(source: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(GrammarError) as refused:
        compile_grammar(source, lexicon=LEXICON)
    for part in ("grammar: ", *parts):
        assert part in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("intents: [\n", "not YAML"),
        ("language: en\nlanguage: en\n", r"2: 'language' stands twice, also in line 1"),
        ("- a\n- b\n", "expected a mapping, found list"),
        ("? [a]\n: b\n", "a key must be text"),
        ("\xff".encode("latin-1").decode("latin-1") + "\n", "expected a mapping, found str"),
        ("[" * 1000 + "\n", "nested too deeply|not YAML"),
    ],
)
def test_a_file_that_is_no_grammar_is_refused_by_file(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(GrammarError, match=rf"broken\.yaml:.*({message})") as refused:
        compile_grammar(path, lexicon=LEXICON)
    assert not re.search(r"Traceback", str(refused.value))


@pytest.mark.parametrize("module", ["template_graph", "word_graph", "grammar_compiler"])
def test_a_grammar_beyond_the_limits_is_refused(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setattr(f"galago.runtime.language.{module}.MAX_STATES", 20)
    with pytest.raises(GrammarError, match="too big: more than 20 states"):
        compile_grammar(grammar("(on;off;lamp;fan;cup;hall)"), lexicon=LEXICON)


def test_a_missing_file_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        compile_grammar(tmp_path / "none.yaml", lexicon=LEXICON)


@settings(max_examples=400, deadline=None)
@given(st.text("()[]{}|<>;:\\.,@ a1%°-é\0\n", max_size=24))
def test_any_text_at_all_is_a_sentence_or_is_refused(text: str) -> None:
    source = grammar(f"on {text}", lists={"a": {"values": ["lamp"]}}, expansion_rules={"a": "red"})
    try:
        compiled = compile_grammar(source, lexicon=LEXICON)
    except GrammarError as error:
        assert str(error).startswith("grammar: intent Test")
    else:
        assert all(sentence.text for sentence in sentences(compiled, limit=20))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_at_all_are_a_grammar_or_are_refused(data: bytes) -> None:
    with pytest.raises(GrammarError):
        compile_grammar(data, lexicon=LEXICON)


def test_without_hassil_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hassil", None)
    with pytest.raises(ImportError, match=r"need hassil: pip install 'galago\[grammar\]'") as missing:
        compile_grammar(grammar("on"), lexicon=LEXICON)
    assert missing.value.name == "hassil"


def test_a_phone_that_the_bundle_lacks_is_named() -> None:
    with pytest.raises(GrammarError, match="'lamp' needs the phone AE, which the bundle lacks"):
        compile_grammar(grammar("lamp"), lexicon=LEXICON, phones=[p for p in PHONES if p != "AE"])


def test_a_slot_that_needs_no_word_is_refused() -> None:
    source = {
        "language": "en",
        "intents": {"Ask": {"data": [{"sentences": ["set {room}"]}]}},
        "lists": {"room": {"values": ["kitchen", {"in": "(lamp|[lamp])", "out": "x"}]}},
    }
    with pytest.raises(GrammarError, match="slot 'room' can become 'x' without a word being said"):
        compile_grammar(source, lexicon=LEXICON)
