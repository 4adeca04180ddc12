"""Numbers as words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galago.runtime.language.spoken_numbers import (
    MAX_NUMBER,
    cardinal,
    number_value,
    spoken_forms,
    spoken_number,
)


def said(token: str) -> list[str]:
    return [" ".join(words) for words in spoken_forms(token)]


@pytest.mark.parametrize(
    ("token", "ways"),
    [
        ("0", ["zero"]),
        ("21", ["twenty one"]),
        ("-5", ["minus five", "negative five"]),
        ("100", ["one hundred", "a hundred"]),
        ("105", ["one hundred five", "one hundred and five", "a hundred five", "a hundred and five"]),
        ("250", ["two hundred fifty", "two hundred and fifty"]),
        ("1,200", ["one thousand two hundred", "a thousand two hundred"]),
        ("2.5", ["two point five", "two and a half"]),
        ("0.5", ["zero point five", "point five", "half", "a half"]),
        ("3.14", ["three point one four"]),
        ("1st", ["first"]),
        ("12th", ["twelfth"]),
        ("20th", ["twentieth"]),
        ("7:00", ["seven o'clock", "seven hundred", "seven"]),
        ("7:05", ["seven oh five", "seven zero five", "five past seven"]),
        ("7:30", ["seven thirty", "half past seven"]),
        ("12:45", ["twelve forty five", "quarter to one"]),
        ("19:20", ["nineteen twenty"]),
        ("20%", ["twenty percent"]),
        ("21°C", ["twenty one degrees celsius"]),
        ("room2", ["room two"]),
        ("kitchen", ["kitchen"]),
        ("TV", ["TV"]),
    ],
)
def test_each_token_is_said_in_all_common_ways(token: str, ways: list[str]) -> None:
    assert said(token) == ways


@given(st.integers(-MAX_NUMBER, MAX_NUMBER))
def test_the_plainest_way_is_what_hassil_expects(number: int) -> None:
    from hassil.numbers import get_rbnf_engine

    expected = get_rbnf_engine("en").format_number(number).text.replace("-", " ")
    assert " ".join(cardinal(number)[0]) == expected


def test_a_number_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="1000000000000 is too large"):
        cardinal(MAX_NUMBER + 1)


def test_values_hold_no_binary_noise() -> None:
    assert number_value(3 * 0.1) == "0.3"
    assert number_value(21.0) == "21"
    assert spoken_number(-2.5)[0] == ("minus", "two", "point", "five")
