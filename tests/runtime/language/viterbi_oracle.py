"""A plain Viterbi decoder over a compiled grammar: readable and slow, for comparison.

Every phone takes one frame or more; silence may stand between any two phones and around them all.
A node is (arc, in_silence): inside a phone arc, or in the silence after it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from galago.runtime.language.grammar_format import EPSILON, CompiledGrammar
from galago.runtime.language.template_graph import Label

Way = tuple[int, tuple[int, ...], float]  # a phone arc (or -1: the end), the outputs on the way, their weight


class Oracle:
    """Decodes with one grammar."""

    def __init__(self, grammar: CompiledGrammar) -> None:
        self._grammar = grammar
        self._ways: dict[int, list[Way]] = {}

    def decode(self, scores: NDArray[np.float64]) -> tuple[float, list[Label]]:
        """The best path through ``scores`` (num_frames, num_phones), silence in column 0."""
        nodes: dict[tuple[int, bool], tuple[float, tuple[int, ...]]] = {(-1, True): (0.0, ())}
        for frame in scores:
            steps: dict[tuple[int, bool], tuple[float, tuple[int, ...]]] = {}
            for (arc, silent), (score, path) in nodes.items():
                choices = [((arc, True), score + frame[0], path)]
                if not silent:
                    choices.append(((arc, False), score + frame[self._phone(arc)], path))
                for next_arc, outputs, weight in self._ways_after(arc):
                    if next_arc >= 0:
                        total = score + weight + frame[self._phone(next_arc)]
                        choices.append(((next_arc, False), total, (*path, *outputs)))
                for node, total, told in choices:
                    if node not in steps or total > steps[node][0]:
                        steps[node] = (total, told)
            nodes = steps
        score, path = max(
            (score + weight, (*path, *outputs))
            for (arc, _), (score, path) in nodes.items()
            for next_arc, outputs, weight in self._ways_after(arc)
            if next_arc < 0
        )
        return score, [self._grammar.outputs[output - 1] for output in path]

    def _phone(self, arc: int) -> int:
        return int(self._grammar.arcs[arc]["phone"])

    def _ways_after(self, arc: int) -> list[Way]:
        """Every phone arc that can follow an arc (-1: the start) over epsilon arcs, and the end if it can."""
        grammar = self._grammar
        first = 0 if arc < 0 else int(grammar.arcs[arc]["next_state"])
        if first in self._ways:
            return self._ways[first]
        ways = self._ways[first] = []
        stack: list[tuple[int, tuple[int, ...], float]] = [(first, (), 0.0)]
        while stack:
            state, outputs, weight = stack.pop()
            if grammar.is_final[state]:
                ways.append((-1, outputs, weight))
            for index in range(grammar.arc_begin[state], grammar.arc_begin[state + 1]):
                row = grammar.arcs[index]
                put_out = (*outputs, int(row["output"])) if row["output"] else outputs
                total = weight + float(row["weight"])
                if row["phone"] == EPSILON:
                    stack.append((int(row["next_state"]), put_out, total))
                else:
                    ways.append((index, put_out, total))
        return ways
