"""Grammars as people write them: Home Assistant's hassil YAML, read and checked.

The result holds hassil's own expression trees for sentences, rules and list values; what they mean as
words is the matter of ``word_graph``. Whatever a closed grammar cannot do (wildcards, conditions on a
context) is refused by name here, not ignored.

Format: https://developers.home-assistant.io/docs/voice/intent-recognition/template-sentence-syntax
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar

from galago.runtime.errors import InvalidArgumentError
from galago.runtime.language.spoken_numbers import Words, number_value, spoken_number

Source = str | bytes | PathLike[str] | Mapping[str, Any]

MAX_RANGE_NUMBERS = 100_000

_TOP_KEYS = {"language", "intents", "lists", "expansion_rules", "skip_words", "settings", "responses"}
_DATA_KEYS = {
    *{"sentences", "slots", "lists", "expansion_rules"},
    *{"response", "metadata", "inferred_domain", "name_domains", "settings"},  # of no matter for what is said
}
_CONDITIONS = {"requires_context", "excludes_context", "required_keywords"}
_LIST_KEYS = {"values", "range", "wildcard", "metadata"}
_VALUE_KEYS = {"in", "out", "context", "metadata"}
_RANGE_KEYS = {"from", "to", "step", "type", "multiplier", "fractions", "digits", "words", "words_language"}
_FRACTIONS: dict[str, list[float]] = {"halves": [0.5], "tenths": [tenth / 10 for tenth in range(1, 10)]}


class GrammarError(InvalidArgumentError):
    """A grammar that cannot be compiled; the message names file, intent, sentence and what is wrong."""

    # A status names one class: `of_status` answers with the parent.
    status: ClassVar[int | None] = None


@dataclass(frozen=True)
class Template:
    """One template: its text, hassil's expression of it, and the words for where it stands."""

    text: str
    expression: Any  # hassil.expression.Expression
    where: str


@dataclass(frozen=True)
class ListValue:
    """A value of a list. ``output`` None: whatever words were said."""

    template: Template
    output: str | None


@dataclass(frozen=True)
class NumberValue:
    """A number of a range: all ways to say it, and the slot's value."""

    spoken: list[Words]
    output: str


@dataclass(frozen=True)
class SlotList:
    """What may stand for ``{name}``; a wildcard has no values and is refused where it is used."""

    name: str
    values: list[ListValue] | list[NumberValue]
    is_wildcard: bool = False


@dataclass(frozen=True)
class Scope:
    """The lists and rules that a template sees."""

    lists: Mapping[str, SlotList]
    rules: Mapping[str, Template]


@dataclass(frozen=True)
class IntentSentences:
    """One block of an intent: its sentences, and slots that are set by saying any of them."""

    intent: str
    sentences: list[Template]
    slots: Mapping[str, str]
    scope: Scope


@dataclass(frozen=True)
class Templates:
    """A grammar, checked."""

    name: str  # of the file; "grammar" where there is none
    blocks: list[IntentSentences]
    skip_words: list[str] = field(default_factory=list)


def read_templates(source: Source) -> Templates:
    """Read a path, YAML text (a string with a line break, or bytes), or a mapping of the YAML's shape.

    Raises GrammarError naming file, intent, sentence and thing; OSError if the file cannot be read;
    ImportError where hassil is not installed.
    """
    name, document = _document(source)
    return _Reader(name).templates(document)


def parse_range(start: int, stop: int, step: int, where: str) -> list[NumberValue]:
    """The numbers of an inline range ``{1..9:slot}``."""
    return _numbers([float(number) for number in _checked_range(start, stop, step, where)], None, where)


def _document(source: Source) -> tuple[str, Any]:
    if isinstance(source, Mapping):
        return "grammar", source
    if isinstance(source, bytes):
        return "grammar", _parse_yaml("grammar", source)
    if isinstance(source, str) and "\n" in source:
        return "grammar", _parse_yaml("grammar", source.encode())
    path = Path(source)
    return path.name, _parse_yaml(str(path), path.read_bytes())


