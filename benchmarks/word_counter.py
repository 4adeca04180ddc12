"""How often each word of a known text is heard in speech: skipped words are heard never, repeated ones twice.

A recogniser of open text makes errors of its own on any voice. This one is told the words, and decides for
each only whether it is there: pocketsphinx with a grammar of the sentence's words in a row, in which every
word may be left out and the way leads back behind every word, both at a price::

        ┌─ skipped ─┐┌─ skipped ─┐
    0 ──┴── w0 ─────┴┴── w1 ─────┴── ... ── n
        └◄─ again ──┘└◄─ again ──┘

Words are told apart by their place, so "the the the" is three words. What it gets wrong is measured, not
believed: how many words of plain recordings it misses or hears twice, and how many of those that were cut
out or doubled on purpose it finds (``hard_sentences.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from benchmarks.corpora import Audio, to_int16
from benchmarks.pocketsphinx_peer import decode_whole

Transition = tuple[int, int, float] | tuple[int, int, float, str]
Variants = Sequence[Sequence[str]]  # pronunciations of a word, phones without stress

SEARCH = "words"
FRAME_SAMPLES = 160  # pocketsphinx counts in 10 ms


def names_of(words: Sequence[Variants]) -> list[str]:
    """A name for every word that no other word of the sentence has, the same in all sentences."""
    seen: Counter[str] = Counter()
    names = []
    for variants in words:
        plain = "/".join("-".join(phones) for phones in variants)
        seen[plain] += 1
        names.append(f"{plain}.{seen[plain]}")
    return names


def transitions(names: Sequence[str], price: float | None) -> list[Transition]:
    """The grammar from state 0 to ``len(names)``. ``price``: the probability of a fault; None allows none."""
    listed: list[Transition] = []
    for place, name in enumerate(names):
        listed.append((place, place + 1, 1.0, name))
        if price is not None:
            listed.append((place, place + 1, price))
            listed.append((place + 1, place, price))
    return listed


class WordCounter:
    """Counts words; ``price`` as :func:`transitions` has it."""

    def __init__(self, price: float) -> None:
        from pocketsphinx import Decoder

        self.price = price
        # Words are not weighted against sound, and nothing is pruned that a cut word needs. The best path is
        # that of the search: one through its lattice would no longer know the price of a fault.
        self._decoder: Any = Decoder(
            lm=None, loglevel="FATAL", bestpath=False, lw=1.0, wip=1.0, pip=1.0,
            beam=1e-80, pbeam=1e-80, wbeam=1e-60,
        )  # fmt: skip

    def _know(self, name: str, variants: Variants) -> None:
        if self._decoder.lookup_word(name) is not None:
            return
        for number, phones in enumerate(variants):
            self._decoder.add_word(name if number == 0 else f"{name}({number + 1})", " ".join(phones), False)

    def _decode(
        self, samples: Audio, words: Sequence[Variants], price: float | None
    ) -> tuple[list[str], str]:
        if not words or not all(words):
            raise ValueError("every word needs a pronunciation, and there must be one")
        names = names_of(words)
        for name, variants in zip(names, words, strict=True):
            self._know(name, variants)
        fsg = self._decoder.create_fsg(SEARCH, 0, len(names), transitions(names, price))
        self._decoder.add_fsg(SEARCH, fsg)
        self._decoder.activate_search(SEARCH)
        return names, decode_whole(self._decoder, to_int16(samples).tobytes())

    def count(self, samples: Audio, words: Sequence[Variants]) -> list[int]:
        """How often each of ``words`` is heard in 16 kHz samples.

        Raises:
            ValueError: no words, or one without a pronunciation.
        """
        names, text = self._decode(samples, words, self.price)
        heard = Counter(text.split())
        return [heard[name] for name in names]

    def places(self, samples: Audio, words: Sequence[Variants]) -> list[tuple[int, int]] | None:
        """Where each word begins and ends, in samples, if all are there; None where they do not fit.

        Raises:
            ValueError: no words, or one without a pronunciation.
        """
        names, text = self._decode(samples, words, None)
        if text.split() != names:
            return None
        wanted, found = set(names), []
        for part in self._decoder.seg():
            if part.word.split("(")[0] in wanted:
                found.append((part.start_frame * FRAME_SAMPLES, (part.end_frame + 1) * FRAME_SAMPLES))
        return found
