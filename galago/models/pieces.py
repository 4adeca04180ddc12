"""Pieces of words, found by byte-pair encoding (Sennrich et al. 2016): between characters and words.

A word begins with a space of its own, written ``_`` here: ``_lamp``, or ``_l`` ``amp``. The pieces of a
vocabulary stand in the order in which they were found, and a word is taken apart by joining, again and
again, the two neighbours whose joint was found first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

__all__ = ["BEGIN", "END", "NUM_SPECIAL", "SPACE", "Pieces", "chosen_pieces"]

#: Not pieces of any word: nothing, the begin of a text, its end.
NOTHING, BEGIN, END = 0, 1, 2
NUM_SPECIAL = 3
SPACE = " "


class Pieces:
    """A vocabulary. ``names[i]`` is what piece ``i`` stands for; the first three are no text.

    Raises:
        ValueError: fewer than four names, or one twice.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._index = {name: i for i, name in enumerate(self.names) if i >= NUM_SPECIAL}
        if not self._index or len(self._index) != len(self.names) - NUM_SPECIAL:
            raise ValueError(f"{len(self.names)} pieces, {len(self._index)} of them different texts")
        self._encoded = lru_cache(maxsize=100_000)(self._encode_word)

    def __len__(self) -> int:
        return len(self.names)

    def encode(self, words: Iterable[str]) -> list[int]:
        """Pieces of a text.

        Raises:
            ValueError: a character that is no piece.
        """
        return [piece for word in words for piece in self._encoded(word)]

    def decode(self, pieces: Iterable[int]) -> str:
        """The text of some pieces."""
        return "".join(self.names[piece] for piece in pieces if piece >= NUM_SPECIAL).strip(SPACE)

    def _encode_word(self, word: str) -> tuple[int, ...]:
        parts = list(SPACE + word)
        for part in parts:
            if part not in self._index:
                raise ValueError(f"{word!r}: no piece has {part!r}")
        while len(parts) > 1:
            joints = [self._index.get(a + b) for a, b in zip(parts, parts[1:], strict=False)]
            found = [joint for joint in joints if joint is not None]
            if not found:
                break
            first = joints.index(min(found))
            parts[first : first + 2] = [parts[first] + parts[first + 1]]
        return tuple(self._index[part] for part in parts)


def chosen_pieces(pieces: Pieces, words: Mapping[str, float], count: int) -> list[int]:
    """The ``count`` pieces of a vocabulary that some words need most, in their order.

    Kept are the three that are no text, every character of the words and of a-z, and the pieces that the
    words are made of, those of the most frequent words first. A piece that two kept ones cannot make is
    reached all the same where its own parts are kept: each is kept with the parts that it is joined from.

    Args:
        words: how often each is expected.

    Raises:
        ValueError: ``count`` is below the characters, or a word has one that no piece has.
    """
    needed: dict[int, float] = {}
    for word, frequency in words.items():
        for piece in pieces.encode([word]):
            needed[piece] = needed.get(piece, 0.0) + frequency
    letters = {SPACE, *"abcdefghijklmnopqrstuvwxyz'", *(c for word in words for c in word)}
    index = {name: i for i, name in enumerate(pieces.names) if i >= NUM_SPECIAL}
    kept = {*range(NUM_SPECIAL), *(index[letter] for letter in letters if letter in index)}
    if len(kept) > count:
        raise ValueError(f"{count} pieces: {len(kept)} are needed for the characters alone")
    for piece in sorted(needed, key=lambda i: (-needed[i], i)):
        family = _with_parts(pieces.names[piece], index)
        if len(kept | family) <= count:
            kept |= family
    return sorted(kept)


def _with_parts(name: str, index: Mapping[str, int]) -> set[int]:
    """A piece and everything that it is joined from, down to characters."""
    if len(name) == 1:
        return {index[name]}
    within = {name[i:j] for i in range(len(name)) for j in range(i + 1, len(name) + 1)}
    below = {n: index[n] for n in within if index.get(n, index[name]) < index[name]}
    parts = list(name)
    family = {index[name]}
    while len(parts) > 1:
        joints = [below.get(a + b) for a, b in zip(parts, parts[1:], strict=False)]
        found = [joint for joint in joints if joint is not None]
        if not found:
            break
        first = joints.index(min(found))
        family.add(min(found))
        parts[first : first + 2] = [parts[first] + parts[first + 1]]
    return family | {index[character] for character in name}
