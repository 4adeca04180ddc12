"""The bytes of a compiled grammar ("GGRM", version 1), written and read; all little-endian.

    header     4s  magic "GGRM"
               u32 version, kind (1 grammar, 2 phrases), num_states, num_arcs, num_outputs, num_strings,
                   string_bytes
               32s SHA-256 of the phone names, one a line
    u32        arc_begin[num_states + 1]         arcs of state s: arc_begin[s] up to arc_begin[s + 1]
    u8         is_final[num_states]              then zeros to a multiple of 4
    arcs       u32 next_state, u32 output (0: none; else 1-based), u16 phone (0xFFFF: epsilon), u16 zero,
               f32 weight (log, <= 0)
    outputs    u32 kind, u32 string
    u32        string_offset[num_strings + 1]
    strings    UTF-8, without NUL

State 0 is the start. Epsilon arcs make no cycle. The native core reads the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galago.runtime.errors import CorruptError
from galago.runtime.language.template_graph import Label, LabelKind

KIND_GRAMMAR = 1
KIND_PHRASES = 2
EPSILON = 0xFFFF
MAX_STATES = MAX_ARCS = 2_000_000

ARC_DTYPE = np.dtype(
    [("next_state", "<u4"), ("output", "<u4"), ("phone", "<u2"), ("reserved", "<u2"), ("weight", "<f4")]
)

_MAGIC = b"GGRM"
_VERSION = 1
_HEADER = struct.Struct("<4s7I32s")


@dataclass(frozen=True)
class CompiledGrammar:
    """An automaton over phones.

    Attributes:
        kind: KIND_GRAMMAR or KIND_PHRASES.
        phones_sha256: of the phone names it was compiled for.
        arc_begin: (num_states + 1,) uint32.
        is_final: (num_states,) bool.
        arcs: (num_arcs,) of ARC_DTYPE.
        outputs: what ``arcs["output"] - 1`` points into.
    """

    kind: int
    phones_sha256: bytes
    arc_begin: NDArray[np.uint32]
    is_final: NDArray[np.bool_]
    arcs: NDArray[np.void]
    outputs: list[Label]

    @property
    def num_states(self) -> int:
        return len(self.is_final)

    @property
    def num_arcs(self) -> int:
        return len(self.arcs)

    def to_bytes(self) -> bytes:
        """Serialise; equal automata give equal bytes."""
        strings: dict[str, int] = {}
        outputs = np.array(
            [(label.kind, strings.setdefault(label.text, len(strings))) for label in self.outputs], "<u4"
        )
        encoded = [text.encode() for text in strings]
        offsets = np.cumsum([0, *map(len, encoded)]).astype("<u4")
        header = _HEADER.pack(
            *(_MAGIC, _VERSION, self.kind, self.num_states, self.num_arcs, len(self.outputs)),
            *(len(encoded), int(offsets[-1]), self.phones_sha256),
        )
        return b"".join(
            [
                header,
                self.arc_begin.astype("<u4").tobytes(),
                self.is_final.astype(np.uint8).tobytes() + bytes(-self.num_states % 4),
                self.arcs.tobytes(),
                outputs.tobytes(),
                offsets.tobytes(),
                *encoded,
            ]
        )


def read_grammar(data: bytes) -> CompiledGrammar:
    """Parse compiled bytes. Raises CorruptError saying what is wrong and where."""
    if len(data) < _HEADER.size:
        raise CorruptError(f"grammar: {len(data)} bytes, the header alone has {_HEADER.size}")
    magic, version, kind, num_states, num_arcs, num_outputs, num_strings, string_bytes, sha256 = (
        _HEADER.unpack_from(data)
    )
    if magic != _MAGIC:
        raise CorruptError(f"grammar: begins with {magic!r}, expected {_MAGIC!r}")
    if version != _VERSION:
        raise CorruptError(f"grammar: version {version}, expected {_VERSION}")
    if kind not in (KIND_GRAMMAR, KIND_PHRASES):
        raise CorruptError(f"grammar: kind {kind}, expected {KIND_GRAMMAR} or {KIND_PHRASES}")
    if not 1 <= num_states <= MAX_STATES or num_arcs > MAX_ARCS:
        raise CorruptError(f"grammar: {num_states} states and {num_arcs} arcs; at most {MAX_STATES} of each")
    sections = _sections(
        data,
        arc_begin=4 * (num_states + 1),
        is_final=num_states + -num_states % 4,
        arcs=ARC_DTYPE.itemsize * num_arcs,
        outputs=8 * num_outputs,
        string_offset=4 * (num_strings + 1),
        strings=string_bytes,
    )
    arc_begin, is_final, arcs, outputs, offsets, strings = sections
    begin = np.frombuffer(arc_begin, "<u4")
    if begin[0] != 0 or begin[-1] != num_arcs or (np.diff(begin.astype(np.int64)) < 0).any():
        raise CorruptError(f"grammar: arc_begin does not rise from 0 to {num_arcs}")
    table = np.frombuffer(arcs, ARC_DTYPE)
    _check_arcs(table, num_states, num_outputs)
    _check_epsilon_cycles(begin, table)
    bounds = np.frombuffer(offsets, "<u4").astype(np.int64)
    if bounds[0] != 0 or bounds[-1] != string_bytes or (np.diff(bounds) < 0).any():
        raise CorruptError(f"grammar: string_offset does not rise from 0 to {string_bytes}")
    try:
        texts = [strings[a:b].decode() for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
    except UnicodeDecodeError as error:
        raise CorruptError(f"grammar: a string is not UTF-8: {error}") from error
    labels = []
    for index, (label_kind, string) in enumerate(np.frombuffer(outputs, "<u4").reshape(-1, 2).tolist()):
        if label_kind not in LabelKind.__members__.values() or string >= num_strings:
            raise CorruptError(f"grammar: output {index} has kind {label_kind} and string {string}")
        labels.append(Label(LabelKind(label_kind), texts[string]))
    flags = np.frombuffer(is_final, np.uint8)[:num_states]
    return CompiledGrammar(kind, sha256, begin, flags.astype(np.bool_), table, labels)


def _sections(data: bytes, **sizes: int) -> list[bytes]:
    parts = []
    offset = _HEADER.size
    for name, size in sizes.items():
        if offset + size > len(data):
            raise CorruptError(f"grammar: cut short: {name} ends at byte {offset + size} of {len(data)}")
        parts.append(data[offset : offset + size])
        offset += size
    if offset != len(data):
        raise CorruptError(f"grammar: {len(data) - offset} bytes too many")
    return parts


def _check_arcs(arcs: NDArray[np.void], num_states: int, num_outputs: int) -> None:
    bad = (
        (arcs["next_state"] >= num_states)
        | (arcs["output"] > num_outputs)
        | (arcs["phone"] == 0)
        | (arcs["reserved"] != 0)
        | ~(arcs["weight"] <= 0)
    )
    if bad.any():
        index = int(np.flatnonzero(bad)[0])
        raise CorruptError(f"grammar: arc {index} is out of bounds: {arcs[index]}")


def _sources(arc_begin: NDArray[np.uint32]) -> NDArray[np.int64]:
    """The state that each arc leaves."""
    begin = arc_begin.astype(np.int64)
    return np.repeat(np.arange(len(begin) - 1), begin[1:] - begin[:-1])


def _check_epsilon_cycles(arc_begin: NDArray[np.uint32], arcs: NDArray[np.void]) -> None:
    """Peel states that no epsilon arc enters; what cannot be peeled is a cycle."""
    is_epsilon = arcs["phone"] == EPSILON
    source = _sources(arc_begin)[is_epsilon]
    target = arcs["next_state"][is_epsilon].astype(np.int64)
    entering = np.bincount(target, minlength=len(arc_begin) - 1)
    first = np.searchsorted(source, np.arange(len(arc_begin)))
    todo = np.flatnonzero(entering == 0).tolist()
    num_peeled = 0
    while todo:
        state = todo.pop()
        num_peeled += 1
        for next_state in target[first[state] : first[state + 1]].tolist():
            entering[next_state] -= 1
            if entering[next_state] == 0:
                todo.append(next_state)
    if num_peeled != len(arc_begin) - 1:
        state = int(np.flatnonzero(entering > 0)[0])
        raise CorruptError(f"grammar: epsilon arcs make a cycle at state {state}")


@dataclass(frozen=True)
class GrammarSentence:
    """One thing that can be said: its words, and what it means.

    ``name`` is the intent, or the phrase; ``slots`` are (name, value) in the order they are said.
    """

    text: str
    name: str
    slots: tuple[tuple[str, str], ...] = ()


def sentences(data: bytes, limit: int | None = None) -> Iterator[GrammarSentence]:
    """Every sentence of a compiled grammar, each once, at most ``limit``.

    Filler words (``skip_words``) are left out: they make loops, and no loop is followed.
    """
    grammar = read_grammar(data)
    num_told = 0
    for path in _output_paths(grammar):
        if limit is not None and num_told >= limit:
            return
        yield _sentence(path)
        num_told += 1


def _output_paths(grammar: CompiledGrammar) -> Iterator[tuple[Label, ...]]:
    """Every sequence of outputs that leads to a final state: phones and pronunciations do not matter."""
    begin, arcs = grammar.arc_begin.tolist(), grammar.arcs
    next_states, outputs = arcs["next_state"].tolist(), arcs["output"].tolist()
    matters = grammar.is_final.copy()  # ends there, or puts something out: the same set is the same place
    matters[_sources(grammar.arc_begin)[arcs["output"] > 0]] = True

    def closure(states: set[int]) -> frozenset[int]:
        stack, seen = list(states), set(states)
        while stack:
            state = stack.pop()
            for arc in range(begin[state], begin[state + 1]):
                if outputs[arc] == 0 and next_states[arc] not in seen:
                    seen.add(next_states[arc])
                    stack.append(next_states[arc])
        return frozenset(state for state in seen if matters[state])

    stack: list[tuple[frozenset[int], tuple[Label, ...], frozenset[frozenset[int]]]] = [
        (closure({0}), (), frozenset())
    ]
    while stack:
        states, path, before = stack.pop()
        if any(grammar.is_final[state] for state in states):
            yield path
        targets: dict[int, set[int]] = {}
        for state in sorted(states):
            for arc in range(begin[state], begin[state + 1]):
                if outputs[arc]:
                    targets.setdefault(outputs[arc], set()).add(next_states[arc])
        seen = before | {states}
        for output in sorted(targets, reverse=True):
            following = closure(targets[output])
            if following not in seen:
                stack.append((following, (*path, grammar.outputs[output - 1]), seen))


def _sentence(path: tuple[Label, ...]) -> GrammarSentence:
    words, slots, open_slots = [], [], []
    name = ""
    for label in path:
        if label.kind == LabelKind.WORD:
            words.append(label.text)
        elif label.kind == LabelKind.SLOT_BEGIN:
            open_slots.append(label.text)
        elif label.kind == LabelKind.SLOT_END:
            slots.append((open_slots.pop(), label.text))
        else:
            name = label.text
    return GrammarSentence(" ".join(words), name, tuple(slots))
