"""Closed grammars: from sentence templates in hassil's YAML to the bytes that a session decodes.

    compiled = compile_grammar("lights.yaml")
    for sentence in sentences(compiled, limit=5):
        print(sentence.text, sentence.name, dict(sentence.slots))
    session.set_grammar(compiled)

Needs hassil and PyYAML when it compiles (``pip install galago[grammar]``), nothing but numpy when it reads.
"""

from __future__ import annotations

from galago.runtime.language.grammar_compiler import compile_grammar, compile_phrases
from galago.runtime.language.grammar_format import CompiledGrammar, GrammarSentence, read_grammar, sentences
from galago.runtime.language.sentence_templates import GrammarError

__all__ = [
    "CompiledGrammar",
    "GrammarError",
    "GrammarSentence",
    "compile_grammar",
    "compile_phrases",
    "read_grammar",
    "sentences",
]
