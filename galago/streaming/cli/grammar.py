"""`galago grammar`: sentence templates, or wake phrases, to the bytes that `galago_session_set_*` takes."""

from __future__ import annotations

from pathlib import Path

import typer

from galago.runtime.bundle import Bundle
from galago.runtime.bundle_folder import find_bundle
from galago.runtime.errors import InvalidArgumentError, NotFoundError
from galago.streaming.cli.exits import exit_codes


def grammar(
    file: Path | None,
    output: Path | None,
    phrases: tuple[str, ...],
    *,
    num_sentences: int,
    bundle: str | None,
) -> None:
    """Compile; print sentences and sizes; write the bytes if asked."""
    if (file is None) == (not phrases):
        raise typer.BadParameter("expected a FILE, or --phrases, and not both")
    with exit_codes():
        compiled = _compile(file, phrases, bundle)
        from galago.runtime.language.grammar import read_grammar, sentences

        automaton = read_grammar(compiled)
        if output is not None:
            try:
                output.write_bytes(compiled)
            except OSError as error:
                raise NotFoundError(f"{output}: {error.strerror}") from error
        for sentence in sentences(compiled, limit=num_sentences) if num_sentences else ():
            slots = "".join(f" {name}={value!r}" for name, value in sentence.slots)
            print(f"{sentence.text}  → {sentence.name}{slots}")
        written = f" → {output}" if output is not None else ""
        num_states, num_arcs = len(automaton.is_final), len(automaton.arcs)
        print(f"{num_states} states, {num_arcs} arcs, {len(compiled)} bytes{written}")


def _compile(file: Path | None, phrases: tuple[str, ...], bundle: str | None) -> bytes:
    if bundle is not None:
        with Bundle(find_bundle(bundle)) as opened:
            return opened.compile_grammar(file) if file is not None else opened.compile_phrases(phrases)
    from galago.runtime.language import grammar as compiler

    try:
        return compiler.compile_grammar(file) if file is not None else compiler.compile_phrases(phrases)
    except ImportError as error:
        raise InvalidArgumentError(
            f"compiling a grammar needs {error.name}: pip install 'galago[grammar]'"
        ) from error
    except OSError as error:
        raise NotFoundError(f"{error.filename}: {error.strerror}") from error
