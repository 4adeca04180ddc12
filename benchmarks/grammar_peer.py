"""pocketsphinx with its own acoustic model and a closed grammar, clip by clip, answers kept.

The grammar is the very word graph that galago compiles, as a finite-state grammar, alternatives equally
likely (as JSGF has it). Words that its dictionary lacks get galago's pronunciations. A clip is given whole
(``full_utt``), so that its cepstral mean is taken over the clip.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

from benchmarks.corpora import Audio, to_int16
from benchmarks.spoken_commands import CommandGrammar
from galago.runtime.language.lexicon import Lexicon
from galago.runtime.language.template_graph import LabelKind
from galago.runtime.language.word_graph import WordGraph

DEFAULT_CACHE = Path.home() / ".cache" / "galago-benchmarks" / "pocketsphinx-grammar.jsonl"

Transition = tuple[int, int, float] | tuple[int, int, float, str]


class GrammarPeer:
    """Recognises clips with one grammar; each answer is a line of ``cache``, written at once."""

    def __init__(self, grammar: CommandGrammar, lexicon: Lexicon, cache: Path = DEFAULT_CACHE) -> None:
        self._grammar, self._lexicon, self._cache = grammar, lexicon, cache
        self._transitions = transitions(grammar.graph)
        self._key = hashlib.sha256(json.dumps(self._transitions).encode()).hexdigest()[:16]
        self._decoder: Any = None
        self._answers: dict[str, str] = {}
        if cache.is_file():
            for line in cache.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                self._answers[row["key"]] = row["text"]

    def recognise(self, samples: Audio) -> str:
        """The sentence heard in 16 kHz samples; empty where none was."""
        pcm = to_int16(samples).tobytes()
        key = f"{self._key}-{hashlib.sha256(pcm).hexdigest()}"
        if key not in self._answers:
            self._answers[key] = self._decode(pcm)
            self._cache.parent.mkdir(parents=True, exist_ok=True)
            with self._cache.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({"key": key, "text": self._answers[key]}) + "\n")
        return self._answers[key]

    def _decode(self, pcm: bytes) -> str:
        decoder = self._decoder = self._decoder or self._open()
        with warnings.catch_warnings():
            # Called unnecessary by its deprecation, yet it alone forgets the noise level of the clips before.
            warnings.simplefilter("ignore", DeprecationWarning)
            decoder.start_stream()
        decoder.start_utt()
        decoder.process_raw(pcm, full_utt=True)
        decoder.end_utt()
        hypothesis = decoder.hyp()
        return "" if hypothesis is None else str(hypothesis.hypstr)

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
