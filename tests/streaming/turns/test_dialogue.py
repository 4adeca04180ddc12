"""From what is heard and seen to a reply, and a file that says what is wrong with it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from galago.runtime.errors import InvalidArgumentError, NotFoundError
from galago.runtime.events import Final, Intent, Label, Labels, Word
from galago.streaming.toml_file import read_toml
from galago.streaming.turns.dialogue import Dialogue, Rule, fill
from galago.streaming.turns.dialogue_file import Vocabulary, read_dialogue
from galago.streaming.turns.hooks import HookError, ProcessHook, PythonHook
from galago.streaming.turns.question import Question
from galago.streaming.turns.sight import LabelHistory, Sight

MS = 1_000_000
VOCABULARY = Vocabulary({"AskSee", "LightOn"}, {"area"}, {"Golden-Delicious", "7"})


def labels(capture_ns: int, *scored: tuple[str, float]) -> Labels:
    return Labels(
        sequence=1,
        utterance=0,
        begin_ns=capture_ns,
        end_ns=capture_ns,
        emitted_ns=capture_ns,
        labels=tuple(Label(name, score) for name, score in scored),
    )


def ask(intent: str = "AskSee", *, sight: Sight | None = None, **slots: str) -> Question:
    return Question("intent", 0, intent=intent, slots=slots, sight=sight or Sight())


def written(folder: Path, text: str) -> Path:
    path = folder / "turn.toml"
    path.write_text(f"schema_version = 1\n{text}")
    return path


# -- what was seen -----------------------------------------------------------------------------------------


def test_a_question_is_about_the_image_at_its_moment() -> None:
    """Not about the one that is there when it is answered, and never about a later one."""
    history = LabelHistory(max_age_ms=500)
    for index, name in enumerate(["apple", "lemon", "pear"]):
        history.add(labels(1000 * MS + index * 200 * MS, (name, 0.9)))
    assert history.at(999 * MS) == Sight()
    assert history.at(1000 * MS).label == "apple"
    assert history.at(1399 * MS).label == "lemon"
    assert history.at(1900 * MS).label == "pear" and history.at(1900 * MS).age_ms == 500
    assert history.at(1901 * MS).seen == "blind"


def test_known_unsure_nothing() -> None:
    history = LabelHistory(sure_score=0.6)
    history.add(labels(0, ("apple", 0.6), ("pear", 0.2)))
    history.add(labels(1, ("apple", 0.59)))
    history.add(labels(2))
    assert (history.at(0).seen, history.at(0).second) == ("known", "pear")
    assert (history.at(1).seen, history.at(1).label) == ("unsure", "apple")
    assert (history.at(2).seen, history.at(2).label) == ("nothing", "")
    history.clear()
    assert history.at(2).seen == "blind"
    with pytest.raises(InvalidArgumentError):
        LabelHistory(sure_score=1.5)


def test_a_question_ends_with_its_last_word() -> None:
    """The endpoint's silence is no part of it: meanwhile the apple may be gone."""
    history = LabelHistory()
    history.add(labels(1000 * MS, ("apple", 0.9)))
    history.add(labels(1500 * MS, ("lemon", 0.9)))
    shared = {"sequence": 1, "utterance": 3, "begin_ns": 0, "end_ns": 2000 * MS, "emitted_ns": 2100 * MS}
    words = (Word("what", 0, 500 * MS, 1.0), Word("see", 600 * MS, 1200 * MS, 1.0))
    intent = Intent(**shared, name="AskSee", slots={}, slot_scores={}, words=words, confidence=0.8)
    question = Question.of(intent, history)
    assert question is not None
    assert (question.sight.label, question.text, question.utterance) == ("apple", "what see", 3)
    final = Final(**shared, text="hello", words=())
    question = Question.of(final, history)
    assert question is not None and (question.heard, question.sight.label) == ("text", "lemon")
    assert Question.of(Final(**shared, text="", words=()), history) is None
    assert Question.of(labels(0), history) is None


# -- replies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("apple", "I see an apple."),
        ("pear", "I see a pear."),
        ("Orange", "I see an Orange."),
        ("8", "I see an 8."),
        ("7", "I see a 7."),
    ],
)
def test_the_article_fits(label: str, said: str) -> None:
    assert fill("I see a {label}.", {"label": label}) == said
    assert fill("A {label}!", {"label": "egg"}) == "An egg!"


