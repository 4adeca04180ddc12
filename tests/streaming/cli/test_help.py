"""`galago --help` and `galago --version`: what is printed is what was written."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

import galago
from galago.streaming.cli.app import app


def said(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


def test_help_names_the_extras_that_commands_need() -> None:
    """In square brackets, which a renderer of markup would swallow."""
    text = "".join(said("--help").split())
    assert "galago[train]" in text and "galago[quantize]" in text
    for command in ("listen", "devices", "info", "verify", "bench", "doctor", "grammar", "demo", "--version"):
        assert command in text


@pytest.mark.parametrize("command", [("listen",), ("bench",), ("bench", "ear"), ("demo",)])
def test_every_command_says_its_options(command: tuple[str, ...]) -> None:
    assert "--help" in said(*command, "--help")


def test_version() -> None:
    assert said("--version") == f"galago {galago.__version__}\n"
