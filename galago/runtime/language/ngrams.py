"""A bigram language model with back-off: read from ARPA files, made small, kept a probability.

    ln P(w | h) = ln p(w | h)              where the bigram is listed
                  ln b(h) + ln p(w)        otherwise

S. Katz, "Estimation of probabilities from sparse data", 1987; A. Stolcke, "Entropy-based pruning of backoff
language models", 1998.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from galago.runtime.errors import InvalidArgumentError

__all__ = ["BigramModel", "NgramError", "pocketsphinx_bigrams", "read_arpa"]

SENTENCE_BEGIN, SENTENCE_END = "<s>", "</s>"
_LN_10 = math.log(10.0)


class NgramError(InvalidArgumentError):
    """A file is no language model, or a model cannot be what is asked; the message says where."""

    # A status names one class: `of_status` answers with the parent.
    status: ClassVar[int | None] = None


@dataclass(frozen=True)
class BigramModel:
    """V words, of which the first two are ``<s>`` and ``</s>``, and N bigrams in natural logarithms.

    ``unigrams`` and ``back_offs`` are (V,) float64; ``before``, ``after`` (N,) int64 rows of ``words``,
    sorted by both, and ``bigrams`` (N,) float64.
    """

    words: tuple[str, ...]
    unigrams: NDArray[np.float64]
    back_offs: NDArray[np.float64]
    before: NDArray[np.int64]
    after: NDArray[np.int64]
    bigrams: NDArray[np.float64]

    def log_prob(self, before: str, after: str) -> float:
        """ln P(after | before). Raises KeyError for a word that the model does not have."""
        rows = {word: row for row, word in enumerate(self.words)}
        h, w = rows[before], rows[after]
        found = np.flatnonzero((self.before == h) & (self.after == w))
        if found.size:
            return float(self.bigrams[found[0]])
        return float(self.back_offs[h] + self.unigrams[w])

    def limited(self, num_words: int, num_bigrams: int, *, keep: Callable[[str], bool]) -> BigramModel:
        """The likeliest words that ``keep`` lets pass, and the bigrams that tell most beyond backing off.

        What a bigram tells is P(h) P(w|h) (ln P(w|h) - ln P'(w|h)), P' being the model without it. The
        probabilities of what stays are divided by their sum, and back-offs computed anew.

        Raises NgramError where fewer than one word is left.
        """
        chosen = [0, 1]
        for row in np.argsort(-self.unigrams, kind="stable").tolist():
            if len(chosen) == num_words + 2:
                break
            if row > 1 and keep(self.words[row]):
                chosen.append(row)
        if len(chosen) < 3:
            raise NgramError("no word of the language model is left")
        new_row = np.full(len(self.words), -1, dtype=np.int64)
        new_row[chosen] = np.arange(len(chosen))
        probabilities = np.exp(self.unigrams[chosen])
        probabilities[0] = 0.0  # nothing is followed by the beginning of a sentence
        probabilities /= probabilities.sum()

        before, after = new_row[self.before], new_row[self.after]
        inside = (before >= 0) & (after > 0)
        before, after = before[inside], after[inside]
        listed = np.exp(self.bigrams[inside])
        backed_off = self.back_offs[self.before[inside]] + self.unigrams[self.after[inside]]
        of_history = np.exp(self.unigrams[self.before[inside]])
        of_history[before == 0] = probabilities[1]  # sentences begin as often as they end
        told = of_history * listed * (np.log(listed) - backed_off)
        best = np.sort(np.argsort(-told, kind="stable")[:num_bigrams])
        before, after, listed = before[best], after[best], listed[best]
        order = np.lexsort((after, before))
        before, after, listed = before[order], after[order], listed[order]

        size = len(chosen)
        sums = np.bincount(before, weights=listed, minlength=size)
        covered = np.bincount(before, weights=probabilities[after], minlength=size)
        # Where words were taken out of a full history, what is left must leave something for the others,
        # and nothing where there are no others.
        is_full = covered > 1.0 - 1e-9
        room = np.where(is_full, 1.0, np.minimum(sums, 0.98))
        listed = listed * (room / np.maximum(sums, 1e-300))[before]
        back_offs = np.log(np.where(is_full, 1.0, 1.0 - room) / np.where(is_full, 1.0, 1.0 - covered))
        with np.errstate(divide="ignore"):
            unigrams = np.maximum(np.log(probabilities), -30.0)
        words = tuple(self.words[row] for row in chosen)
        return BigramModel(words, unigrams, back_offs, before, after, np.log(listed))


def read_arpa(path: str | Path, *, is_cut_short: bool = False) -> BigramModel:
    """The unigrams and bigrams of an ARPA file; longer n-grams are left alone.

    ``is_cut_short`` allows for a file that ends within or behind its bigrams; a last line without its line
    feed is left out.

    Raises NgramError naming file and line where the file is no such model; OSError if it cannot be read.
    """
    words: dict[str, int] = {SENTENCE_BEGIN: 0, SENTENCE_END: 1}
    unigrams, back_offs = [-99.0, math.nan], [0.0, 0.0]
    before: list[int] = []
    after: list[int] = []
    bigrams: list[float] = []
    section, is_complete = "", False
    with open(path, encoding="utf-8", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, start=1):
            fields = line.split()
            if not fields or (is_cut_short and not line.endswith("\n")):
                continue
            if fields[0].startswith("\\"):
                section = fields[0]
                if section not in ("\\data\\", "\\1-grams:", "\\2-grams:"):
                    is_complete = True
                    break
                continue
            try:
                if section == "\\1-grams:":
                    row = words.setdefault(fields[1], len(words))
                    value, back_off = _log_prob(fields[0]), _log_prob(fields[2]) if len(fields) > 2 else 0.0
                    if row == len(unigrams):
                        unigrams.append(value)
                        back_offs.append(back_off)
                    else:
                        unigrams[row], back_offs[row] = value, back_off
                elif section == "\\2-grams:":
                    value, h, w = _log_prob(fields[0]), words[fields[1]], words[fields[2]]
                    before.append(h)
                    after.append(w)
                    bigrams.append(value)
            except (IndexError, ValueError, KeyError) as error:
                raise NgramError(f"{path}:{number}: {line.strip()!r} is no n-gram: {error}") from error
    if not is_complete and not (is_cut_short and section == "\\2-grams:"):
        raise NgramError(f"{path}: ends within {section or 'its head'}")
    if len(words) < 3 or math.isnan(unigrams[1]):
        raise NgramError(f"{path}: holds no words, or no {SENTENCE_END}")
    rows = np.array([before, after], dtype=np.int64)
    order = np.lexsort((rows[1], rows[0]))
    rows = rows[:, order]
    twice = np.flatnonzero((rows[:, 1:] == rows[:, :-1]).all(axis=0))
    if twice.size:
        names = tuple(words)
        h, w = rows[:, twice[0]].tolist()
        raise NgramError(f"{path}: lists the bigram '{names[h]} {names[w]}' twice")
    return BigramModel(
        tuple(words),
        np.array(unigrams) * _LN_10,
        np.array(back_offs) * _LN_10,
        rows[0],
        rows[1],
        np.array(bigrams, dtype=np.float64)[order] * _LN_10,
    )


def _log_prob(field: str) -> float:
    value = float(field)
    if not math.isfinite(value):
        raise ValueError(f"{field} is no logarithm")
    return value


# Its writer breaks down behind the bigrams, and takes the process with it.
_WRITE_ARPA = """
import pathlib, sys
import pocketsphinx
folder = pathlib.Path(pocketsphinx.__file__).parent / "model" / "en-us"
config, log_math = pocketsphinx.Config(), pocketsphinx.LogMath()
pocketsphinx.NGramModel(config, log_math, str(folder / "en-us.lm.bin")).write(sys.argv[1])
"""


def pocketsphinx_bigrams() -> BigramModel:
    """The unigrams and bigrams of the US English language model that the package ``pocketsphinx`` carries.

    CMU Sphinx, two-clause BSD licence; 72,000 words.

    Raises NgramError where the package is not installed, or not all of its bigrams could be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "en-us.arpa"
        command = [sys.executable, "-c", _WRITE_ARPA, str(path)]
        written = subprocess.run(command, capture_output=True, text=True, check=False)
        if not path.is_file():
            raise NgramError(
                f"no language model of pocketsphinx (pip install pocketsphinx): {written.stderr.strip()}"
            )
        with open(path, encoding="utf-8") as lines:
            counts = [
                line.removeprefix("ngram 2=")
                for _, line in zip(range(8), lines, strict=False)
                if line.startswith("ngram 2=")
            ]
        model = read_arpa(path, is_cut_short=True)
    # What the writer still held when it broke down is lost: some forty of two million.
    if not counts or len(model.bigrams) < 0.9999 * int(counts[0]):
        raise NgramError(
            f"{len(model.bigrams)} bigrams of pocketsphinx's language model were read, of {counts}"
        )
    return model
