"""pocketsphinx with its own acoustic model and a closed grammar, clip by clip, answers kept.

The grammar is the very word graph that galago compiles, as a finite-state grammar, alternatives equally
likely (as JSGF has it). Words that its dictionary lacks get galago's pronunciations. A clip is given whole
(``full_utt``), so that its cepstral mean is taken over the clip.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from benchmarks.answers import Answers
from benchmarks.corpora import Audio, to_int16
from benchmarks.pocketsphinx_peer import decode_whole
from benchmarks.spoken_commands import CommandGrammar
from galago.runtime.language.lexicon import Lexicon
from galago.runtime.language.template_graph import LabelKind
from galago.runtime.language.word_graph import WordGraph

DEFAULT_CACHE = Path.home() / ".cache" / "galago-benchmarks" / "pocketsphinx-grammar.jsonl"

Transition = tuple[int, int, float] | tuple[int, int, float, str]


class GrammarPeer:
    """Recognises clips with one grammar; keeps each answer in the file ``cache``."""

    def __init__(self, grammar: CommandGrammar, lexicon: Lexicon, cache: Path = DEFAULT_CACHE) -> None:
        self._grammar, self._lexicon, self._answers = grammar, lexicon, Answers(cache, "key")
        self._transitions = transitions(grammar.graph)
        self._key = hashlib.sha256(json.dumps(self._transitions).encode()).hexdigest()[:16]
        self._decoder: Any = None

    def recognise(self, samples: Audio) -> str:
        """The sentence heard in 16 kHz samples; empty where none was."""
        pcm = to_int16(samples).tobytes()
        key = f"{self._key}-{hashlib.sha256(pcm).hexdigest()}"
        row = self._answers.get(key)
        if row is None:
            self._decoder = self._decoder or self._open()
            row = {"key": key, "text": decode_whole(self._decoder, pcm)}
            self._answers.add(row)
        return str(row["text"])

    def _open(self) -> Any:
        import pocketsphinx

        decoder = pocketsphinx.Decoder(lm=None, loglevel="FATAL")
        for word in sorted({t[3] for t in self._transitions if len(t) == 4}):
            if decoder.lookup_word(word) is None:
                decoder.add_word(word, " ".join(self._lexicon.pronounce(word)[0]), update=False)
        last = len(self._grammar.graph.arcs)
        fsg = decoder.create_fsg(self._grammar.name, 0, last, self._transitions)
        decoder.add_fsg(self._grammar.name, fsg)
        decoder.activate_search(self._grammar.name)
        return decoder


def transitions(graph: WordGraph) -> list[Transition]:
    """The word graph from state 0 to one last state, its number the number of states."""
    listed: list[Transition] = []
    for state, arcs in enumerate(graph.arcs):
        for label, target in arcs.items():
            if label.kind == LabelKind.WORD:
                listed.append((state, target, 1.0 / len(arcs), label.text))
            else:
                listed.append((state, target, 1.0 / len(arcs)))
        if graph.is_final[state]:
            listed.append((state, len(graph.arcs), 1.0))
    return listed
