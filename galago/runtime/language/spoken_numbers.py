"""Numbers, times of day and symbols as English words: what is said for ``105``, ``7:30``, ``2.5``, ``3rd``.

Every function returns all common ways to say it, the plainest first; a way is a tuple of words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

Words = tuple[str, ...]

MAX_NUMBER = 999_999_999_999

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((1_000_000_000, "billion"), (1_000_000, "million"), (1_000, "thousand"))
_IRREGULAR_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}

SYMBOLS: dict[str, Words] = {
    "%": ("percent",),
    "°": ("degrees",),
    "°c": ("degrees", "celsius"),
    "°f": ("degrees", "fahrenheit"),
    "℃": ("degrees", "celsius"),
    "℉": ("degrees", "fahrenheit"),
    "&": ("and",),
    "+": ("plus",),
    "=": ("equals",),
    "µ": ("micro",),
    "μ": ("micro",),
}
"""Symbols, lower case, that are said as words of their own."""

_INTEGER = re.compile(r"\d+")
_GROUPED = re.compile(r"\d{1,3}(,\d{3})+")
_DECIMAL = re.compile(r"(\d+)\.(\d+)")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)")
_DIGIT_GROUPS = re.compile(r"\d+|\D+")


def cardinal(number: int) -> list[Words]:
    """``105`` -> one hundred five, one hundred and five, a hundred five, a hundred and five.

    Raises ValueError beyond ``MAX_NUMBER``.
    """
    if abs(number) > MAX_NUMBER:
        raise ValueError(f"{number} is too large to be spoken (at most {MAX_NUMBER})")
    if number < 0:
        return [(sign, *words) for sign in ("minus", "negative") for words in cardinal(-number)]
    spoken = [_whole(number, joint) for joint in ((), ("and",))]
    spoken += [("a", *words[1:]) for words in spoken if words[0] == "one" and len(words) > 1]
    return _unique(spoken)


def _whole(number: int, joint: Words) -> Words:
    for size, name in _SCALES:
        if number >= size:
            rest = number % size
            link = joint if 0 < rest < 100 else ()
            tail = (*link, *_whole(rest, joint)) if rest else ()
            return (*_whole(number // size, joint), name, *tail)
    if number >= 100:
        rest = number % 100
        return (_ONES[number // 100], "hundred", *((*joint, *_whole(rest, joint)) if rest else ()))
    if number >= 20:
        tens, ones = divmod(number, 10)
        return (_TENS[tens], _ONES[ones]) if ones else (_TENS[tens],)
    return (_ONES[number],)


def ordinal(number: int) -> list[Words]:
    """``21`` -> twenty first; ``100`` -> one hundredth, a hundredth."""
    return [(*words[:-1], _ordinal_word(words[-1])) for words in cardinal(number)]


def _ordinal_word(word: str) -> str:
    if word in _IRREGULAR_ORDINALS:
        return _IRREGULAR_ORDINALS[word]
    return word[:-1] + "ieth" if word.endswith("y") else word + "th"


def decimal(whole: int, fraction: str, *, negative: bool = False) -> list[Words]:
    """``decimal(2, "5")`` -> two point five, two and a half; ``(0, "5")`` -> zero point five, half, ..."""
    digits = tuple(_ONES[int(digit)] for digit in fraction)
    spoken = [(*words, "point", *digits) for words in cardinal(whole)]
    if whole == 0:
        spoken.append(("point", *digits))
    if fraction.rstrip("0") == "5":
        spoken += [("half",), ("a", "half")] if whole == 0 else []
        spoken += [(*words, "and", "a", "half") for words in cardinal(whole)] if whole else []
    if negative:
        spoken = [(sign, *words) for sign in ("minus", "negative") for words in spoken]
    return spoken


def clock(hour: int, minute: int) -> list[Words]:
    """A time of day on a 12 or 24 hour clock: seven thirty, half past seven; nineteen oh five."""
    hours = _whole(hour, ())
    if minute == 0:
        return (
            [(*hours, "o'clock"), (*hours, "hundred"), hours]
            if hour
            else [("zero", "hundred"), ("midnight",)]
        )
    minutes = _whole(minute, ())
    spoken = [(*hours, "oh", *minutes), (*hours, "zero", *minutes)] if minute < 10 else [(*hours, *minutes)]
    if 1 <= hour <= 12:
        after = _whole(hour % 12 + 1, ())
        past = {15: ("quarter",), 30: ("half",)}.get(minute, minutes)
        to = {45: ("quarter",)}.get(minute, _whole(60 - minute, ()))
        spoken += [(*past, "past", *hours)] if minute <= 30 else [(*to, "to", *after)]
    return spoken


def number_value(value: int | float) -> str:
    """A number as text, without a trailing ``.0`` and without binary noise: ``0.3``, ``21``."""
    return format(value, ".10g")


def spoken_number(value: int | float) -> list[Words]:
    """All ways to say a whole or decimal number."""
    text = number_value(abs(value))
    whole, _, fraction = text.partition(".")
    if not whole.isdigit():
        raise ValueError(f"{value} cannot be spoken")
    if fraction:
        return decimal(int(whole), fraction, negative=value < 0)
    return cardinal(-int(whole) if value < 0 else int(whole))


def spoken_forms(token: str) -> list[Words]:
    """All ways to say one written token: a word stays itself; digits and symbols become words.

    ``20%`` -> twenty percent; ``7:30`` -> seven thirty ...; ``3rd`` -> third; ``room2`` -> room two.
    """
    plain = token.lower()
    if not any(character.isdigit() or character in SYMBOLS for character in plain):
        return [(token,)]
    if plain in SYMBOLS:
        return [SYMBOLS[plain]]
    sign, digits = ("-", plain[1:]) if plain[:1] in {"-", "−"} else ("", plain)
    if _INTEGER.fullmatch(digits) or _GROUPED.fullmatch(digits):
        return cardinal(int(sign + digits.replace(",", "")))
    if match := _DECIMAL.fullmatch(digits):
        return decimal(int(match[1]), match[2], negative=bool(sign))
    if match := _CLOCK.fullmatch(plain):
        return clock(int(match[1]), int(match[2]))
    if match := _ORDINAL.fullmatch(plain):
        return ordinal(int(match[1]))
    for symbol in sorted(SYMBOLS, key=len, reverse=True):
        head, found, tail = plain.partition(symbol)
        if found:
            parts = [spoken_forms(part) for part in (head, symbol, tail) if part]
            return _joined(parts)
    groups = [group.strip("-") for group in _DIGIT_GROUPS.findall(token)]
    if len(groups) == 1:
        return [(token,)]
    return _joined([spoken_forms(group) for group in groups if group])


def _joined(parts: Iterable[list[Words]]) -> list[Words]:
    spoken: list[Words] = [()]
    for part in parts:
        spoken = [(*words, *more) for words in spoken for more in part]
    return _unique(spoken)


def _unique(spoken: Iterable[Words]) -> list[Words]:
    return list(dict.fromkeys(spoken))
