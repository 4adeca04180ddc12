"""A pruned back-off n-gram model over small token ids: the statistics behind letter-to-sound.

Estimated with absolute discounting (three discounts an order, interpolated), pruned by relative entropy,
stored as quantised log-probabilities. Token ids are 1..255; ``BOUNDARY`` (1) opens and closes a sequence.
An n-gram is a packed integer, eight bits a token, the newest token lowest::

    (7, 4, 9)  ->  7 << 16 | 4 << 8 | 9

After: Bisani, Ney, "Joint-sequence models for grapheme-to-phoneme conversion", Speech Communication 2008;
Chen, Goodman, "An empirical study of smoothing techniques", 1999; Stolcke, "Entropy-based pruning of
backoff language models", 1998.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.int64]
Floats = NDArray[np.float64]

BOUNDARY = 1
MAX_TOKEN = 255
TOKEN_BITS = 8
MAX_ORDER = 7  # 56 bits: a key stays a positive int64

_QUANTA_PER_NAT = 8.0  # log-probabilities are kept to 1/8 nat, 0 to -31.9
_MIN_MASS = 1e-4  # floor of the probability left for unseen tokens, where rounding eats it up
_HEADER = struct.Struct("<II")


class GraphoneModel:
    """``tables[k - 1]`` holds the n-grams of order k, sorted: keys, log-probabilities, back-off weights."""

    def __init__(self, keys: list[Keys], log_probs: list[Floats], backoffs: list[Floats]) -> None:
        self.order = len(keys)
        self._keys, self._log_probs, self._backoffs = keys, log_probs, backoffs

    @property
    def num_ngrams(self) -> int:
        return sum(len(keys) for keys in self._keys)

    def log_prob(self, ngrams: Keys, max_order: int | None = None) -> Floats:
        """Log-probability of the newest token of each packed n-gram given the tokens before it.

        Tokens beyond the order are ignored; zeros stand where the sequence had not begun.
        """
        out = np.zeros(len(ngrams))
        weight = np.zeros(len(ngrams))
        todo = np.arange(len(ngrams))
        for order in range(max_order or self.order, 0, -1):
            key = ngrams[todo] & _mask(order)
            index, found = _find(self._keys[order - 1], key)
            hits = todo[found]
            out[hits] = weight[hits] + self._log_probs[order - 1][index[found]]
            todo = todo[~found]
            if not len(todo) or order == 1:
                break
            index, found = _find(self._keys[order - 2], key[~found] >> TOKEN_BITS)
            weight[todo] += np.where(found, self._backoffs[order - 2][index], 0.0)
        out[todo] = -np.inf  # a token that training never saw
        return out

    @classmethod
    def train(cls, sequences: Sequence[Sequence[int]], *, order: int, threshold: float) -> GraphoneModel:
        """Estimate from sequences of token ids in 2..255 (boundaries are added here).

        ``threshold`` is what an n-gram must bring, in nats a token of the training set, to be kept.
        """
        if not 2 <= order <= MAX_ORDER:
            raise ValueError(f"order is {order}; it must lie in 2..{MAX_ORDER}")
        counts = _count_ngrams(sequences, order)
        model = _estimate(counts)
        num_tokens = int(counts[0][1].sum())
        model._prune([count / num_tokens for _, count in counts], threshold)
        model._set_backoffs()
        return model

    def _prune(self, shares: list[Floats], threshold: float) -> None:
        """Drop n-grams that the shorter ones predict nearly as well; keep what longer ones stand on."""
        contexts = np.zeros(0, np.int64)
        for order in range(self.order, 1, -1):
            keys, log_probs = self._keys[order - 1], self._log_probs[order - 1]
            index, found = _find(self._keys[order - 2], keys >> TOKEN_BITS)
            backoff = np.where(found, self._backoffs[order - 2][index], 0.0)
            shorter = backoff + self.log_prob(keys, order - 1)
            keep = shares[order - 1] * (log_probs - shorter) > threshold
            index, found = _find(keys, contexts)
            keep[index[found]] = True
            contexts = np.unique(keys[keep] >> TOKEN_BITS)
            self._keys[order - 1], self._log_probs[order - 1] = keys[keep], log_probs[keep]
            self._backoffs[order - 1] = self._backoffs[order - 1][keep]

    def _set_backoffs(self) -> None:
        """What the kept n-grams of a context leave, over what the shorter model gives to the same tokens."""
        self._backoffs[-1] = np.zeros(len(self._keys[-1]))
        for order in range(2, self.order + 1):
            keys = self._keys[order - 1]
            contexts, member = np.unique(keys >> TOKEN_BITS, return_inverse=True)
            left = 1.0 - np.bincount(member, np.exp(self._log_probs[order - 1]))
            shorter = 1.0 - np.bincount(member, np.exp(self.log_prob(keys, order - 1)))
            backoff = np.zeros(len(self._keys[order - 2]))
            index, _ = _find(self._keys[order - 2], contexts)
            backoff[index] = np.log(np.maximum(left, _MIN_MASS) / np.maximum(shorter, _MIN_MASS))
            self._backoffs[order - 2] = backoff

    def to_bytes(self) -> bytes:
        """Serialise; as a trie, so that a general compressor does well: successors hang on their context."""
        sections = [_HEADER.pack(self.order, len(self._keys[0])), self._keys[0].astype(np.uint8).tobytes()]
        for order in range(1, self.order + 1):
            keys = self._keys[order - 1]
            sections.append(_quantise(-self._log_probs[order - 1]).tobytes())
            if order == self.order:
                break
            longer = self._keys[order]
            contexts, first, num_successors = np.unique(
                longer >> TOKEN_BITS, return_index=True, return_counts=True
            )
            index, _ = _find(keys, contexts)
            fan_out = np.zeros(len(keys), np.uint8)
            fan_out[index] = num_successors
            tokens = longer & _mask(1)
            steps = np.diff(tokens, prepend=0)
            steps[first] = tokens[first]
            sections += [fan_out.tobytes(), steps.astype(np.uint8).tobytes()]
            sections.append(_quantise(self._backoffs[order - 1][index], zero=128).tobytes())
        return b"".join(sections)

    @classmethod
    def from_bytes(cls, data: bytes) -> GraphoneModel:
        """Inverse of ``to_bytes``, up to quantisation. Raises ValueError where the bytes are cut short."""
        reader = _Reader(data)
        order, num_unigrams = _HEADER.unpack(reader.take(_HEADER.size))
        if not 2 <= order <= MAX_ORDER:
            raise ValueError(f"letter-to-sound table: order {order}, expected 2..{MAX_ORDER}")
        keys: list[Keys] = [reader.bytes(num_unigrams).astype(np.int64)]
        log_probs: list[Floats] = []
        backoffs: list[Floats] = []
        for _ in range(1, order):
            context = keys[-1]
            log_probs.append(reader.bytes(len(context)) / -_QUANTA_PER_NAT)
            fan_out = reader.bytes(len(context)).astype(np.int64)
            parent = np.repeat(np.arange(len(context)), fan_out)
            tokens = np.cumsum(reader.bytes(int(fan_out.sum())).astype(np.int64))
            begin = np.repeat(np.cumsum(fan_out) - fan_out, fan_out)  # each successor's first sibling
            tokens -= np.where(begin > 0, tokens[begin - 1], 0)
            keys.append(context[parent] << TOKEN_BITS | tokens)
            backoff = np.zeros(len(context))
            has_successors = fan_out > 0
            backoff[has_successors] = (
                reader.bytes(int(has_successors.sum())).astype(np.float64) - 128
            ) / _QUANTA_PER_NAT
            backoffs.append(backoff)
        log_probs.append(reader.bytes(len(keys[-1])) / -_QUANTA_PER_NAT)
        backoffs.append(np.zeros(len(keys[-1])))
        reader.finish()
        return cls(keys, log_probs, backoffs)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._offset = data, 0

    def take(self, num_bytes: int) -> bytes:
        part = self._data[self._offset : self._offset + num_bytes]
        if len(part) != num_bytes:
            raise ValueError(f"letter-to-sound table: cut short at byte {len(self._data)}")
        self._offset += num_bytes
        return part

    def bytes(self, num: int) -> NDArray[np.uint8]:
        return np.frombuffer(self.take(num), np.uint8)

    def finish(self) -> None:
        if self._offset != len(self._data):
            raise ValueError(f"letter-to-sound table: {len(self._data) - self._offset} bytes too many")


def _mask(num_tokens: int) -> int:
    return (1 << (TOKEN_BITS * num_tokens)) - 1


def _find(table: Keys, keys: Keys) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Index of each key in a sorted table (valid where found), and whether it is there."""
    if not len(table):
        return np.zeros(len(keys), np.intp), np.zeros(len(keys), np.bool_)
    index = np.minimum(np.searchsorted(table, keys), len(table) - 1)
    return index, table[index] == keys


