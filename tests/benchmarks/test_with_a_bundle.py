"""The benchmarks' way through the public API, with the bundle that hears chords."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import pytest

import galago
from benchmarks.accuracy_cost import core_texts
from benchmarks.core_parity import compare
from benchmarks.ear_speed import GalagoEar, Timed
from benchmarks.hearing import hear, only_target, opened, running_target
from benchmarks.latency import NS_PER_MS, Latencies, measure, replay, voice_span
from tests.make_tiny_bundle import synthesise

pytest.importorskip("kaldi_native_fbank")
pytest.importorskip("openvino")


def test_finals_of_a_clip_are_one_text(tiny_bundle: Path) -> None:
    with galago.open(tiny_bundle) as bundle, bundle.session() as session:
        assert hear(session, synthesise(["turn", "on"])).text == "turn on"
        # Two utterances, and no memory of the clip before.
        assert hear(session, synthesise(["go", "stop"], pause_ms=1500)).text == "go stop"


def test_a_target_is_chosen_by_name(tiny_bundle: Path, tmp_path: Path) -> None:
    target = "openvino-f32-chunk16"
    args = argparse.Namespace(bundle=tiny_bundle, target=target, chunk_ms=None, threads=1)
    with opened(args) as bundle, bundle.session() as session:
        assert running_target(bundle) == target and session.info.chunk_ms == 640
    with pytest.raises(ValueError, match="no target 'int4'; there are openvino-f32-chunk8"):
        only_target(tiny_bundle, "int4", tmp_path / "copy")


def test_the_core_agrees_with_the_oracle(tiny_bundle: Path) -> None:
    samples = synthesise(["hello", "galago"])
    with galago.open(tiny_bundle, chunk_ms=320, num_threads=1) as bundle:
        numbers = compare(bundle, [samples]).numbers()
    assert numbers["num_clips"] == numbers["num_same_text"] == 1
    assert 0.0 < numbers["phones"] < 1e-3 and 0.0 < numbers["tokens"] < 1e-3
    assert 0.0 < numbers["noise_floor"]["phones"] < 1e-3
    assert numbers["num_rows"] == -(-len(samples) // 5120) * 8


def test_steps_are_timed_one_by_one(tiny_bundle: Path) -> None:
    samples = synthesise(["hello"])
    with galago.open(tiny_bundle, chunk_ms=320) as bundle, bundle.session() as session:
        ear, timed = GalagoEar(session), Timed()
        for _ in range(2):
            ear.hear(samples, timed)
    assert timed.texts == ["hello", "hello"]
    # The end of input is outside of the timing: a stream has no end.
    assert len(timed.wall_ms) == ear.steps + 2 == 2 * (len(samples) // 5120)
    assert 0 < ear.engine_ns < ear.busy_ns <= sum(timed.wall_ms) * 1e6


def test_replay_takes_as_long_as_the_audio(tiny_bundle: Path) -> None:
    samples = synthesise(["go"], lead_ms=200, tail_ms=1200)
    with galago.open(tiny_bundle, chunk_ms=160) as bundle, bundle.session(worker=True) as session:
        events, begin_ns = replay(session, samples)
    lasted_ns = time.monotonic_ns() - begin_ns
    assert lasted_ns > len(samples) * 62_500 - NS_PER_MS
    finals = [event for event in events if isinstance(event, galago.Final)]
    assert [final.text for final in finals] == ["go"]
    begin, end = voice_span(samples)
    # How much later than this is the machine's business.
    assert finals[0].emitted_ns - begin_ns > end * 62_500 + 500 * NS_PER_MS
    found = Latencies()
    at = [begin_ns + sample * 62_500 for sample in (begin, end)]
    measure(found, events, at[0], at[1], 600 * NS_PER_MS, begin_ns + lasted_ns)
    assert len(found.final_ms) == 1 and -50 < found.final_ms[0] < lasted_ns / NS_PER_MS


def test_log_probabilities_and_finals_give_the_same_text(tiny_bundle: Path) -> None:
    with galago.open(tiny_bundle) as bundle, bundle.session(posteriors=True) as session:
        ear = bundle.manifest.ear
        assert ear is not None
        texts = core_texts(session, ear.tokens, synthesise(["turn", "the", "fan", "on"]))
    assert texts == ("turn the fan on", "turn the fan on")
