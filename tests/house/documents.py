"""The code blocks and links of the documents, for the tests that run and follow them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from tests.house.repository import ROOT, tracked_files

FENCE = re.compile(r"^```(?P<language>[\w+-]*)[^\n]*\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)|(?:src|href)=\"(?P<attribute>[^\"]+)\"")


@dataclass(frozen=True)
class Block:
    """One fenced block of a document."""

    document: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def documents() -> dict[str, str]:
    """Name -> text of every Markdown file."""
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in tracked_files()
        if path.suffix == ".md"
    }


def blocks(language: str) -> list[Block]:
    """The blocks of one language in README.md, CONTRIBUTING.md and docs/, in order."""
    return [
        Block(name, text.count("\n", 0, match.start()) + 1, match["language"], match["text"])
        for name, text in documents().items()
        for match in FENCE.finditer(text)
        if match["language"] == language
    ]


def links(text: str) -> Iterator[str]:
    """Targets of links and images outside of code blocks."""
    for match in LINK.finditer(FENCE.sub("", text)):
        yield match["target"] or match["attribute"]


def shell_commands(text: str) -> Iterator[list[str]]:
    """The words of each command of a shell block: continued lines joined, comments and pipes taken off."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars="|<>&;")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in lexer:
            if word and set(word) <= set("|&;"):
                if words:
                    yield words
                words = []
            else:
                words.append(word)
        if words:
            yield words
