"""The lexicon: what is listed, what is derived, what is refused, and the file it is kept in."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from galago.runtime.errors import CorruptError
from galago.runtime.language.lexicon import PHONES, Lexicon, LexiconError, load_default
from galago.runtime.language.phones import phones_sha256

DICTIONARY = """\
;;; a comment
a AH
a(2) EY
bake B EY1 K
box B AA K S
kettle K EH T AH L
kettle(2) K EH DX L
lamp L AE M P
pit P IH T
tomato T AH M EY T OW
tomato(2) T AH M AA T OW
tomato(3) T AH M EY T OW
try T R AY
"""


@pytest.fixture(scope="module")
def lexicon(tmp_path_factory: pytest.TempPathFactory) -> Lexicon:
    path = tmp_path_factory.mktemp("lexicon") / "words.dict"
    path.write_text(DICTIONARY.replace(" DX ", " D AH "), encoding="utf-8")
    return Lexicon.from_cmudict(path)


@pytest.fixture(scope="module")
def default_lexicon() -> Lexicon:
    return load_default()


def said(lexicon: Lexicon, word: str) -> list[str]:
    return [" ".join(phones) for phones in lexicon.pronounce(word)]


def test_the_inventory_is_silence_and_39_phones_in_alphabetical_order() -> None:
    assert len(PHONES) == 40
    assert PHONES[0] == "SIL"
    assert list(PHONES[1:]) == sorted(PHONES[1:])
    assert phones_sha256() != phones_sha256(PHONES[::-1])


def test_a_listed_word_has_all_its_variants_once(lexicon: Lexicon) -> None:
    assert said(lexicon, "tomato") == ["T AH M EY T OW", "T AH M AA T OW"]
    assert said(lexicon, " Tomato ") == said(lexicon, "tomato")


def test_stress_is_dropped(lexicon: Lexicon) -> None:
    assert said(lexicon, "bake") == ["B EY K"]


@pytest.mark.parametrize(
    ("word", "pronunciations"),
    [
        ("lamps", ["L AE M P S"]),
        ("kettle's", ["K EH T AH L Z", "K EH D AH L Z"]),
        ("boxes", ["B AA K S IH Z", "B AA K S AH Z"]),
        ("tries", ["T R AY Z"]),
        ("tried", ["T R AY D"]),
        ("baked", ["B EY K T"]),
        ("baking", ["B EY K IH NG"]),
        ("pitting", ["P IH T IH NG"]),
        ("pitted", ["P IH T IH D", "P IH T AH D"]),
    ],
)
def test_regular_endings_are_derived(lexicon: Lexicon, word: str, pronunciations: list[str]) -> None:
    assert said(lexicon, word) == pronunciations


def test_hyphens_part_words_and_letters_without_vowel_are_spelled(lexicon: Lexicon) -> None:
    assert said(lexicon, "lamp-box") == ["L AE M P B AA K S"]
    assert said(lexicon, "tomato-lamp") == ["T AH M EY T OW L AE M P", "T AH M AA T OW L AE M P"]
    assert said(lexicon, "pcb") == ["P IY S IY B IY"]
    assert said(lexicon, "U.S.") == ["Y UW EH S"]
    assert said(lexicon, "ABE") == ["EY B IY IY"]


@pytest.mark.parametrize(
    ("word", "culprit"),
    [
        ("lamp3", "'3'"),
        ("Straße", "'ß'"),
        ("лампа", "'л'"),
        ("", "nothing"),
        ("''", "nothing"),
        ("---", "nothing"),
    ],
)
def test_a_word_without_sound_is_refused_by_word_and_character(
    lexicon: Lexicon, word: str, culprit: str
) -> None:
    with pytest.raises(LexiconError) as refused:
        lexicon.pronounce(word)
    assert repr(word) in str(refused.value)
    assert culprit in str(refused.value)


def test_without_letter_to_sound_an_unknown_word_is_refused(lexicon: Lexicon) -> None:
    with pytest.raises(LexiconError, match="'galago' is not in the dictionary"):
        lexicon.pronounce("galago")


def test_an_added_word_wins(lexicon: Lexicon) -> None:
    own = Lexicon({"lamp": [("L", "AE", "M", "P")]})
    own.add("Lamp", [("L", "EH", "M", "P")])
    own.add("gyro", [("JH", "AY", "R", "OW")])
    assert said(own, "lamp") == ["L EH M P"]
    assert said(own, "gyros") == ["JH AY R OW Z"]
    assert "gyro" in own and len(own) == 2
    with pytest.raises(LexiconError, match="'lamp'.*'XX'"):
        own.add("lamp", [("XX",)])


def test_a_dictionary_with_a_foreign_phone_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "foreign.dict"
    path.write_text("lamp L AE M P\nrue R Q UH\n", encoding="utf-8")
    with pytest.raises(LexiconError, match=r"foreign\.dict:2: unknown phone 'Q' in 'rue'"):
        Lexicon.from_cmudict(path)


def test_a_lexicon_survives_its_file_and_the_bytes_are_deterministic(
    lexicon: Lexicon, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.gz", tmp_path / "second.gz"
    lexicon.save(first)
    again = Lexicon.load(first)
    again.save(second)
    assert first.read_bytes() == second.read_bytes()
    assert list(again.words()) == list(lexicon.words())
    assert [again.pronounce(word) for word in again.words()] == [
        lexicon.pronounce(w) for w in lexicon.words()
    ]


@pytest.mark.parametrize("cut", [0, 5, 40, -1])
def test_a_damaged_file_is_refused_by_name(lexicon: Lexicon, tmp_path: Path, cut: int) -> None:
    path = tmp_path / "lexicon.gz"
    lexicon.save(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CorruptError, match=r"lexicon\.gz"):
        Lexicon.load(path)


def test_looking_words_up_takes_little_memory() -> None:
    tracemalloc.start()
    try:
        load_default().pronounce("kitchen")
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 10e6, "no object is made for each of the words"


def test_the_shipped_lexicon_is_small_and_knows_cmudict(default_lexicon: Lexicon) -> None:
    assert len(default_lexicon) > 120_000
    assert said(default_lexicon, "kitchen") == ["K IH CH AH N"]
    assert "galago" not in default_lexicon
    assert len(default_lexicon.pronounce("galago")[0]) == 6
