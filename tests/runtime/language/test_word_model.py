"""Word models: the file is laid out as the native core reads it, and the core hears its words."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from galago.runtime.language.lexicon import Lexicon
from galago.runtime.language.ngrams import NgramError, NgramModel, read_arpa
from galago.runtime.language.phones import PHONE_INDEX, PHONES
from galago.runtime.language.word_model import (
    MAX_WORDS,
    build_word_model,
    listed_pronunciations,
    main,
    make_word_model,
)
from tests.runtime.language.tiny_arpa import TINY_ARPA
from tests.runtime.language.tiny_lexicon import tiny_lexicon
from tests.runtime.native_tools import decode, find_tool

LEXICON = tiny_lexicon()
SOUNDS = listed_pronunciations(LEXICON)


@pytest.fixture
def model(tmp_path: Path) -> NgramModel:
    path = tmp_path / "tiny.arpa"
    path.write_text(TINY_ARPA, encoding="utf-8")
    return read_arpa(path).limited(10, 10, 10, keep=lambda word: bool(SOUNDS(word)))


def words_alone(*words: str) -> NgramModel:
    """Words that are all as likely, in any order."""
    size = len(words) + 2
    none = np.zeros(0, dtype=np.int64)
    log_probs = np.full(size, -np.log(size - 1))
    return NgramModel.from_ngrams(
        "words",
        ("<s>", "</s>", *words),
        log_probs,
        np.zeros(size),
        none.reshape(2, 0),
        np.zeros((2, 0)),
        none.reshape(3, 0),
        np.zeros(0),
    )


def spoken(text: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """Log-probabilities of the text's phones, 1 to 3 rows each, silence before every word."""
    heard: list[int] = []
    for word in text.split():
        heard.append(0)
        for phone in LEXICON.pronounce(word)[-1]:
            heard += [PHONE_INDEX[phone]] * int(rng.integers(1, 4))
    logits = rng.standard_normal((len(heard), len(PHONES)))
    logits[np.arange(len(heard)), heard] += 7.0
    log_probs: NDArray[np.float64] = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return log_probs


def hear(library: Path, data: bytes, folder: Path, text: str, **options: object) -> dict[str, Any]:
    path = folder / "words.bin"
    path.write_bytes(data)
    rows = spoken(text, np.random.default_rng(len(text)))
    return decode(find_tool(library, "tool_words"), rows, {"model": path, **options})


def test_the_parts_lie_aligned_and_fill_the_file(model: NgramModel) -> None:
    data = build_word_model(model, SOUNDS)
    magic, version, *sizes = struct.unpack_from("<4s10I", data)
    words, nodes, leaves, contexts, phones, names_bytes, spellings_bytes, bigrams_bytes, trigrams_bytes = (
        sizes
    )
    assert (magic, version) == (b"GWRD", 2)
    assert (words, contexts, phones) == (7, len(set(model.contexts.tolist())), 40)
    sounds = {variant[:end] for word in model.words[2:] for variant in SOUNDS(word) for end in range(1, 9)}
    assert nodes == 1 + len(sounds)
    assert leaves == sum(len(set(SOUNDS(word))) for word in model.words[2:])
    assert names_bytes == sum(len(phone) + 1 for phone in PHONES)
    assert spellings_bytes == sum(len(word) for word in model.words[2:])
    # Fewer than 64 of everything: one group.
    assert nodes < 64
    parts = [
        *(names_bytes, 4, 2 * (words + 1), spellings_bytes, 2 * words, 2 * words, 3 * 16 * 4),
        *(4 * (words + 1), bigrams_bytes, 4, trigrams_bytes),
        *(4, 2 * (nodes + 1), 4, 2 * (nodes + 1), nodes, nodes, 2 * leaves),
    ]
    at = struct.calcsize("<4s10I")
    for num_bytes in parts:
        assert at % 4 == 0
        at += num_bytes
        assert data[at : at + -at % 4] == bytes(-at % 4)
        at += -at % 4
    assert at == len(data)


def test_the_same_words_give_the_same_bytes(tmp_path: Path) -> None:
    path, out = tmp_path / "tiny.arpa", tmp_path / "words.bin"
    path.write_text(TINY_ARPA, encoding="utf-8")
    sizes = {"num_bigrams": 5, "num_trigrams": 2}
    once = make_word_model(read_arpa(path), lexicon=LEXICON, num_words=4, **sizes)
    assert once == make_word_model(read_arpa(path), lexicon=tiny_lexicon(), num_words=4, **sizes)
    assert once != make_word_model(read_arpa(path), lexicon=LEXICON, num_words=3, **sizes)
    assert once != make_word_model(
        read_arpa(path), lexicon=LEXICON, num_words=4, num_bigrams=5, num_trigrams=0
    )
    options = ["--num-words", "3", "--num-bigrams", "5", "--num-trigrams", "1"]
    assert main([str(out), "--arpa", str(path), *options]) == 0
    assert struct.unpack_from("<4s2I", out.read_bytes()) == (b"GWRD", 2, 5)


