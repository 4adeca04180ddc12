"""Events: decoded from the ABI's memory, frozen, with times in honest units."""

from __future__ import annotations

import ctypes
import dataclasses

import numpy as np
import pytest

from galago.runtime import abi, events

SHARED = {
    "sequence": 7,
    "utterance": 3,
    "begin_ns": 1_500_000_000,
    "end_ns": 2_000_000_000,
    "emitted_ns": 2_060_000_000,
}


def raw_event(kind: int, **fields: object) -> abi.Event:
    return abi.Event(struct_size=ctypes.sizeof(abi.Event), type=kind, **{**SHARED, "text": b"", **fields})


def decoded(raw: abi.Event) -> events.Event:
    event = events.decode(raw, num_phones=2, num_tokens=3)
    assert event is not None
    return event


def two_words() -> ctypes.Array[abi.Word]:
    return (abi.Word * 2)(
        abi.Word(text=b"turn", begin_ns=1_500_000_000, end_ns=1_700_000_000, confidence=0.5),
        abi.Word(text="café".encode(), begin_ns=1_700_000_000, end_ns=2_000_000_000, confidence=1.0),
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (abi.EVENT_VOICE_START, events.VoiceStart),
        (abi.EVENT_VOICE_STOP, events.VoiceStop),
        (abi.EVENT_SPEAK_START, events.SpeakStart),
        (abi.EVENT_SPEAK_STOP, events.SpeakStop),
        (abi.EVENT_GAP, events.Gap),
    ],
)
def test_plain_kinds(kind: int, expected: type[events.Event]) -> None:
    event = decoded(raw_event(kind))
    assert type(event) is expected
    assert dataclasses.asdict(event) == SHARED
    assert (event.begin_s, event.end_s) == (1.5, 2.0)
    assert event.latency_ms == 60.0


def test_every_kind_of_the_header_is_decoded() -> None:
    kinds = {value for name, value in vars(abi).items() if name.startswith("EVENT_")}
    assert kinds == set(range(1, 16))
    for kind in kinds:
        assert decoded(raw_event(kind)).utterance == 3


def test_a_kind_of_the_future_is_skipped() -> None:
    assert events.decode(raw_event(999), num_phones=2, num_tokens=3) is None


def test_a_partial_knows_its_stable_start() -> None:
    words = two_words()
    event = decoded(
        raw_event(abi.EVENT_PARTIAL, text="turn café".encode(), stable_bytes=5, words=words, num_words=2)
    )
    assert isinstance(event, events.Partial)
    assert (event.text, event.stable_text) == ("turn café", "turn ")
    assert [word.text for word in event.words] == ["turn", "café"]
    assert (event.words[1].begin_s, event.words[1].end_s, event.words[1].confidence) == (1.7, 2.0, 1.0)


def test_an_intent_has_slots_that_cannot_be_changed() -> None:
    labels = (abi.Label * 2)(
        abi.Label(name=b"area", value=b"kitchen", score=0.75), abi.Label(name=b"state", value=None, score=1.0)
    )
    values = (ctypes.c_float * 1)(0.5)
    event = decoded(
        raw_event(abi.EVENT_INTENT, text=b"TurnOn", labels=labels, num_labels=2, values=values, num_values=1)
    )
    assert isinstance(event, events.Intent)
    assert (event.name, dict(event.slots), event.confidence) == (
        "TurnOn",
        {"area": "kitchen", "state": ""},
        0.5,
    )
    assert event.slot_scores["area"] == 0.75
    with pytest.raises(TypeError):
        event.slots["area"] = "garden"  # type: ignore[index]  # that it cannot is the point
    assert hash(event) == hash(event)


@pytest.mark.parametrize(
    ("kind", "expected"), [(abi.EVENT_REJECTED, events.Rejected), (abi.EVENT_PHRASE, events.Phrase)]
)
def test_kinds_with_text_and_confidence(kind: int, expected: type[events.Event]) -> None:
    event = decoded(raw_event(kind, text=b"hello", values=(ctypes.c_float * 1)(0.25), num_values=1))
    assert isinstance(event, events.Rejected | events.Phrase) and type(event) is expected
    assert (event.text, event.confidence) == ("hello", 0.25)


def test_posteriors_are_split_and_owned() -> None:
    values = (ctypes.c_float * 10)(*range(10))
    event = decoded(raw_event(abi.EVENT_POSTERIORS, values=values, num_values=10))
    assert isinstance(event, events.Posteriors)
    ctypes.memset(values, 0, ctypes.sizeof(values))  # the library takes its memory back
    np.testing.assert_array_equal(event.phone_log_probs, [[0, 1], [5, 6]])
    np.testing.assert_array_equal(event.token_log_probs, [[2, 3, 4], [7, 8, 9]])
    assert not event.log_probs.flags.writeable


def test_a_failure_carries_its_status() -> None:
    event = decoded(raw_event(abi.EVENT_FAILED, status=abi.E_BACKEND, text=b"no memory left"))
    assert isinstance(event, events.Failed)
    assert (event.status, event.text, event.role) == (abi.E_BACKEND, "no memory left", "")


def test_a_failure_names_its_role() -> None:
    labels = (abi.Label * 1)(abi.Label(name=b"eye", score=1.0))
    event = decoded(raw_event(abi.EVENT_FAILED, status=abi.E_BACKEND, labels=labels, num_labels=1))
    assert isinstance(event, events.Failed)
    assert event.role == "eye"


def test_labels_carry_the_confidence_of_the_best_even_where_there_are_none() -> None:
    labels = (abi.Label * 2)(abi.Label(name=b"Apple", score=0.75), abi.Label(name=b"7", score=0.125))
    value = (ctypes.c_float * 1)(0.75)
    event = decoded(raw_event(abi.EVENT_LABELS, labels=labels, num_labels=2, values=value, num_values=1))
    assert isinstance(event, events.Labels)
    assert event.labels == (events.Label("Apple", 0.75), events.Label("7", 0.125))
    assert event.confidence == 0.75
    unknown = decoded(raw_event(abi.EVENT_LABELS, values=(ctypes.c_float * 1)(0.25), num_values=1))
    assert isinstance(unknown, events.Labels)
    assert (unknown.labels, unknown.confidence) == ((), 0.25)


def test_logits_are_owned() -> None:
    values = (ctypes.c_float * 3)(1, 2, 3)
    event = decoded(raw_event(abi.EVENT_LOGITS, values=values, num_values=3))
    assert isinstance(event, events.Logits)
    ctypes.memset(values, 0, ctypes.sizeof(values))  # the library takes its memory back
    np.testing.assert_array_equal(event.values, [1, 2, 3])


def test_bytes_that_are_no_utf8_do_not_end_the_stream() -> None:
    event = decoded(raw_event(abi.EVENT_FINAL, text=b"caf\xe9"))
    assert isinstance(event, events.Final)
    assert event.text == "caf\N{REPLACEMENT CHARACTER}"


def test_events_are_frozen() -> None:
    event = decoded(raw_event(abi.EVENT_FINAL, text=b"done"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.end_ns = 0  # type: ignore[misc]  # that it cannot is the point
    with pytest.raises((AttributeError, TypeError)):
        event.surprise = 1  # type: ignore[attr-defined]  # slots: no stray attributes
