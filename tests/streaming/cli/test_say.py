"""`galago say` with a bundle's own voice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from galago.streaming.cli.app import app
from tests.tiny_voice import GOLDEN_PHONES, GOLDEN_TEXT, SAMPLE_RATE_HZ, spoken


def run(*arguments: object, text: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=text)


def test_a_text_is_said_into_a_file(tiny_voice_bundle: Path, tmp_path: Path) -> None:
    result = run("say", GOLDEN_TEXT, "-o", tmp_path / "a.wav", "--bundle", tiny_voice_bundle)
    assert result.exit_code == 0, result.output
    samples, rate_hz = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert rate_hz == SAMPLE_RATE_HZ
    np.testing.assert_allclose(samples, spoken(GOLDEN_PHONES), atol=1e-3)


def test_a_text_from_standard_input_is_said_to_its_end(tiny_voice_bundle: Path, tmp_path: Path) -> None:
    text = "Hello, world. " * 100
    result = run("say", "-", "-o", tmp_path / "a.wav", "--bundle", tiny_voice_bundle, text=text)
    assert result.exit_code == 0, result.output
    assert soundfile.info(tmp_path / "a.wav").frames == 100 * len(spoken(GOLDEN_PHONES))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<speak>one<loud/></speak>", "line 1, column 11"),
        ("\N{GRINNING FACE}", "nothing that can be said"),
        ("", "the text is empty"),
    ],
)
def test_what_cannot_be_said_is_an_error_that_says_why(
    tiny_voice_bundle: Path, tmp_path: Path, text: str, message: str
) -> None:
    result = run("say", text, "-o", tmp_path / "a.wav", "--bundle", tiny_voice_bundle)
    assert result.exit_code == 1 and message in result.stderr