def test_the_first_rule_that_fits_answers_and_variants_take_turns() -> None:
    dialogue = Dialogue(
        [
            Rule(intents=("AskSee",), seen=("known",), say=("one {label}", "two {label}")),
            Rule(intents=("AskSee",), say=("nothing",)),
            Rule(intents=("LightOn",), slots={"area": ("kitchen",), "level": False}, say=("{area} is on",)),
        ],
        names={"Pink-Lady": "pink apple"},
    )
    known = Sight("known", "Pink-Lady", 0.9)
    said = [reply.text for _ in range(3) if (reply := dialogue.answer(ask(sight=known)))]
    assert said == ["one pink apple", "two pink apple", "one pink apple"]
    reply = dialogue.answer(ask())
    assert reply is not None and reply.text == "nothing"
    reply = dialogue.answer(ask("LightOn", area="kitchen"))
    assert reply is not None and reply.text == "kitchen is on"
    assert dialogue.answer(ask("LightOn", area="bedroom")) is None
    assert dialogue.answer(ask("LightOn", area="kitchen", level="3")) is None


def test_chance_only_where_it_is_asked_for() -> None:
    say = tuple("abcdefgh")
    rules = [Rule(say=say, order="random")]

    def sequence() -> list[str]:
        dialogue = Dialogue(rules, seed=1)
        return [reply.text for _ in range(16) if (reply := dialogue.answer(ask()))]

    assert sequence() == sequence()
    assert sequence() != list(say + say)


def test_labels_confidence_and_rejections() -> None:
    dialogue = Dialogue(
        [
            Rule(labels=("7",), say=("seven",)),
            Rule(heard=("rejected",), say=("Not {text}.",)),
            Rule(heard=("intent",), min_confidence=0.5, say=("sure",)),
        ]
    )
    texts = [
        dialogue.answer(ask(sight=Sight("unsure", "7", 0.4))),
        dialogue.answer(Question("rejected", 0, text="bla", confidence=0.1)),
        dialogue.answer(Question("intent", 0, intent="A", confidence=0.6)),
        dialogue.answer(Question("intent", 0, intent="A", confidence=0.4)),
    ]
    assert [reply and reply.text for reply in texts] == ["seven", "Not bla.", "sure", None]


# -- the file ----------------------------------------------------------------------------------------------


