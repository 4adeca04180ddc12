"""A trigram language model with back-off: read from ARPA files, made small, kept a probability.

    ln P(w | g h) = ln p(w | g h)                 where the trigram is listed
                    ln b(g h) + ln P(w | h)       otherwise
    ln P(w | h)   = ln p(w | h)                   where the bigram is listed
                    ln b(h) + ln p(w)             otherwise

S. Katz, "Estimation of probabilities from sparse data", 1987; A. Stolcke, "Entropy-based pruning of backoff
language models", 1998.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from galago.runtime.errors import InvalidArgumentError

__all__ = ["NgramError", "NgramModel", "read_arpa"]

SENTENCE_BEGIN, SENTENCE_END = "<s>", "</s>"
_LN_10 = math.log(10.0)

_Floats = NDArray[np.float64]
_Rows = NDArray[np.int64]


class NgramError(InvalidArgumentError):
    """A file is no language model, or a model cannot be what is asked; the message says where."""

    # A status names one class: `of_status` answers with the parent.
    status: ClassVar[int | None] = None


@dataclass(frozen=True)
class NgramModel:
    """V words, of which the first two are ``<s>`` and ``</s>``; N bigrams, M trigrams; natural logarithms.

    ``unigrams`` and ``back_offs`` are (V,) float64. ``before`` and ``after``, (N,) int64 rows of ``words``
    sorted by both, are the bigrams' words, ``bigrams`` and ``bigram_back_offs`` (N,) float64. A trigram
    follows a bigram: ``contexts`` (M,) int64 are rows of the bigrams, ``third`` (M,) int64 rows of ``words``,
    sorted by both, and ``trigrams`` (M,) float64.
    """

    words: tuple[str, ...]
    unigrams: _Floats
    back_offs: _Floats
    before: _Rows
    after: _Rows
    bigrams: _Floats
    bigram_back_offs: _Floats
    contexts: _Rows
    third: _Rows
    trigrams: _Floats

    @classmethod
    def from_ngrams(
        cls,
        name: str,
        words: tuple[str, ...],
        unigrams: _Floats,
        back_offs: _Floats,
        bigram_words: _Rows,
        bigrams: _Floats,
        trigram_words: _Rows,
        trigrams: _Floats,
    ) -> NgramModel:
        """From n-grams in any order: ``bigram_words`` (2, N), ``trigram_words`` (3, M) are rows of ``words``.

        ``bigrams`` (2, N) are their logarithms and their back-offs, ``trigrams`` (M,) logarithms.

        Raises NgramError, which begins with ``name``, where an n-gram is listed twice, or a trigram without
        the bigram that it begins with.
        """

        def sort(rows: _Rows, shown: Callable[[int], str]) -> _Rows:
            order: _Rows = np.lexsort(rows[::-1])
            twice = np.flatnonzero((rows[:, order[1:]] == rows[:, order[:-1]]).all(axis=0))
            if twice.size:
                raise NgramError(f"{name}: lists {shown(int(order[twice[0]]))} twice")
            return order

        def spelled(rows: _Rows, at: int) -> str:
            return f"'{' '.join(words[row] for row in rows[:, at].tolist())}'"

        order = sort(bigram_words, lambda at: "the bigram " + spelled(bigram_words, at))
        (before, after), (log_probs, bigram_back_offs) = bigram_words[:, order], bigrams[:, order]
        none = np.zeros(0, dtype=np.int64)
        model = cls(
            words,
            unigrams,
            back_offs,
            before,
            after,
            log_probs,
            bigram_back_offs,
            none,
            none,
            np.zeros(0),
        )
        contexts = model.find_bigrams(trigram_words[0], trigram_words[1])
        if (contexts < 0).any():
            at = int(np.argmin(contexts))
            shown, begin = spelled(trigram_words, at), spelled(trigram_words[:2], at)
            raise NgramError(f"{name}: lists the trigram {shown} and not the bigram {begin}")
        rows = np.array([contexts, trigram_words[2]])
        order = sort(rows, lambda at: "the trigram " + spelled(trigram_words, at))
        return replace(model, contexts=contexts[order], third=rows[1][order], trigrams=trigrams[order])

    def log_prob(self, *words: str) -> float:
        """ln P of the last of two or three words after those before it.

        Raises KeyError for a word that the model does not have.
        """
        rows = {word: row for row, word in enumerate(self.words)}
        *earlier, h, w = (rows[word] for word in words)
        found = np.flatnonzero((self.before == h) & (self.after == w))
        log_prob = float(self.bigrams[found[0]] if found.size else self.back_offs[h] + self.unigrams[w])
        context = np.flatnonzero((self.before == earlier[-1]) & (self.after == h)) if earlier else found[:0]
        if not context.size:
            return log_prob
        found = np.flatnonzero((self.contexts == context[0]) & (self.third == w))
        return float(self.trigrams[found[0]] if found.size else self.bigram_back_offs[context[0]] + log_prob)

    def find_bigrams(self, before: _Rows, after: _Rows) -> _Rows:
        """Rows of these bigrams, (K,) int64; -1 where they are not listed."""
        keys, asked = (h * len(self.words) + w for h, w in ((self.before, self.after), (before, after)))
        if not len(keys):
            return np.full(len(asked), -1, dtype=np.int64)
        rows = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
        return np.where(keys[rows] == asked, rows, -1)

    def limited(
        self, num_words: int, num_bigrams: int, num_trigrams: int = 0, *, keep: Callable[[str], bool]
    ) -> NgramModel:
        """The likeliest words that ``keep`` lets pass, and the n-grams that tell most beyond backing off.

        What an n-gram tells is P(h) P(w|h) (ln P(w|h) - ln P'(w|h)), P' being the model without it. Bigrams
        that a trigram is made of come first. The probabilities of what stays are divided by their sum, and
        back-offs computed anew.

        Raises NgramError where fewer than one word is left.
        """
        model = self._of_likeliest_words(num_words, keep)
        # Sentences begin as often as they end, and nothing is followed by their beginning.
        of_words = np.exp(model.unigrams)
        of_words[0] = of_words[1]
        of_bigrams = of_words[model.before] * np.exp(model.bigrams)
        mids = model.after[model.contexts]
        shorter = model.find_bigrams(mids, model.third)
        told = of_bigrams[model.contexts] * np.exp(model.trigrams)
        told *= model.trigrams - model.bigram_back_offs[model.contexts] - model.bigrams[shorter]
        trigrams = np.zeros(len(told), dtype=bool)
        # Where the shorter bigram is not listed either, there is nothing to hang a trigram on.
        trigrams[np.argsort(np.where(shorter < 0, np.inf, -told), kind="stable")[:num_trigrams]] = True
        trigrams &= shorter >= 0

        told = of_bigrams * (model.bigrams - model.back_offs[model.before] - model.unigrams[model.after])
        told[model.contexts[trigrams]] = told[shorter[trigrams]] = np.inf
        bigrams = np.zeros(len(told), dtype=bool)
        bigrams[np.argsort(-told, kind="stable")[:num_bigrams]] = True
        trigrams &= bigrams[model.contexts] & bigrams[shorter]
        return model._of_ngrams(bigrams, trigrams)._normalised()

    def _of_likeliest_words(self, num_words: int, keep: Callable[[str], bool]) -> NgramModel:
        """Without the other words, and without what is followed by the beginning of a sentence."""
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
        before, after, third = new_row[self.before], new_row[self.after], new_row[self.third]
        inside = (before >= 0) & (after > 0)
        order = np.flatnonzero(inside)
        order = order[np.lexsort((after[order], before[order]))]
        new_bigram = np.full(len(before), -1, dtype=np.int64)
        new_bigram[order] = np.arange(len(order))
        contexts = new_bigram[self.contexts]
        of_trigrams = np.flatnonzero((contexts >= 0) & (third > 0))
        of_trigrams = of_trigrams[np.lexsort((third[of_trigrams], contexts[of_trigrams]))]
        return NgramModel(
            tuple(self.words[row] for row in chosen),
            self.unigrams[chosen],
            self.back_offs[chosen],
            before[order],
            after[order],
            self.bigrams[order],
            self.bigram_back_offs[order],
            contexts[of_trigrams],
            third[of_trigrams],
            self.trigrams[of_trigrams],
        )

    def _of_ngrams(self, bigrams: NDArray[np.bool_], trigrams: NDArray[np.bool_]) -> NgramModel:
        new_bigram = np.cumsum(bigrams) - 1
        return replace(
            self,
            before=self.before[bigrams],
            after=self.after[bigrams],
            bigrams=self.bigrams[bigrams],
            bigram_back_offs=self.bigram_back_offs[bigrams],
            contexts=new_bigram[self.contexts[trigrams]],
            third=self.third[trigrams],
            trigrams=self.trigrams[trigrams],
        )

    def _normalised(self) -> NgramModel:
        """The same n-grams as a probability; each trigram's shorter bigram is listed."""
        of_words = np.exp(self.unigrams)
        of_words[0] = 0.0
        of_words /= of_words.sum()
        size = len(self.words)
        bigrams, back_offs = _shared_out(np.exp(self.bigrams), of_words[self.after], self.before, size)
        shorter = self.find_bigrams(self.after[self.contexts], self.third)
        trigrams, bigram_back_offs = _shared_out(
            np.exp(self.trigrams), bigrams[shorter], self.contexts, len(bigrams)
        )
        with np.errstate(divide="ignore"):
            unigrams = np.maximum(np.log(of_words), -30.0)
        return replace(
            self,
            unigrams=unigrams,
            back_offs=back_offs,
            bigrams=np.log(bigrams),
            bigram_back_offs=bigram_back_offs,
            trigrams=np.log(trigrams),
        )


def _shared_out(
    listed: _Floats, backed_off: _Floats, history: _Rows, num_histories: int
) -> tuple[_Floats, _Floats]:
    """Probabilities (N,) that leave room for what is not listed, and logarithms of back-offs (histories,).

    ``listed`` and ``backed_off`` (N,) are what the model says with them and without, each after ``history``.
    """
    sums = np.bincount(history, weights=listed, minlength=num_histories)
    covered = np.bincount(history, weights=backed_off, minlength=num_histories)
    # Where words were taken out of a full history, what is left must leave something for the others, and
    # nothing where there are no others.
    is_full = covered > 1.0 - 1e-9
    room = np.where(is_full, 1.0, np.minimum(sums, 0.98))
    listed = listed * (room / np.maximum(sums, 1e-300))[history]
    return listed, np.log(np.where(is_full, 1.0, 1.0 - room) / np.where(is_full, 1.0, 1.0 - covered))


def read_arpa(path: str | Path) -> NgramModel:
    """The unigrams, bigrams and trigrams of an ARPA file; longer n-grams are left alone.

    Raises NgramError naming file and line where the file is no such model; OSError if it cannot be read.
    """
    words: dict[str, int] = {SENTENCE_BEGIN: 0, SENTENCE_END: 1}
    unigrams, back_offs = [-99.0, math.nan], [0.0, 0.0]
    ngrams: dict[str, list[tuple[float, ...]]] = {"\\2-grams:": [], "\\3-grams:": []}
    section, is_complete = "", False
    with open(path, encoding="utf-8", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, start=1):
            fields = line.split()
            if not fields:
                continue
            if fields[0].startswith("\\"):
                section = fields[0]
                is_of_words = section in ("\\1-grams:", *ngrams)
                is_complete = section == "\\end\\" or (section.endswith("-grams:") and not is_of_words)
                if is_complete:
                    break
                continue
            try:
                if section == "\\1-grams:":
                    row = words.setdefault(fields[1], len(words))
                    value, back_off = _log_prob(fields[0]), _back_off(fields, 2)
                    if row == len(unigrams):
                        unigrams.append(value)
                        back_offs.append(back_off)
                    else:
                        unigrams[row], back_offs[row] = value, back_off
                elif section == "\\2-grams:":
                    h, w = words[fields[1]], words[fields[2]]
                    ngrams[section].append((h, w, _log_prob(fields[0]), _back_off(fields, 3)))
                elif section == "\\3-grams:":
                    g, h, w = words[fields[1]], words[fields[2]], words[fields[3]]
                    ngrams[section].append((g, h, w, _log_prob(fields[0])))
            except (IndexError, ValueError, KeyError) as error:
                raise NgramError(f"{path}:{number}: {line.strip()!r} is no n-gram: {error}") from error
    if not is_complete:
        raise NgramError(f"{path}: ends within {section or 'its head'}")
    if len(words) < 3 or math.isnan(unigrams[1]):
        raise NgramError(f"{path}: holds no words, or no {SENTENCE_END}")
    bigrams, trigrams = (np.array(listed, dtype=np.float64).reshape(-1, 4).T for listed in ngrams.values())
    return NgramModel.from_ngrams(
        str(path),
        tuple(words),
        np.array(unigrams) * _LN_10,
        np.array(back_offs) * _LN_10,
        bigrams[:2].astype(np.int64),
        bigrams[2:] * _LN_10,
        trigrams[:3].astype(np.int64),
        trigrams[3] * _LN_10,
    )


def _log_prob(field: str) -> float:
    value = float(field)
    if not math.isfinite(value):
        raise ValueError(f"{field} is no logarithm")
    return value


def _back_off(fields: list[str], at: int) -> float:
    return _log_prob(fields[at]) if len(fields) > at else 0.0