def test_the_core_reads_what_was_written(model: NgramModel, tmp_path: Path, native_library: Path) -> None:
    heard = hear(native_library, build_word_model(model, SOUNDS), tmp_path, "turn off", show=1)
    assert heard["phones"] == list(PHONES)
    assert heard["spellings"] == ["", "", *model.words[2:]]
    words = model.words
    after_one = [[model.log_prob(before, word) for word in words] for before in words]
    # Fewer than 16 n-grams stand for themselves; the others are sums of two in steps of 1/1024 nat.
    np.testing.assert_allclose(np.array(heard["log_probs"]), after_one, atol=1 / 1024 + 1e-5)
    after_two = [[[model.log_prob(g, h, w) for w in words] for h in words] for g in words]
    np.testing.assert_allclose(np.array(heard["log_probs_after_two"]), after_two, atol=1 / 1024 + 1e-5)
    assert len(model.trigrams) == 2
    assert not np.allclose(after_two, np.array(after_one)[None], atol=0.1)


@pytest.mark.parametrize("text", ["turn off", "turn to you", "two", "turn off turn to two"])
def test_words_are_heard(text: str, model: NgramModel, tmp_path: Path, native_library: Path) -> None:
    heard = hear(native_library, build_word_model(model, SOUNDS), tmp_path, text)
    assert heard["text"] == text
    words = heard["words"]
    assert [word["word"] for word in words] == text.split()
    ends = [0, *(word["end_token"] for word in words)]
    assert all(end < word["begin_token"] < word["end_token"] for end, word in zip(ends, words, strict=False))
    assert all(0.5 < word["confidence"] <= 1.0 for word in words)


def test_every_pronunciation_leads_to_its_word(tmp_path: Path, native_library: Path) -> None:
    words = words_alone("tomato", "the", "two")
    first = build_word_model(words, lambda word: SOUNDS(word)[:1])
    both = build_word_model(words, SOUNDS)
    doubts = []
    for data in (first, both):  # what is said is the last pronunciation of each
        heard = hear(native_library, data, tmp_path, "the tomato two")
        assert heard["text"] == "the tomato two"
        doubts.append([word["confidence"] < 0.8 for word in heard["words"]])
    assert doubts == [[True, True, False], [False, False, False]]


def test_pronunciations_that_are_alike_count_once(tmp_path: Path, native_library: Path) -> None:
    data = build_word_model(words_alone("two"), lambda word: [("T", "UW"), ("T", "UW")])
    assert struct.unpack_from("<4s10I", data)[4] == 1  # leaves
    assert hear(native_library, data, tmp_path, "two two")["text"] == "two two"


@pytest.mark.parametrize(
    ("sounds", "message"),
    [
        ([], "'two': has no pronunciation"),
        ([()], "'two': has no pronunciation"),
        ([("T", "UW"), ()], "'two': has no pronunciation"),
        ([("T", "SIL", "UW")], "'two': the ear has no phone 'SIL'"),
        ([("T", "UW1")], "'two': the ear has no phone 'UW1'"),
    ],
)
def test_a_word_that_cannot_be_said_is_named(sounds: list[tuple[str, ...]], message: str) -> None:
    with pytest.raises(NgramError, match=message):
        build_word_model(words_alone("one", "two"), lambda word: sounds if word == "two" else SOUNDS(word))


def test_a_word_may_have_64_letters() -> None:
    build_word_model(words_alone("o" * 64), lambda word: [("OW",)])
    with pytest.raises(NgramError, match="over 64 letters"):
        build_word_model(words_alone("o" * 65), lambda word: [("OW",)])


def test_too_many_words_are_refused() -> None:
    with pytest.raises(NgramError, match="65534 words"):
        build_word_model(words_alone(*map(str, range(MAX_WORDS + 1))), lambda word: [("OW",)])
    for num_words in (0, MAX_WORDS + 1):
        with pytest.raises(NgramError, match=f"num_words is {num_words}"):
            make_word_model(words_alone("two"), lexicon=LEXICON, num_words=num_words)
    with pytest.raises(NgramError, match="0 words"):
        build_word_model(words_alone(), lambda word: [("OW",)])


def test_as_many_words_as_there_may_be_are_read(tmp_path: Path, native_library: Path) -> None:
    names = [f"w{i}" for i in range(MAX_WORDS)]
    phones = PHONES[1:]
    sounds = {
        name: [(phones[i % 39], phones[i // 39 % 39], phones[i // 39**2 % 39], phones[i // 39**3])]
        for i, name in enumerate(names)
    }
    data = build_word_model(words_alone(*names), sounds.__getitem__)
    heard = hear(native_library, data, tmp_path, "two")
    assert heard["text"] == ""


def test_only_listed_words_of_letters_have_pronunciations() -> None:
    lexicon = Lexicon({"can't": [("K", "AE", "N", "T")], "can": [("K", "AE", "N")]})
    sounds = listed_pronunciations(lexicon)
    assert sounds("can't") == [("K", "AE", "N", "T")]
    assert not sounds("can's")  # derived, not listed
    assert not sounds("CAN")
    assert not sounds("<unk>")
    assert not sounds("")


def test_a_damaged_file_is_refused_with_words(
    model: NgramModel, tmp_path: Path, native_library: Path
) -> None:
    with pytest.raises(RuntimeError, match="word model: ends at byte"):
        hear(native_library, build_word_model(model, SOUNDS)[:-1], tmp_path, "two")