def test_a_file_becomes_a_dialogue(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
sure_score = 0.7
[names]
"Golden-Delicious" = "apple"
[[reply]]
intent = "AskSee"
seen = ["known", "unsure"]
say = "A {label}, {score} percent."

[[reply]]
say = "What?"
""",
    )
    file = read_dialogue(path, VOCABULARY)
    history = file.history()
    history.add(labels(0, ("Golden-Delicious", 0.69)))
    assert history.at(0).seen == "unsure"
    reply = file.dialogue.answer(ask(sight=history.at(0)))
    assert reply is not None
    assert (reply.text, reply.place) == ("An apple, 69 percent.", "turn.toml:6")
    reply = file.dialogue.answer(ask("LightOn"))
    assert reply is not None and reply.text == "What?"


@pytest.mark.parametrize(
    ("text", "line", "complaint"),
    [
        ('[[reply]]\nintent = "AskSea"\nsay = "x"', 3, "there is no intent 'AskSea'; known: AskSee, LightOn"),
        ('[[reply]]\nsay = "hello"\n\n[[reply]]\nsay = "{lable}"', 6, "there is no slot 'lable'"),
        ('[[reply]]\nslots = { room = "a" }\nsay = "x"', 3, "there is no slot 'room'; known: area"),
        ('[[reply]]\nslots = { area = 3 }\nsay = "x"', 3, "expected a string, a list of strings"),
        ('[[reply]]\nlabel = "8"\nsay = "x"', 3, "there is no label '8'"),
        ('[[reply]]\nseen = "perhaps"\nsay = "x"', 3, "expected one of known, unsure, nothing, blind"),
        ('[[reply]]\nheard = "noise"\nsay = "x"', 3, "expected one of intent, rejected, text, phrase"),
        ('[[reply]]\nsay = "brace {"', 3, "a brace that is no {slot}"),
        ("[[reply]]\nsay = []", 3, "expected at least one string"),
        ("[[reply]]\nsay = 3", 3, "expected a string or a list of strings, found 3"),
        ('[[reply]]\nsays = "x"', 3, "is not known here"),
        ('[[reply]]\nintent = "AskSee"', 2, "a reply says something, or has a hook"),
        ('[[reply]]\nhook = "lights"', 3, "there is no [hooks] entry 'lights'"),
        ('[[reply]]\nsay = "x"\nmin_confidence = 2', 4, "expected a number from 0 to 1, found 2"),
        ('[names]\nplum = "plum"\n[[reply]]\nsay = "x"', 3, "there is no label 'plum'"),
        ('[hooks]\na = {}\n[[reply]]\nsay = "x"', 3, "expected { python"),
        ('[hooks]\na = { python = "no_such:x" }\n[[reply]]\nsay = "x"', 3, "no_such"),
        ('[hooks]\na = { process = "ls" }\n[[reply]]\nsay = "x"', 3, "expected process = [PROGRAM"),
        ('[[replies]]\nsay = "x"', 0, "is not known here"),
        ("max_age_ms = 0\n[[reply]]\nsay = 'x'", 2, "expected a number from 1 to"),
    ],
)
def test_mistakes_are_told_with_file_and_line(tmp_path: Path, text: str, line: int, complaint: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InvalidArgumentError) as caught:
        read_dialogue(path, VOCABULARY)
    # Of a table that should not be there at all, the name is enough.
    assert str(caught.value).startswith(f"{path}:{line}: " if line else f"{path}:")
    assert complaint in str(caught.value)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="No such file"):
        read_dialogue(tmp_path / "none.toml")
    path = tmp_path / "turn.toml"
    path.write_bytes(b"\xff")
    with pytest.raises(InvalidArgumentError, match="is not UTF-8"):
        read_dialogue(path)
    path.write_text("a = = 3")
    with pytest.raises(InvalidArgumentError, match="line 1"):
        read_dialogue(path)
    path.write_text("schema_version = 2")
    with pytest.raises(InvalidArgumentError, match=r"turn.toml:1: schema_version: expected 1, found 2"):
        read_dialogue(path)
    path.write_text("schema_version = 1")
    with pytest.raises(InvalidArgumentError, match="needs at least one"):
        read_dialogue(path)


def test_lines_that_only_look_like_tables_cost_the_number_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('text = """\n[[reply]]\nsay = 1\n"""\n[[reply]]\nsay = 2\n')
    table = read_toml(path).tables("reply")[0]
    assert str(table.wrong("say", "is bad")) == f"{path}: say: is bad"


# -- hooks -------------------------------------------------------------------------------------------------


def switch(question: Question) -> str | Mapping[str, str] | None:
    """A hook as a user writes it."""
    answers: dict[str, str | Mapping[str, str] | None] = {
        "text": "The {intent} it is.",
        "slots": {"state": "on"},
        "none": None,
        "raise": None,
    }
    if question.intent == "raise":
        raise RuntimeError("the lamp is gone")
    return answers[question.intent]


def test_python_hooks_say_fill_or_stay_silent() -> None:
    entry = f"{__name__}:switch"
    dialogue = Dialogue(
        [Rule(hook="lights", say=("It is {state}.",), place="t:1")],
        hooks={"lights": PythonHook("lights", entry)},
        failed="Sorry.",
    )
    replies = {intent: dialogue.answer(ask(intent)) for intent in ("text", "slots", "none", "raise")}
    assert {name: reply.text for name, reply in replies.items() if reply is not None} == {
        "text": "The text it is.",
        "slots": "It is on.",
        "none": "Sorry.",
        "raise": "Sorry.",
    }
    problems = {name: reply.problem for name, reply in replies.items() if reply is not None}
    assert problems["none"] == "t:1: nothing fills {state}"
    assert problems["raise"] == "t:1: hook lights: RuntimeError: the lamp is gone"
    with pytest.raises(NotFoundError, match="expected MODULE:FUNCTION"):
        PythonHook("lights", "switch")


PROGRAM = """
import json, sys
for line in sys.stdin:
    question = json.loads(line)
    if question["intent"] == "die":
        sys.exit(3)
    if question["intent"] == "babble":
        print("no json", flush=True)
    elif question["intent"] != "hang":
        row = {"say": f"heard {question['text']}", "slots": {"n": 1}}
        print(json.dumps(row), flush=True)
"""


def test_a_process_answers_line_by_line_and_comes_back() -> None:
    with ProcessHook("robot", [sys.executable, "-c", PROGRAM], timeout_s=60) as hook:
        assert hook(Question("intent", 0, intent="go", text="go é")).say == "heard go é"
        assert hook(Question("intent", 0, intent="go", text="again")).slots == {"n": "1"}
        with pytest.raises(HookError, match="robot: it ended"):
            hook(Question("intent", 0, intent="die"))
        assert hook(Question("intent", 0, intent="go", text="back")).say == "heard back"
        with pytest.raises(HookError, match="expected one line of JSON"):
            hook(Question("intent", 0, intent="babble"))
        # More than a pipe holds: neither side may wait for the other for ever.
        assert hook(Question("intent", 0, text="x" * 200_000)).say == "heard " + "x" * 200_000


def test_a_process_that_is_slow_or_missing_is_told() -> None:
    with ProcessHook("robot", [sys.executable, "-c", PROGRAM], timeout_s=0.05) as hook:
        with pytest.raises(HookError, match="no answer within 0.05 s"):
            hook(Question("intent", 0, intent="hang"))
    with ProcessHook("robot", ["/no/such/program"]) as hook:
        with pytest.raises(HookError, match="/no/such/program: No such file"):
            hook(ask())
    with pytest.raises(InvalidArgumentError):
        ProcessHook("robot", [])
