"""What a session tells: one frozen dataclass for each kind of event.

    Event
    ├── VoiceStart, VoiceStop                 voice activity
    ├── Partial                               text so far, replaced by the next of its utterance
    ├── Final                                 text that never changes
    ├── Intent                                what a closed grammar understood, just after its Final
    ├── Rejected                              with a grammar: an utterance that no sentence fits
    ├── Phrase                                a wake phrase was spotted
    ├── Labels, Embedding                     of a sound or an image
    ├── SpeakStart, SpeakStop                 speech output
    ├── Gap                                   input is missing from begin_ns to end_ns
    ├── Posteriors, Logits                    what the ear's and the eye's network said, for research
    └── Failed                                a role broke; reset the session

Times are capture time in nanoseconds, on the clock of the `capture_ns` that was pushed with the
samples; the `_s` properties are the same in seconds.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from galago.runtime import abi

if TYPE_CHECKING:
    from collections.abc import Mapping

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a partial, a final or an intent."""

    text: str
    begin_ns: int
    end_ns: int
    confidence: float  # [0, 1]

    @property
    def begin_s(self) -> float:
        return self.begin_ns / NS_PER_S

    @property
    def end_s(self) -> float:
        return self.end_ns / NS_PER_S


@dataclass(frozen=True, slots=True)
class Label:
    """One class of a sound or an image."""

    name: str
    score: float  # [0, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What all events share."""

    sequence: int  # 1, 2, 3, ...: a hole means that event_capacity was too small
    utterance: int  # what the partials, the final and the intent of one utterance share
    begin_ns: int
    end_ns: int
    emitted_ns: int  # when galago knew, on the monotonic clock

    @property
    def begin_s(self) -> float:
        return self.begin_ns / NS_PER_S

    @property
    def end_s(self) -> float:
        return self.end_ns / NS_PER_S

    @property
    def latency_ms(self) -> float:
        """From the end of what it tells about to its telling.

        Means something only where `capture_ns` was pushed in monotonic time, as live sources do.
        """
        return (self.emitted_ns - self.end_ns) / NS_PER_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceStart(Event):
    """Somebody began to speak at begin_ns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceStop(Event):
    """The voice fell silent at end_ns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial(Event):
    """The text so far; the next partial of the same utterance replaces it."""

    text: str
    stable_text: str  # the start of text that no later partial nor the final changes
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Final(Event):
    """The text of an utterance; it never changes."""

    text: str
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent(Event):
    """What the grammar understood.  The Final of the same utterance came just before."""

    name: str
    slots: Mapping[str, str]  # slot name -> value as the grammar writes it
    slot_scores: Mapping[str, float]  # slot name -> [0, 1]
    words: tuple[Word, ...]
    confidence: float  # [0, 1]

    def __post_init__(self) -> None:
        # Frozen means the mappings too, whoever made them.
        object.__setattr__(self, "slots", MappingProxyType(dict(self.slots)))
        object.__setattr__(self, "slot_scores", MappingProxyType(dict(self.slot_scores)))

    def __hash__(self) -> int:
        return hash((self.sequence, self.utterance, self.name, tuple(sorted(self.slots.items()))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected(Event):
    """With a grammar: speech that no sentence of it fits.  There is no Final for it."""

    text: str  # what the open vocabulary heard
    confidence: float  # of the best sentence, [0, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase(Event):
    """A wake phrase was spotted."""

    text: str
    confidence: float  # [0, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels(Event):
    """What an image shows, the likeliest first; empty: nothing that the eye knows.

    `begin_ns` and `end_ns` are the image's `capture_ns`.
    """

    labels: tuple[Label, ...]  # at most five
    confidence: float = 0.0  # of the likeliest class, known or not: a smoothed probability, [0, 1]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Embedding(Event):
    """A vector that stands for the voice, the sound or the image."""

    values: npt.NDArray[np.float32]  # (num_values,), read-only


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakStart(Event):
    """The first sample of the speech can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakStop(Event):
    """The last sample was read, or the speech was stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap(Event):
    """No input from begin_ns to end_ns: the stream began anew behind it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Posteriors(Event):
    """The log-probabilities of one step, told only where the session was opened with posteriors."""

    log_probs: npt.NDArray[np.float32]  # (num_rows, num_phones + num_tokens), read-only
    num_phones: int

    @property
    def phone_log_probs(self) -> npt.NDArray[np.float32]:
        """(num_rows, num_phones); each row sums to one after exp."""
        return self.log_probs[:, : self.num_phones]

    @property
    def token_log_probs(self) -> npt.NDArray[np.float32]:
        """(num_rows, num_tokens); each row sums to one after exp."""
        return self.log_probs[:, self.num_phones :]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Logits(Event):
    """What the eye's network said of one image, told just before its Labels where the session was opened
    with posteriors."""

    values: npt.NDArray[np.float32]  # (num_labels,), read-only; before temperature and smoothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Event):
    """A role of the stream broke: `galago.runtime.errors.of_status(status, text)` is what to raise.

    The other role, if there is one, goes on.
    """

    status: int
    text: str
    role: str = ""  # "ear" or "eye"


# -- from the ABI --------------------------------------------------------------------------------------


def decode(raw: abi.Event, *, num_phones: int, num_tokens: int) -> Event | None:
    """Copy an event out of the library's memory; None for a type that this package does not know.

    Args:
        raw: filled by `galago_session_next_event`, whose pointers are valid until its next call.
        num_phones: columns of the phone head, to split posteriors.
        num_tokens: columns of the token head.
    """
    shared: dict[str, int] = {name: getattr(raw, name) for name in _SHARED}

    match raw.type:
        case abi.EVENT_PARTIAL:
            encoded: bytes = raw.text
            # A stable prefix ends between characters, but a defect here must not kill the stream.
            stable = encoded[: raw.stable_bytes].decode(errors="ignore")
            return Partial(
                **shared,
                text=_text(encoded),
                stable_text=stable,
                words=_words(raw),
            )
        case abi.EVENT_FINAL:
            return Final(
                **shared,
                text=_text(raw.text),
                words=_words(raw),
            )
        case abi.EVENT_INTENT:
            slots = [raw.labels[i] for i in range(raw.num_labels)]
            return Intent(
                **shared,
                name=_text(raw.text),
                slots={_text(slot.name): _text(slot.value) for slot in slots},
                slot_scores={_text(slot.name): slot.score for slot in slots},
                words=_words(raw),
                confidence=_first_value(raw),
            )
        case abi.EVENT_REJECTED | abi.EVENT_PHRASE:
            kind = Rejected if raw.type == abi.EVENT_REJECTED else Phrase
            return kind(
                **shared,
                text=_text(raw.text),
                confidence=_first_value(raw),
            )
        case abi.EVENT_LABELS:
            return Labels(
                **shared,
                labels=tuple(
                    Label(name=_text(raw.labels[i].name), score=raw.labels[i].score)
                    for i in range(raw.num_labels)
                ),
                confidence=_first_value(raw),
            )
        case abi.EVENT_EMBEDDING:
            return Embedding(
                **shared,
                values=_values(raw),
            )
        case abi.EVENT_LOGITS:
            return Logits(
                **shared,
                values=_values(raw),
            )
        case abi.EVENT_POSTERIORS:
            return Posteriors(
                **shared,
                log_probs=_values(raw).reshape(-1, num_phones + num_tokens),
                num_phones=num_phones,
            )
        case abi.EVENT_FAILED:
            return Failed(
                **shared,
                status=raw.status,
                text=_text(raw.text),
                role=_text(raw.labels[0].name) if raw.num_labels else "",
            )
    plain = _PLAIN.get(raw.type)
    if plain is None:
        return None
    return plain(**shared)


_SHARED = ("sequence", "utterance", "begin_ns", "end_ns", "emitted_ns")

_PLAIN: dict[int, type[Event]] = {
    abi.EVENT_VOICE_START: VoiceStart,
    abi.EVENT_VOICE_STOP: VoiceStop,
    abi.EVENT_SPEAK_START: SpeakStart,
    abi.EVENT_SPEAK_STOP: SpeakStop,
    abi.EVENT_GAP: Gap,
}


def _text(encoded: bytes | None) -> str:
    return (encoded or b"").decode(errors="replace")


def _words(raw: abi.Event) -> tuple[Word, ...]:
    return tuple(
        Word(text=_text(word.text), begin_ns=word.begin_ns, end_ns=word.end_ns, confidence=word.confidence)
        for word in (raw.words[i] for i in range(raw.num_words))
    )


def _first_value(raw: abi.Event) -> float:
    return float(raw.values[0]) if raw.num_values else 0.0


def _values(raw: abi.Event) -> npt.NDArray[np.float32]:
    if raw.num_values == 0:
        empty = np.empty(0, np.float32)
        empty.flags.writeable = False
        return empty
    buffer = ctypes.string_at(raw.values, raw.num_values * ctypes.sizeof(ctypes.c_float))
    return np.frombuffer(buffer, np.float32)  # read-only: bytes own the memory
