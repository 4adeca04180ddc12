"""What a turn took, from what was told: latencies, shares, memory."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from galago.runtime.bundle import Bundle
from galago.runtime.errors import InvalidStateError
from galago.runtime.events import Final
from galago.streaming.cli.demo_turn import cost_rows
from galago.streaming.turns.dialogue import Reply
from galago.streaming.turns.player import PlaybackStarted
from galago.streaming.turns.question import Question
from galago.streaming.turns.turn_meter import TurnCost, TurnLatency, TurnMeter, peak_memory_bytes

MS = 1_000_000
SILENCE_MS = 600


def final(utterance: int, end_ms: int, emitted_ms: int) -> Final:
    return Final(
        sequence=1,
        utterance=utterance,
        begin_ns=0,
        end_ns=end_ms * MS,
        emitted_ns=emitted_ms * MS,
        text="what do you see",
        words=(),
    )


def reply(utterance: int) -> Reply:
    return Reply("I see red.", Question("intent", 0, utterance=utterance), "turn.toml:3")


@pytest.fixture
def cost(tiny_both_bundle: Path) -> TurnCost:
    """Two questions are answered aloud, a third with nothing, and once something sounds that nobody asked."""
    meter = TurnMeter(SILENCE_MS)
    meter.begin()
    for told in (
        final(1, end_ms=1000, emitted_ms=1610),
        reply(1),
        PlaybackStarted(1650 * MS),
        final(2, end_ms=5000, emitted_ms=5700),
        reply(2),
        PlaybackStarted(5760 * MS),
        final(3, end_ms=9000, emitted_ms=9700),
        PlaybackStarted(9800 * MS),
    ):
        meter.add(told)
    with Bundle(tiny_both_bundle) as bundle, bundle.session() as session:
        return meter.end(session.metrics())


def test_a_reply_is_measured_from_the_end_of_its_question(cost: TurnCost) -> None:
    assert cost.latencies == (
        TurnLatency(1000 * MS, turn_ms=50.0, final_ms=10.0, reply_ms=40.0),
        TurnLatency(5000 * MS, turn_ms=160.0, final_ms=100.0, reply_ms=60.0),
    )


def test_what_did_not_happen_costs_nothing_and_has_no_row(cost: TurnCost) -> None:
    assert (cost.ttfa_ms, cost.ear_rtf, cost.eye_share, cost.voice_rtf) == (None, None, None, None)
    assert cost.num_images == 0 and cost.wall_s > 0 and cost.cpu_share >= 0
    named = [name.strip() for name, _, _ in cost_rows(cost)]
    one = ["voice stop to reply", "understood", "answered"]
    assert named == [*one, *one, "whole process", "peak memory"]
    whole = dataclasses.replace(cost, latencies=(), ttfa_ms=3.0, ear_rtf=0.1, eye_share=0.2, voice_rtf=0.3)
    rows = {name: value for name, value, _ in cost_rows(whole)}
    assert (rows["first audio"], rows["RTF of the eye"]) == ("3.0 ms", "0.2000")


def test_a_turn_that_never_began_has_no_cost(tiny_both_bundle: Path) -> None:
    with Bundle(tiny_both_bundle) as bundle, bundle.session() as session:
        with pytest.raises(InvalidStateError, match="had not begun"):
            TurnMeter(SILENCE_MS).end(session.metrics())


def test_peak_memory_only_grows() -> None:
    before = peak_memory_bytes()
    if before is None:
        assert sys.platform != "linux"
        pytest.skip("this system does not tell what a process held at most")
    held = bytearray(before + 32 * 1024**2)
    held[::4096] = b"x" * len(held[::4096])
    after = peak_memory_bytes()
    assert after is not None and after >= before + 32 * 1024**2
