"""Language models: ARPA files are read or refused with their line, and stay probabilities when made small."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from galago.runtime.language.ngrams import NgramError, NgramModel, read_arpa
from tests.runtime.language.tiny_arpa import TINY_ARPA

LN_10 = math.log(10.0)


def written(folder: Path, text: str) -> Path:
    path = folder / "tiny.arpa"
    path.write_text(text, encoding="utf-8")
    return path


def random_model(rng: np.random.Generator, num_words: int, num_bigrams: int, num_trigrams: int) -> NgramModel:
    """Any numbers: what comes out of ``limited`` must be a probability nevertheless."""
    pairs = rng.choice(num_words * num_words, num_bigrams, replace=False)
    bigrams = np.array([pairs // num_words, pairs % num_words])
    after = rng.choice(num_bigrams * num_words, num_trigrams, replace=False) if num_trigrams else pairs[:0]
    trigrams = np.array([*bigrams[:, after // num_words], after % num_words])
    unigrams = np.log(rng.dirichlet(np.ones(num_words)))
    unigrams[0] = -99.0
    return NgramModel.from_ngrams(
        "random",
        ("<s>", "</s>", *(f"w{i}" for i in range(num_words - 2))),
        unigrams,
        -rng.random(num_words),
        bigrams,
        np.array([np.log(rng.uniform(0.01, 0.6, num_bigrams)), -rng.random(num_bigrams)]),
        trigrams,
        np.log(rng.uniform(0.01, 0.6, num_trigrams)),
    )


def sums_of_histories(model: NgramModel) -> list[float]:
    return [
        sum(math.exp(model.log_prob(before, after)) for after in model.words if after != "<s>")
        for before in model.words
        if before != "</s>"
    ]


def sums_of_contexts(model: NgramModel) -> list[float]:
    contexts = sorted(set(model.contexts.tolist()))
    pairs = [(model.words[model.before[row]], model.words[model.after[row]]) for row in contexts]
    return [sum(math.exp(model.log_prob(*pair, w)) for w in model.words if w != "<s>") for pair in pairs]


def listed(model: NgramModel) -> set[tuple[str, str]]:
    return {(model.words[h], model.words[w]) for h, w in zip(model.before, model.after, strict=True)}


def test_an_arpa_file_is_read_in_natural_logarithms(tmp_path: Path) -> None:
    model = read_arpa(written(tmp_path, TINY_ARPA))
    assert model.words == ("<s>", "</s>", "to", "two", "you", "turn", "off", "<unk>")
    assert len(model.bigrams) == 9
    assert np.array_equal(np.lexsort((model.after, model.before)), np.arange(9))
    assert model.log_prob("turn", "off") == pytest.approx(-0.4 * LN_10)
    assert model.log_prob("<s>", "two") == pytest.approx(-1.0 * LN_10)
    assert model.log_prob("turn", "you") == pytest.approx((-0.4 - 1.0) * LN_10)
    assert model.log_prob("off", "to") == pytest.approx(-0.69897 * LN_10)  # no back-off is 0
    assert len(model.trigrams) == 2
    assert model.log_prob("turn", "to", "you") == pytest.approx(-0.1 * LN_10)
    assert model.log_prob("turn", "to", "two") == pytest.approx((-0.2 - 1.2) * LN_10)
    assert model.log_prob("two", "to", "you") == pytest.approx(-0.3 * LN_10)  # "two to" is not listed
    with pytest.raises(KeyError):
        model.log_prob("turn", "kitchen")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("-1.0\ttwo\t0.0", "-1.0", r"tiny\.arpa:13: '-1\.0' is no n-gram"),
        ("-1.0\ttwo\t0.0", "one two", r"tiny\.arpa:13: "),
        ("-1.0\ttwo\t0.0", "-1.0\ttwo\tnan", r"tiny\.arpa:13: .*nan is no logarithm"),
        ("-0.4 turn off", "-0.4 turn", r"tiny\.arpa:23: '-0\.4 turn' is no n-gram"),
        ("-0.4 turn off", "-0.4 turn left", r"tiny\.arpa:23: .*left"),
        ("-0.4 turn off", "-inf turn off", r"tiny\.arpa:23: .*-inf is no logarithm"),
        ("-0.4 turn off", "-0.4 turn to", r"tiny\.arpa: lists the bigram 'turn to' twice"),
        ("-0.69897\t</s>\n", "", r"tiny\.arpa: holds no words, or no </s>"),
        ("-0.1 turn to you", "-0.1 turn to", r"tiny\.arpa:31: '-0\.1 turn to' is no n-gram"),
        ("-0.1 turn to you", "-0.1 to turn you", r"the trigram 'to turn you' and not the bigram 'to turn'"),
        ("-0.1 turn to you", "-0.2 <s> turn off", r"lists the trigram '<s> turn off' twice"),
    ],
)
def test_a_wrong_line_is_named(before: str, after: str, message: str, tmp_path: Path) -> None:
    assert before in TINY_ARPA
    path = written(tmp_path, TINY_ARPA.replace(before, after))
    with pytest.raises(NgramError, match=message):
        read_arpa(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "ends within its head"),
        ("to be or not to be\n", "ends within its head"),
        ("\\data\\\nngram 1=3\n", r"ends within \\data\\"),
        ("\\data\\\n\\end\\\n", "holds no words"),
        ("\\data\\\n\n\\1-grams:\n-1 </s>\n\\end\\\n", "holds no words"),
        (TINY_ARPA[: TINY_ARPA.index("-1.0\tyou")], r"ends within \\1-grams:"),
    ],
)
def test_a_missing_section_is_said(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(NgramError, match=message):
        read_arpa(written(tmp_path, text))


def test_words_alone_are_a_model(tmp_path: Path) -> None:
    text = TINY_ARPA[: TINY_ARPA.index("\\2-grams:")] + "\\end\\\n"
    model = read_arpa(written(tmp_path, text))
    assert len(model.bigrams) == 0
    assert sums_of_histories(model.limited(5, 10, keep=str.isalpha)) == pytest.approx([1.0] * 6)


def test_a_file_that_ends_early_is_refused(tmp_path: Path) -> None:
    for size in range(TINY_ARPA.index("-0.30103 <s>"), TINY_ARPA.index("\\end\\")):
        with pytest.raises(NgramError, match="tiny.arpa"):
            read_arpa(written(tmp_path, TINY_ARPA[:size]))


def test_letters_that_are_no_utf_8_are_other_words(tmp_path: Path) -> None:
    path = tmp_path / "latin.arpa"
    path.write_bytes(TINY_ARPA.replace("two", "caf\xe9").encode("latin-1"))
    assert read_arpa(path).limited(9, 9, keep=str.isascii).words[2:] == (
        *("to", "turn", "you", "off", "<unk>"),
    )


@pytest.mark.parametrize("seed", range(8))
def test_what_is_limited_is_a_probability(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = random_model(rng, 30, [0, 20, 400, 900][seed % 4], [0, 60, 600, 3000][seed % 4])
    for num_words, num_bigrams, num_trigrams in ((28, 900, 3000), (28, 100, 500), (12, 60, 20), (1, 4, 4)):
        small = model.limited(num_words, num_bigrams, num_trigrams, keep=lambda word: word != "w3")
        assert sums_of_histories(small) == pytest.approx([1.0] * (len(small.words) - 1), abs=1e-6)
        sums = sums_of_contexts(small)
        assert sums == pytest.approx([1.0] * len(sums), abs=1e-6)
        assert len(small.words) == min(num_words, 27) + 2
        assert len(small.bigrams) <= num_bigrams
        assert len(small.trigrams) <= num_trigrams
        assert "w3" not in small.words
        assert not (small.after == 0).any()  # nothing is followed by a beginning
        assert (small.find_bigrams(small.after[small.contexts], small.third) >= 0).all()
    assert seed % 4 < 2 or len(sums_of_contexts(model.limited(28, 900, 3000, keep=str.isalnum))) > 20


def test_trigrams_that_tell_most_are_kept_with_the_bigrams_they_are_made_of(tmp_path: Path) -> None:
    model = read_arpa(written(tmp_path, TINY_ARPA))
    # "turn to you" is P(turn to) 0.79 ln(0.79 / 0.5), "<s> turn off" 0.1 * 0.63 ln(0.63 / 0.4).
    small = model.limited(6, 2, 1, keep=lambda word: word != "<unk>")
    assert listed(small) == {("turn", "to"), ("to", "you")}
    assert small.log_prob("turn", "to", "you") == pytest.approx(-0.1 * LN_10)
    small = model.limited(6, 4, 2, keep=lambda word: word != "<unk>")
    assert listed(small) == {("turn", "to"), ("to", "you"), ("<s>", "turn"), ("turn", "off")}
    # There is no room for what the second one is made of.
    assert len(model.limited(6, 3, 2, keep=lambda word: word != "<unk>").trigrams) == 1


def test_the_likeliest_words_are_kept_and_the_bigrams_that_tell_most(tmp_path: Path) -> None:
    model = read_arpa(written(tmp_path, TINY_ARPA))
    small = model.limited(3, 2, keep=lambda word: word != "<unk>")
    assert small.words == ("<s>", "</s>", "to", "turn", "two")
    # P(h) P(w|h) ln(P(w|h) / P'(w|h)) of the five among these words: 0.2 * 0.5 * ln(0.5 / 0.1) after <s>,
    # 0.1 * 0.79 * ln(0.79 / 0.2) at the end of "two", 0.2 * 0.32 * ln(0.32 / 0.08) for "turn to"; "<s> two"
    # and "to two" tell less.
    assert listed(small) == {("<s>", "turn"), ("two", "</s>")}
    assert listed(model.limited(3, 3, keep=lambda word: word != "<unk>")) == {
        ("<s>", "turn"),
        ("two", "</s>"),
        ("turn", "to"),
    }
    assert small.log_prob("<s>", "turn") == pytest.approx(-0.30103 * LN_10)  # what stays is what it was


def test_no_word_left_is_said(tmp_path: Path) -> None:
    with pytest.raises(NgramError, match="no word of the language model is left"):
        read_arpa(written(tmp_path, TINY_ARPA)).limited(5, 5, keep=lambda word: False)
