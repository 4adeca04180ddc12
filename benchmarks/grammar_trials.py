"""What is played against a grammar: its own sentences, and sentences of no grammar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.spoken_commands import CONDITIONS, Command, CommandGrammar, Meaning, lj_texts

NUM_FOREIGN = 60  # sentences of no grammar, half of them from the other grammars


@dataclass(frozen=True)
class Trial:
    """One clip to be played against a grammar; no meaning: it must be rejected."""

    grammar: str
    condition: str
    voice: str
    text: str
    meanings: frozenset[Meaning]


def trials_of(
    grammar: CommandGrammar,
    others: Sequence[CommandGrammar],
    voices: Sequence[str],
    *,
    num_sentences: int,
    num_foreign: int,
    foreign_lines: Sequence[str] | None = None,
) -> list[Trial]:
    """Every command in every voice, and foreign sentences with the voices in turn, under all conditions.

    ``foreign_lines``: of texts of no grammar, instead of ``lj_texts``.
    """
    commands = grammar.draw(num_sentences)
    spoken = [(command.text, voice, command.meanings) for command in commands for voice in voices]
    foreign = foreign_texts(grammar, others, num_foreign, foreign_lines)
    spoken += [(text, voices[index % len(voices)], frozenset()) for index, text in enumerate(foreign)]
    return [
        Trial(grammar.name, condition, voice, text, meanings)
        for condition in CONDITIONS
        for text, voice, meanings in spoken
    ]


def foreign_texts(
    grammar: CommandGrammar,
    others: Sequence[CommandGrammar],
    num_texts: int,
    lines: Sequence[str] | None = None,
) -> list[str]:
    """Half from the other grammars, half from ``lines`` (LJ Speech), no sentence of this grammar."""
    num_others = num_texts // 2 // max(len(others), 1)
    commands: list[Command] = [command for other in others for command in other.draw(num_others, seed=2)]
    texts = [command.text for command in commands if not grammar.meanings(command.text)]
    num_lines = num_texts - len(texts)
    return texts + (lj_texts(num_lines) if lines is None else list(lines[:num_lines]))


def percent(flags: Iterable[bool]) -> float | None:
    """Share of true ones in percent; None where there are none at all."""
    listed = list(flags)
    return round(100.0 * sum(listed) / len(listed), 2) if listed else None
