"""What people and programs read: JSON lines, plain lines."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest

from galago.runtime import events
from galago.streaming.transcript import JsonTranscript, PlainTranscript, as_json, lasting_line
from tests.streaming.cli.json_lines import KEYS

ORIGIN_NS = 1_000_000_000_000
SHARED: dict[str, Any] = {
    "sequence": 1,
    "utterance": 1,
    "begin_ns": ORIGIN_NS + 500_000_000,
    "end_ns": ORIGIN_NS + 1_250_000_000,
    "emitted_ns": ORIGIN_NS + 1_300_000_000,
}
WORDS = (
    events.Word("turn", ORIGIN_NS + 500_000_000, ORIGIN_NS + 700_000_000, 0.98765),
    events.Word("on", ORIGIN_NS + 700_000_000, ORIGIN_NS + 1_250_000_000, 1.0),
)
INTENT = events.Intent(
    **SHARED,
    name="TurnOn",
    slots={"area": "kitchen"},
    slot_scores={"area": 0.9},
    words=WORDS,
    confidence=0.875,
)
ALL = [
    (events.VoiceStart(**SHARED), "voice_start"),
    (events.VoiceStop(**SHARED), "voice_stop"),
    (events.Partial(**SHARED, text="turn on", stable_text="turn", words=WORDS), "partial"),
    (events.Final(**SHARED, text="turn on", words=WORDS), "final"),
    (INTENT, "intent"),
    (events.Rejected(**SHARED, text="what", confidence=0.1), "rejected"),
    (events.Phrase(**SHARED, text="hello galago", confidence=0.9), "phrase"),
    (events.Gap(**SHARED), "gap"),
    (events.Failed(**SHARED, status=-10, text="broken"), "failed"),
]


@pytest.mark.parametrize(("event", "kind"), ALL)
def test_every_line_has_every_key(event: events.Event, kind: str) -> None:
    line = as_json(event, file="a.wav", origin_ns=ORIGIN_NS, live=True)
    assert line is not None
    assert list(line) == KEYS
    assert (line["type"], line["file"]) == (kind, "a.wav")
    assert (line["begin_s"], line["end_s"], line["latency_ms"]) == (0.5, 1.25, 50.0)


def test_a_final_has_its_words() -> None:
    line = as_json(ALL[3][0], file="a.wav", origin_ns=ORIGIN_NS, live=False)
    assert line is not None
    assert line["text"] == "turn on"
    assert line["words"] == [
        {"word": "turn", "begin_s": 0.5, "end_s": 0.7, "confidence": 0.988},
        {"word": "on", "begin_s": 0.7, "end_s": 1.25, "confidence": 1.0},
    ]
    assert line["latency_ms"] is None, "full speed has no latency"
    assert line["name"] is None and line["slots"] is None


def test_an_intent_has_name_slots_and_what_was_said() -> None:
    line = as_json(INTENT, file="-", origin_ns=ORIGIN_NS, live=True)
    assert line is not None
    assert (line["name"], line["slots"], line["text"]) == ("TurnOn", {"area": "kitchen"}, "turn on")


def test_confidence_is_of_what_was_recognised_as_a_whole() -> None:
    found = {}
    for event, kind in ALL:
        line = as_json(event, file="-", origin_ns=ORIGIN_NS, live=True)
        assert line is not None
        found[kind] = line["confidence"]
    assert {kind: value for kind, value in found.items() if value is not None} == {
        "intent": 0.875,
        "rejected": 0.1,
        "phrase": 0.9,
    }


def test_posteriors_are_no_line() -> None:
    event = events.Posteriors(**SHARED, log_probs=np.zeros((1, 3), np.float32), num_phones=2)
    assert as_json(event, file="-", origin_ns=0, live=True) is None
    assert lasting_line(event) is None


def test_json_lines_are_lines_of_json() -> None:
    stream = io.StringIO()
    with JsonTranscript(stream) as transcript:
        transcript.begin("größe.wav", live=True)
        transcript.origin_ns = ORIGIN_NS
        for event, _ in ALL:
            transcript.show(event)
    lines = stream.getvalue().splitlines()
    assert [json.loads(line)["type"] for line in lines] == [kind for _, kind in ALL]
    assert "größe.wav" in lines[0]


def test_plain_lines_are_what_lasts() -> None:
    stream = io.StringIO()
    with PlainTranscript(stream, name_files=True) as transcript:
        transcript.begin("a.wav", live=False)
        for event, _ in ALL:
            transcript.show(event)
    assert stream.getvalue().splitlines() == [
        "a.wav: turn on",
        "a.wav: → TurnOn area='kitchen' (0.88)",
        "a.wav: ✗ not understood: what (0.10)",
        "a.wav: ◆ hello galago (0.90)",
        "a.wav: [gap of 0.75 s]",
        "a.wav: [failed: broken]",
    ]
