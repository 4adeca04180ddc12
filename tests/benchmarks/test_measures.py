"""What the benchmarks make of events and samples."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

import galago
from benchmarks import memory
from benchmarks.accuracy_cost import FINALS, costs, wer_of
from benchmarks.corpora import Clip
from benchmarks.hearing import Heard
from benchmarks.latency import NS_PER_MS, Latencies, measure, summary, voice_span
from benchmarks.nine_words import GRAMMAR, NOTHING, REJECTED, WORDS, answer_of, score
from benchmarks.no_speech import piece_at, pink_noise, white_noise
from benchmarks.word_error_rate import groups_of, keep_peers, score_groups


def _shared(begin_ms: int, end_ms: int, emitted_ms: int) -> dict[str, int]:
    times = {"begin_ns": begin_ms, "end_ns": end_ms, "emitted_ns": emitted_ms}
    return {"sequence": 1, "utterance": 1} | {name: ms * NS_PER_MS for name, ms in times.items()}


def _word(text: str, begin_ms: int, end_ms: int) -> galago.Word:
    return galago.Word(text, begin_ms * NS_PER_MS, end_ms * NS_PER_MS, 1.0)


def _intent(word: str) -> galago.Intent:
    return galago.Intent(
        **_shared(0, 1, 2),
        name="Word",
        slots=MappingProxyType({"word": word}),
        slot_scores=MappingProxyType({"word": 1.0}),
        words=(),
        confidence=1.0,
    )


def test_latency_counts_from_the_end_of_the_voice_and_leaves_the_endpoint_silence_out() -> None:
    words = (_word("go", 120, 300), _word("left", 350, 700))
    partial = galago.Partial(**_shared(100, 400, 450), text="go", stable_text="", words=words[:1])
    wrong = galago.Partial(
        **_shared(100, 600, 610), text="go let", stable_text="", words=(words[0], _word("let", 350, 600))
    )
    final = galago.Final(**_shared(100, 720, 1350), text="go left", words=words)
    found = Latencies()
    ms = NS_PER_MS
    measure(found, [partial, wrong, final], 100 * ms, 710 * ms, 600 * ms, 3000 * ms)
    assert found.final_ms == [30.0]  # 1350 - 720 - 600
    assert found.final_by_clip_ms == [40.0]
    assert found.first_partial_ms == [350.0]
    assert found.word_ms == [150.0, 650.0]  # "left" was first seen in the final
    measure(found, [], 100 * ms, 720 * ms, 600 * ms, 3000 * ms)
    numbers = summary(found)
    assert numbers["without_final"] == 1 and numbers["num_finals"] == 1
    assert numbers["final_ms"] == {"p50": 30.0, "p95": 30.0, "p99": 30.0}


def test_a_final_that_the_end_of_input_brought_has_no_latency() -> None:
    final = galago.Final(**_shared(100, 720, 3001), text="go", words=(_word("go", 100, 700),))
    found = Latencies()
    measure(found, [final], 0, 720 * NS_PER_MS, 600 * NS_PER_MS, 3000 * NS_PER_MS)
    assert found.without_final == 1 and not found.final_ms


def test_voice_span_is_where_the_sound_is() -> None:
    samples = np.zeros(16_000, np.float32)
    samples[4_800:8_000] = 0.5
    samples[12_000:] = 0.001  # 54 dB below
    assert voice_span(samples) == (4_800, 8_000)
    with pytest.raises(ValueError, match="no sound"):
        voice_span(np.zeros(16_000, np.float32))


def test_nine_words_score() -> None:
    assert sorted(WORDS) == sorted(GRAMMAR["lists"]["word"]["values"]) and len(set(WORDS)) == 9
    rejected = galago.Rejected(**_shared(0, 1, 2), text="gone", confidence=0.1)
    assert answer_of(Heard([_intent("go"), _intent("up")])) == "go"
    assert answer_of(Heard([rejected])) == REJECTED
    assert answer_of(Heard([])) == NOTHING
    numbers = score([("go", "go"), ("go", "zero"), ("go", "zero"), ("up", "up"), ("up", NOTHING)])
    assert numbers["accuracy_percent"] == 40.0
    assert numbers["per_word_percent"] == {"go": 33.3, "up": 50.0}
    assert numbers["confusions"][0] == {"said": "go", "answered": "zero", "num_clips": 2}
    assert numbers["num_nothing"] == 1 and numbers["num_rejected"] == 0


def test_noise_has_the_level_and_the_colour_it_should() -> None:
    rng = np.random.default_rng(3)
    white, pink = (make(1 << 16, 0.01, rng) for make in (white_noise, pink_noise))
    for noise in (white, pink):
        assert noise.dtype == np.float32
        assert np.sqrt(np.mean(noise**2)) == pytest.approx(0.01, rel=0.02)

    def octave_db(noise: np.ndarray[tuple[int], np.dtype[np.float32]]) -> float:
        power = np.abs(np.fft.rfft(noise)) ** 2
        return float(10 * np.log10(power[4096:8192].mean() / power[2048:4096].mean()))

    assert octave_db(white) == pytest.approx(0.0, abs=0.3)
    assert octave_db(pink) == pytest.approx(-3.0, abs=0.3)


def test_pieces_are_found_by_time() -> None:
    assert [piece_at([0, 10, 20], t) for t in (0, 9, 10, 25)] == [0, 0, 1, 2]


def test_children_and_adults_are_told_apart() -> None:
    silence = np.zeros(1, np.float32)
    child = Clip("so762", "a", "GO UP", silence, {"age": 15})
    adult = Clip("so762", "b", "GO LEFT", silence, {"age": 16})
    other = Clip("lj", "c", "Go.", silence, {})
    assert groups_of(child) == ["so762", "so762-children"] and groups_of(other) == ["lj"]
    scores = score_groups([child, adult, other], ["go", "go left", "go"])
    assert {name: errors.wer for name, errors in scores.items()} == {
        "so762": 25.0, "so762-children": 50.0, "so762-adults": 0.0, "lj": 0.0,
    }  # fmt: skip


def test_memory_grows_from_what_it_was_after_a_minute() -> None:
    series = [(10.0, 900), (60.0, 2048), (70.0, 2052), (80.0, 2050)]
    numbers = memory.summary(series, 3072)
    assert numbers["growth_kib"] == 4
    assert numbers["rss_after_first_minute_mib"] == 2.0 and numbers["peak_rss_mib"] == 3.0
    with pytest.raises(ValueError, match="too short"):
        memory.summary(series[:2], 3072)
    assert memory.thin([(float(i), i) for i in range(100)], 3) == [(0.0, 0), (50.0, 50), (99.0, 99)]


def test_a_soak_feeds_everything_and_tells_a_program_that_fails() -> None:
    loop = np.zeros(memory.LOOP_S * 16_000 // 10, np.float32)
    read_all = "import sys; data = sys.stdin.buffer.read(); sys.exit(0 if len(data) == 1_280_000 else 3)"
    series, peak_kib, _ = memory.soak([sys.executable, "-c", read_all], loop, 40 / 3600)
    assert [second for second, _ in series] == [10, 20, 30, 40] and peak_kib >= series[0][1] > 0
    with pytest.raises(RuntimeError, match=r"ended with 5"):
        memory.soak([sys.executable, "-c", "raise SystemExit(5)"], loop, 40 / 3600)


def test_costs_are_points_of_word_error_rate() -> None:
    wer = {"lj": {"full": 20.0, "streaming": 20.75, "int8": 20.9}}
    points = {"streaming_points": 0.75, "int8_points": 0.15}
    assert costs(wer) == {"lj": {"wer_percent": wer["lj"], **points}}
    wer = {"lj": {"second_full": 20.0, "second": 20.75, "second_int8": 20.9, "finals": 20.5}}
    assert costs(wer) == {"lj": {"wer_percent": wer["lj"], **points, "core_points": -0.4}}
    wer["lj"] = {**wer["lj"], "finals": 21.0, "second_four_bits": 20.5}
    wer["lj"] = {name: wer["lj"][name] for name in FINALS}
    points |= {"four_bits_points": -0.4, "core_points": 0.5}
    assert costs(wer) == {"lj": {"wer_percent": wer["lj"], **points}}


def test_words_of_all_sets_count_alike() -> None:
    clips = [
        Clip(corpus, corpus, text, np.zeros(1600, np.float32), {})
        for corpus, text in (("lj", "a b c"), ("kathleen", "d"))
    ]
    wer = wer_of(clips, {"full": ["a b c", "x"], "streaming": ["a b", "d"]})
    assert wer["all"] == {"full": 25.0, "streaming": 25.0} and list(wer)[-1] == "all"
    assert wer["kathleen"] == {"full": 100.0, "streaming": 0.0}


def test_peers_of_the_same_clips_are_kept(tmp_path: Path) -> None:
    peer = {"wer_percent": 40.0, "num_clips": 2, "num_words": 9}
    row = {"variant": "x-words", "commit": "abc", "settings": {}, "numbers": {"lj": {"pocketsphinx": peer}}}
    (tmp_path / "word_error_rate.json").write_text(json.dumps([row]))
    numbers: dict[str, Any] = {"lj": {"galago": {"wer_percent": 10.0, "num_clips": 2, "num_words": 9}}}
    assert keep_peers(numbers, tmp_path, "x-words") == "abc"
    assert numbers["lj"]["pocketsphinx"] == peer and numbers["lj"]["ratio"] == 0.25
    assert keep_peers(numbers, tmp_path, "another") is None
    numbers["lj"]["galago"]["num_words"] = 8
    with pytest.raises(SystemExit, match="other clips of lj; run the peers again"):
        keep_peers(numbers, tmp_path, "x-words")
