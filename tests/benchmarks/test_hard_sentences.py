"""Skipped and repeated words: what is cut out of speech is missed, what is doubled is heard twice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.corpora import Audio
from benchmarks.hard_sentences import SENTENCES, Said, chosen_word, count_faults, notices
from benchmarks.spoken_script import (
    Script,
    SpokenWord,
    parse_script,
    phones_of_segment,
    script_reader,
    visits,
    words_of_segment,
)
from benchmarks.voice_speed import read_sentences
from benchmarks.word_counter import Variants, WordCounter, names_of, transitions
from galago.runtime.bundle_folder import find_bundle
from galago.runtime.manifest import read_manifest

SCRIPT = Script(
    (
        (SpokenWord(0, ("G", "OW1"), ","), SpokenWord(1, ("G", "OW1"), "!")),
        (SpokenWord(2, ("AH1", "P"), "."),),
    )
)


class Golden:
    """The sentence that the default bundle keeps, with the words that it has and where each stands."""

    def __init__(self) -> None:
        folder = find_bundle("default")
        manifest = read_manifest(folder)
        golden = manifest.golden_speech[0]
        assert manifest.voice is not None
        self.samples: Audio = np.fromfile(folder / golden.samples, np.float32)
        self.words: list[Variants] = []
        self.places: list[tuple[int, int]] = []
        phones: list[str] = []
        begin = end = 0
        for phone, frames in zip(golden.phones, golden.frames, strict=True):
            if phone[0].isalpha():
                begin = begin if phones else end
                phones.append(phone.rstrip("012"))
            elif phones:
                self.words.append([phones])
                self.places.append((begin * manifest.voice.hop_samples, end * manifest.voice.hop_samples))
                phones = []
            end += frames


@pytest.fixture(scope="module")
def golden() -> Golden:
    return Golden()


@pytest.fixture(scope="module")
def counter() -> WordCounter:
    return WordCounter(1e-4)


def test_every_word_of_plain_speech_is_heard_once(golden: Golden, counter: WordCounter) -> None:
    assert counter.count(golden.samples, golden.words) == [1] * len(golden.words)
    found = counter.places(golden.samples, golden.words)
    assert found is not None
    for (begin, end), (true_begin, true_end) in zip(found, golden.places, strict=True):
        assert abs(begin - true_begin) < 1600 and abs(end - true_end) < 2400  # silence may be on either side


def test_a_word_that_is_cut_out_is_missed_and_a_doubled_one_heard_twice(
    golden: Golden, counter: WordCounter
) -> None:
    lengths = [end - begin for begin, end in golden.places[:-1]]
    word = int(np.argmax(lengths))
    begin, end = golden.places[word]
    expected = [1] * len(golden.words)
    cut = np.concatenate([golden.samples[:begin], golden.samples[end:]])
    expected[word] = 0
    assert counter.count(cut, golden.words) == expected
    assert counter.places(cut[:1600], golden.words) is None  # nothing that they could fit into
    twice = np.concatenate([golden.samples[:end], golden.samples[begin:]])
    expected[word] = 2
    assert counter.count(twice, golden.words) == expected
    with pytest.raises(ValueError, match="needs a pronunciation"):
        counter.count(golden.samples, [*golden.words, []])


def test_words_are_told_apart_by_their_place() -> None:
    go, up = [["G", "OW"]], [["AH", "P"], ["AA", "P"]]
    names = names_of([go, go, up])
    assert names == ["G-OW.1", "G-OW.2", "AH-P/AA-P.1"]
    listed = transitions(names[:2], 0.25)
    assert listed == [(0, 1, 1.0, "G-OW.1"), (0, 1, 0.25), (1, 0, 0.25)] + [
        (1, 2, 1.0, "G-OW.2"),
        (1, 2, 0.25),
        (2, 1, 0.25),
    ]
    assert transitions(names[:1], None) == [(0, 1, 1.0, "G-OW.1")]


def test_a_path_comes_to_words() -> None:
    assert visits([None, 0, 0, None, 1, 2, 2], 3) == [1, 1, 1]
    assert visits([0, 0, 2, 2], 3) == [1, 0, 1]  # 1 is skipped
    assert visits([0, 0, 1, 1, 0, 0], 2) == [2, 1]
    assert visits([0, 0, 1, 1, 0, 1, 1], 2, min_frames=2) == [1, 1]  # a flicker is no return
    assert visits([0, None, 0], 1) == [1]  # a pause inside a word does not leave it


def test_a_word_is_left_out_or_said_twice() -> None:
    assert [phones_of_segment(s) for s in SCRIPT.segments] == [
        ["^", "G", "OW1", ",", "G", "OW1", "!"],
        ["^", "AH1", "P", "."],
    ]
    assert words_of_segment(SCRIPT.segments[0]) == [None, 0, 0, None, 1, 1, None]
    assert phones_of_segment(SCRIPT.without(1).segments[0]) == ["^", "G", "OW1", "!"]
    assert phones_of_segment(SCRIPT.without(0).segments[0]) == ["^", "G", "OW1", "!"]
    assert len(SCRIPT.without(2).segments) == 1
    twice = SCRIPT.doubled(0)
    assert phones_of_segment(twice.segments[0]) == ["^", "G", "OW1", " ", "G", "OW1", ",", "G", "OW1", "!"]
    assert [word.number for word in twice.words] == [0, 0, 1, 2]
    assert SCRIPT.words[2].plain_phones == ("AH", "P")


def test_what_the_core_prints_is_a_script() -> None:
    rows = [{"phone": "^"}, {"phone": "G", "word": 0}, {"phone": "OW1", "word": 0}, {"phone": "!"}]
    printed = json.dumps({"segments": [rows, rows]})
    assert [word.number for word in parse_script(printed).words] == [0, 1]
    with pytest.raises(ValueError, match="no word before it"):
        parse_script(json.dumps({"segments": [[{"phone": "^"}, {"phone": "!"}]]}))
    with pytest.raises(ValueError, match="no mark between"):
        parse_script(json.dumps({"segments": [[*rows[:3], {"phone": "P", "word": 1}]]}))


def test_all_hard_sentences_can_be_said(native_library: Path) -> None:
    texts = read_sentences(SENTENCES)
    assert len(texts) == len(set(texts)) == 200
    if not (native_library.parent / "tests" / "native" / "tool_speech_text").is_file():
        pytest.skip("tool_speech_text is not built beside the library: make native")
    scripts = list(map(script_reader(find_bundle("default")), texts))
    assert all(word.phones for script in scripts for word in script.words)
    assert sum(len(script.words) for script in scripts) > 1500


class Scripted(WordCounter):
    """Says what it is told."""

    def __init__(self, answers: list[list[int]]) -> None:
        self.answers = iter(answers)

    def count(self, samples: Audio, words: object) -> list[int]:
        return next(self.answers)


def test_faults_are_counted_as_words_and_as_sentences() -> None:
    silence = np.zeros(160, np.float32)
    said = [
        Said(silence, [1, 1, 1], [1, 1, 1]),
        Said(silence, [1, 0, 1], [2, 0, 1], has_stopped=False),
    ]
    row = count_faults(Scripted([[1, 0, 0], [1, 1, 1]]), [SCRIPT, SCRIPT], lambda i: said[i], "test")
    assert (row["num_sentences"], row["num_words"]) == (2, 6)
    assert (row["skipped"], row["repeated"], row["faulty_sentences"]) == (2, 0, 1)
    assert (row["drawn"]["skipped"], row["drawn"]["repeated"], row["unended"]) == (1, 1, 1)
    unknown = count_faults(Scripted([[1, 2, 1]]), [SCRIPT], lambda i: Said(silence), "test")
    assert unknown["repeated"] == 1 and "drawn" not in unknown


def test_a_fault_is_looked_for_where_it_was_made() -> None:
    assert notices([1, 0, 1, 1], 2) == (True, False)
    assert notices([0, 1, 1, 2], 2) == (False, True)
    assert notices([0, 1, 1, 1, 2], 2) == (False, False)
    assert 0 <= chosen_word("a b c", 3) < 3 and chosen_word("a b c", 3) == chosen_word("a b c", 3)
