"""Answers of a slow peer: kept across runs; a path that holds none is named, and nothing else happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.answers import Answers


def test_answers_outlive_the_program(tmp_path: Path) -> None:
    path = tmp_path / "new" / "answers.jsonl"
    first = Answers(path, "sha256")
    assert first.get("a") is None
    first.add({"sha256": "a", "text": "one"})
    first.add({"sha256": "b", "text": ""})
    again = Answers(path, "sha256")
    assert again.get("a") == {"sha256": "a", "text": "one"} and again.get("b") is not None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not JSON\n", r"answers.jsonl:1: no answer with a 'sha256'"),
        ('{"sha256": "a"}\n{"key": "b"}\n', r"answers.jsonl:2: no answer with a 'sha256'"),
        ("[1]\n", r"answers.jsonl:1: no answer"),
    ],
)
def test_a_file_of_something_else_is_refused(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(content)
    with pytest.raises(SystemExit, match=message):
        Answers(path, "sha256")


def test_a_folder_is_no_file_of_answers(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="expected a file of answers, found a folder"):
        Answers(tmp_path, "sha256")