def _parse_yaml(name: str, data: bytes) -> Any:
    """Parse with every scalar as the text that stands there: ``on`` stays "on", ``007`` stays "007"."""
    try:
        import yaml
    except ImportError as error:
        raise _missing_library(error) from error

    class Loader(yaml.BaseLoader):  # type: ignore[misc]  # PyYAML has no types
        """Refuses a key that stands twice: YAML would silently keep the second."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: dict[str, int] = {}
            for key, _ in node.value:
                line = key.start_mark.line + 1
                if not isinstance(key.value, str):
                    raise GrammarError(f"{name}:{line}: a key must be text")
                if key.value in seen:
                    raise GrammarError(
                        f"{name}:{line}: {key.value!r} stands twice, also in line {seen[key.value]}"
                    )
                seen[key.value] = line
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(data, Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise GrammarError(f"{name}: not YAML: {error}") from error
    except RecursionError as error:
        raise GrammarError(f"{name}: nested too deeply") from error


def _missing_library(error: ImportError) -> ImportError:
    return ImportError(f"grammars need {error.name}: pip install 'galago[grammar]'", name=error.name)


class _Reader:
    def __init__(self, name: str) -> None:
        try:
            from hassil import parse_sentence
            from hassil.parser import ParseError
        except ImportError as error:
            raise _missing_library(error) from error
        self._parse_sentence, self._parse_error = parse_sentence, ParseError
        self._name = name

    def templates(self, document: Any) -> Templates:
        top = self._mapping(document, self._name)
        self._known_keys(top, _TOP_KEYS, self._name)
        language = str(top.get("language", "en"))
        if language.replace("_", "-").split("-")[0].lower() != "en":
            raise GrammarError(
                f"{self._name}: language is {language!r}; only English grammars can be spoken here"
            )
        settings = self._mapping(top.get("settings", {}), f"{self._name}: settings")
        if str(settings.get("ignore_whitespace", "false")).lower() == "true":
            raise GrammarError(f"{self._name}: settings: ignore_whitespace is not supported")
        scope = self._scope(top, self._name, Scope({}, {}))
        intents = self._mapping(top.get("intents"), f"{self._name}: intents")
        blocks = [
            block for intent, body in intents.items() for block in self._blocks(str(intent), body, scope)
        ]
        if not blocks:
            raise GrammarError(f"{self._name}: no intent has a sentence")
        skip_words = [
            self._text(word, f"{self._name}: skip_words")
            for word in self._sequence(top.get("skip_words", []), f"{self._name}: skip_words")
        ]
        return Templates(self._name, blocks, skip_words)

    def _blocks(self, intent: str, body: Any, scope: Scope) -> list[IntentSentences]:
        where = f"{self._name}: intent {intent}"
        if not intent:
            raise GrammarError(f"{self._name}: an intent has no name")
        blocks = []
        data = self._mapping(body, where).get("data")
        for block in self._sequence(data, f"{where}: data"):
            block = self._mapping(block, f"{where}: data")
            for condition in sorted(_CONDITIONS & block.keys()):
                raise GrammarError(
                    f"{where}: {condition} is not supported: a compiled grammar knows no context"
                )
            self._known_keys(block, _DATA_KEYS, where)
            sentences = [
                self._template(text, f"{where}: sentence", keep_empty=False)
                for text in self._sequence(block.get("sentences"), f"{where}: sentences")
            ]
            slots = {
                str(slot): self._scalar(value, f"{where}: slot {slot}")
                for slot, value in self._mapping(block.get("slots", {}), f"{where}: slots").items()
            }
            if sentences:
                blocks.append(IntentSentences(intent, sentences, slots, self._scope(block, where, scope)))
        return blocks

    def _scope(self, owner: Mapping[str, Any], where: str, outer: Scope) -> Scope:
        lists = self._mapping(owner.get("lists", {}), f"{where}: lists")
        rules = self._mapping(owner.get("expansion_rules", {}), f"{where}: expansion_rules")
        return Scope(
            {**outer.lists, **{str(n): self._list(str(n), body, where) for n, body in lists.items()}},
            {**outer.rules, **{str(n): self._template(t, f"{where}: rule <{n}>") for n, t in rules.items()}},
        )

    def _list(self, name: str, body: Any, where: str) -> SlotList:
        where = f"{where}: list {{{name}}}"
        body = self._mapping(body, where)
        self._known_keys(body, _LIST_KEYS, where)
        if "values" in body:
            values = self._sequence(body["values"], f"{where}: values")
            if not values:
                raise GrammarError(f"{where}: has no values")
            return SlotList(name, [self._value(value, where) for value in values])
        if "range" in body:
            return SlotList(name, self._range(self._mapping(body["range"], f"{where}: range"), where))
        if str(body.get("wildcard", "false")).lower() == "true":
            return SlotList(name, [], is_wildcard=True)
        raise GrammarError(f"{where}: needs values or range")

    def _value(self, value: Any, where: str) -> ListValue:
        if isinstance(value, Mapping):
            self._known_keys(value, _VALUE_KEYS, f"{where}: value")
            if "in" not in value:
                raise GrammarError(f"{where}: a value lacks 'in'")
            template = self._template(value["in"], f"{where}: value", keep_empty=False)
            out = value.get("out")
            return ListValue(
                template, None if out is None else self._scalar(out, f"{where}: value {template.text!r}")
            )
        template = self._template(value, f"{where}: value", keep_empty=False)
        is_plain = not set("()[]{}<>|;\\") & set(template.text)
        return ListValue(template, template.text if is_plain else None)

    def _range(self, body: Mapping[str, Any], where: str) -> list[NumberValue]:
        self._known_keys(body, _RANGE_KEYS, f"{where}: range")
        for key in ("from", "to"):
            if key not in body:
                raise GrammarError(f"{where}: range lacks {key!r}")
        start, stop, step = (
            self._integer(body.get(key, default), f"{where}: range: {key}")
            for key, default in (("from", None), ("to", None), ("step", 1))
        )
        fractions = self._text(body["fractions"], where) if "fractions" in body else None
        if fractions is not None and fractions not in _FRACTIONS:
            raise GrammarError(
                f"{where}: range: fractions is {fractions!r}, expected {' or '.join(_FRACTIONS)}"
            )
        multiplier = None
        if "multiplier" in body:
            try:
                multiplier = float(body["multiplier"])
            except (TypeError, ValueError) as error:
                raise GrammarError(
                    f"{where}: range: multiplier {body['multiplier']!r} is no number"
                ) from error
        numbers = [
            number + fraction
            for number in _checked_range(start, stop, step, where)
            for fraction in (0.0, *(_FRACTIONS[fractions] if fractions else []))
        ]
        return _numbers(numbers, multiplier, where)

    def _template(self, text: Any, where: str, *, keep_empty: bool = True) -> Template:
        text = self._text(text, where).strip()
        where = f"{where} {text!r}"
        if not text and not keep_empty:
            raise GrammarError(f"{where} is empty")
        try:
            expression = self._parse_sentence(text).expression
        # hassil asserts on "()" and the like.
        except (self._parse_error, AssertionError, RecursionError) as error:
            raise GrammarError(f"{where}: {error or 'a bracket has nothing inside'}") from error
        return Template(text, expression, where)

    @staticmethod
    def _known_keys(mapping: Mapping[str, Any], known: set[str], where: str) -> None:
        for key in mapping:
            if key not in known:
                raise GrammarError(f"{where}: unknown key {key!r}; known are {', '.join(sorted(known))}")

    @staticmethod
    def _mapping(value: Any, where: str) -> Mapping[str, Any]:
        if value in (None, ""):  # a key with nothing behind it
            return {}
        if not isinstance(value, Mapping):
            raise GrammarError(f"{where}: expected a mapping, found {type(value).__name__} {value!r}")
        return value

    @staticmethod
    def _sequence(value: Any, where: str) -> list[Any]:
        if value in (None, ""):
            return []
        if not isinstance(value, list | tuple):
            raise GrammarError(f"{where}: expected a list, found {type(value).__name__} {value!r}")
        return list(value)

    @staticmethod
    def _text(value: Any, where: str) -> str:
        if isinstance(value, bool):
            raise GrammarError(
                f"{where}: {value} is no text; quote it ('on', 'off', 'yes' and 'no' are YAML booleans)"
            )
        if isinstance(value, int | float):
            return number_value(value)
        if not isinstance(value, str):
            raise GrammarError(f"{where}: expected text, found {type(value).__name__} {value!r}")
        return value

    @classmethod
    def _scalar(cls, value: Any, where: str) -> str:
        return str(value).lower() if isinstance(value, bool) else cls._text(value, where)

    @staticmethod
    def _integer(value: Any, where: str) -> int:
        try:
            return int(value)
        except (TypeError, ValueError) as error:
            raise GrammarError(f"{where} is {value!r}, expected a whole number") from error


def _checked_range(start: int, stop: int, step: int, where: str) -> range:
    if start > stop or step <= 0:
        raise GrammarError(f"{where}: range from {start} to {stop} in steps of {step} holds nothing")
    numbers = range(start, stop + 1, step)
    if len(numbers) > MAX_RANGE_NUMBERS:
        raise GrammarError(
            f"{where}: range of {len(numbers)} numbers; at most {MAX_RANGE_NUMBERS} can be listed"
        )
    return numbers


def _numbers(numbers: list[float], multiplier: float | None, where: str) -> list[NumberValue]:
    try:
        return [
            NumberValue(
                spoken_number(number), number_value(number if multiplier is None else number * multiplier)
            )
            for number in numbers
        ]
    except ValueError as error:
        raise GrammarError(f"{where}: {error}") from error