def _quantise(nats: Floats, zero: int = 0) -> NDArray[np.uint8]:
    quanta: Floats = np.rint(nats * _QUANTA_PER_NAT) + zero
    return np.clip(quanta, 0.0, 255.0).astype(np.uint8)


def _count_ngrams(sequences: Sequence[Sequence[int]], order: int) -> list[tuple[Keys, NDArray[np.int64]]]:
    """Sorted keys and counts for each order; an n-gram begins at the opening boundary at the earliest."""
    gap = [0] * order
    tokens = np.array([token for seq in sequences for token in (*gap, BOUNDARY, *seq, BOUNDARY)], np.int64)
    positions = np.flatnonzero((tokens != 0) & (np.roll(tokens, 1) != 0))  # all but the opening boundary
    counts = []
    for n in range(1, order + 1):
        keys = np.zeros(len(positions), np.int64)
        complete = np.ones(len(positions), np.bool_)
        for back in reversed(range(n)):
            token = tokens[positions - back]
            complete &= token != 0
            keys = keys << TOKEN_BITS | token
        unique, count = np.unique(keys[complete], return_counts=True)
        counts.append((unique, count))
    return counts


def _estimate(counts: list[tuple[Keys, NDArray[np.int64]]]) -> GraphoneModel:
    """Interpolated absolute discounting, written as a back-off model."""
    keys: list[Keys] = []
    log_probs: list[Floats] = []
    backoffs: list[Floats] = []
    for order, (table, count) in enumerate(counts, start=1):
        discount = _discounts(count)[np.minimum(count, 3)] if order > 1 else np.zeros(len(count))
        contexts, member = np.unique(table >> TOKEN_BITS, return_inverse=True)
        total = np.bincount(member, count)
        probs = (count - discount) / total[member]
        if order > 1:
            freed = np.bincount(member, discount) / total
            index, _ = _find(keys[-1], table & _mask(order - 1))
            probs += freed[member] * np.exp(log_probs[-1][index])
            index, found = _find(keys[-1], contexts)
            backoffs[-1][index[found]] = np.log(freed[found])
        keys.append(table)
        log_probs.append(np.log(probs))
        backoffs.append(np.zeros(len(table)))
    return GraphoneModel(keys, log_probs, backoffs)


def _discounts(count: NDArray[np.int64]) -> Floats:
    """Discount of n-grams seen 0, 1, 2 and 3 or more times (Chen and Goodman, eq. 26)."""
    n1, n2, n3, n4 = (max(int((count == times).sum()), 1) for times in (1, 2, 3, 4))
    share = n1 / (n1 + 2 * n2)
    discounts = [0.0, 1 - 2 * share * n2 / n1, 2 - 3 * share * n3 / n2, 3 - 4 * share * n4 / n3]
    return np.clip(discounts, [0.0, 0.1, 0.1, 0.1], [0.0, 0.9, 1.8, 2.7])
