from __future__ import annotations

import pytest

from galago.models.training.toml_tables import RecipeError
from galago.quantize.make.acceptance import Criterion, judge, parse_criterion
from galago.quantize.make.measures import known_measures


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("wer <= 0.5", Criterion("wer", "<=", 0.5)),
        ("  wer.so762<0.5 ", Criterion("wer.so762", "<", 0.5)),
        ("acoustic.dev_mel > -1e-3", Criterion("acoustic.dev_mel", ">", -0.001)),
    ],
)
def test_an_expression_is_a_measure_a_comparison_and_a_number(text: str, expected: Criterion) -> None:
    assert parse_criterion(text, "here") == expected


@pytest.mark.parametrize(
    "text", ["", "wer", "wer = 0.5", "wer <= half", "wer <= nan", "0.5 >= wer", "a <= 1 b"]
)
def test_anything_else_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(RecipeError, match=r"my\.toml\.accept\[2\]: expected a measure"):
        parse_criterion(text, "my.toml.accept[2]")


def test_bounds_belong_to_what_is_allowed_where_they_are_said_to() -> None:
    found = {"a": 1.0}
    for text, is_met in (("a <= 1", True), ("a >= 1", True), ("a < 1", False), ("a > 1", False)):
        (verdict,) = judge("stage", (parse_criterion(text, ""),), found)
        assert verdict.is_met == is_met


def test_what_was_not_measured_or_is_no_number_is_not_met() -> None:
    criteria = parse_criterion("a <= 1", ""), parse_criterion("b <= 1", "")
    missing, nan = judge("stage", criteria, {"b": float("nan")})
    assert not missing.is_met and not nan.is_met
    assert str(missing) == "stage: a was not measured, wanted: a <= 1"


def test_measures_are_known_by_what_is_measured() -> None:
    assert known_measures("stage", "ear")("dev_wer") and known_measures("role", "ear")("wer.so762")
    assert not known_measures("role", "ear")("accuracy") and not known_measures("bundle")("wer")
    assert known_measures("stage", "g2p")("phone_error_rate_unstressed")
