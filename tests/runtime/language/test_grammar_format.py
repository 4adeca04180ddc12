"""The bytes of a compiled grammar: they survive, and damage is named."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galago.runtime.errors import CorruptError
from galago.runtime.language.grammar import compile_grammar, read_grammar
from galago.runtime.language.grammar_format import ARC_DTYPE, EPSILON, KIND_GRAMMAR, CompiledGrammar
from galago.runtime.language.phones import phones_sha256
from tests.runtime.language.tiny_lexicon import tiny_lexicon

COMPILED = compile_grammar(
    {
        "intents": {"Turn": {"data": [{"sentences": ["turn [the] lamp {state}"]}]}},
        "lists": {"state": {"values": ["on", "off"]}},
        "skip_words": ["um"],
    },
    lexicon=tiny_lexicon(),
)


def test_the_header_is_as_documented() -> None:
    magic, version, kind, states, arcs, outputs, strings, string_bytes, sha256 = struct.unpack_from(
        "<4s7I32s", COMPILED
    )
    assert (magic, version, kind) == (b"GGRM", 1, KIND_GRAMMAR)
    assert sha256 == phones_sha256()
    size = (
        64
        + 4 * (states + 1)
        + states
        + -states % 4
        + 16 * arcs
        + 8 * outputs
        + 4 * (strings + 1)
        + string_bytes
    )
    assert size == len(COMPILED)


def test_reading_and_writing_are_inverse() -> None:
    assert read_grammar(COMPILED).to_bytes() == COMPILED


def test_every_arc_makes_sense() -> None:
    grammar = read_grammar(COMPILED)
    phones = grammar.arcs["phone"]
    assert ((phones == EPSILON) | ((phones >= 1) & (phones < 40))).all()
    assert (grammar.arcs["output"][phones != EPSILON] == 0).all()
    assert set(grammar.arcs["weight"]) == {0.0, -1.0}
    assert grammar.is_final.sum() == 1


@pytest.mark.parametrize("num_bytes", [0, 3, 63, 64, 100, 500, len(COMPILED) - 1])
def test_cut_bytes_are_refused(num_bytes: int) -> None:
    with pytest.raises(CorruptError, match="grammar: "):
        read_grammar(COMPILED[:num_bytes])


def test_bytes_too_many_are_refused() -> None:
    with pytest.raises(CorruptError, match="3 bytes too many"):
        read_grammar(COMPILED + b"abc")


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(COMPILED) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_refused_or_harmless(position: int, flip: int) -> None:
    damaged = bytearray(COMPILED)
    damaged[position] ^= flip
    try:
        grammar = read_grammar(bytes(damaged))
    except CorruptError as error:
        assert str(error).startswith("grammar: ")
    else:
        assert (grammar.arcs["next_state"] < grammar.num_states).all()
        assert (grammar.arcs["output"] <= len(grammar.outputs)).all()


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (0, b"GGRN", "begins with b'GGRN'"),
        (4, struct.pack("<I", 2), "version 2, expected 1"),
        (8, struct.pack("<I", 3), "kind 3"),
        (12, struct.pack("<I", 2**31), "2147483648 states"),
        (64, struct.pack("<I", 1), "arc_begin does not rise"),
    ],
)
def test_damage_in_the_header_is_named(offset: int, value: bytes, message: str) -> None:
    damaged = COMPILED[:offset] + value + COMPILED[offset + len(value) :]
    with pytest.raises(CorruptError, match=message):
        read_grammar(damaged)


def test_epsilon_cycles_are_refused() -> None:
    cycle = CompiledGrammar(
        kind=KIND_GRAMMAR,
        phones_sha256=phones_sha256(),
        arc_begin=np.array([0, 1, 2, 3], np.uint32),
        is_final=np.array([False, False, True]),
        arcs=np.array([(1, 0, 5, 0, 0.0), (2, 0, EPSILON, 0, 0.0), (1, 0, EPSILON, 0, 0.0)], ARC_DTYPE),
        outputs=[],
    )
    with pytest.raises(CorruptError, match="epsilon arcs make a cycle at state 1"):
        read_grammar(cycle.to_bytes())
