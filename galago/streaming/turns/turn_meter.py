"""What a turn takes: how long after the question the reply is heard, and what of the machine it costs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from galago.runtime.errors import InvalidStateError
from galago.runtime.events import NS_PER_MS, NS_PER_S, Final
from galago.runtime.session import Metrics
from galago.streaming.turns.conversation import Told
from galago.streaming.turns.dialogue import Reply
from galago.streaming.turns.player import PlaybackStarted

_STATUS = Path("/proc/self/status")


@dataclass(frozen=True, slots=True)
class TurnLatency:
    """One question and its reply.  The endpoint's silence is how long the ear waits for another word."""

    voice_end_ns: int  # of the question, on the monotonic clock, as the session tells it
    turn_ms: float  # from there to the first sample of the reply, beyond the endpoint's silence
    final_ms: float  # of turn_ms, until the session knew what was said
    reply_ms: float  # of turn_ms, from there to the first sample: dialogue, voice and player


@dataclass(frozen=True, slots=True)
class TurnCost:
    """A conversation from its first sample to its last; None where nothing of the kind happened."""

    latencies: tuple[TurnLatency, ...]
    ttfa_ms: float | None  # from speak to the first sample, inside the session
    ear_rtf: float | None  # busy time over the audio that was heard
    eye_share: float | None  # busy time over the time that the conversation took
    voice_rtf: float | None  # busy time over the audio that was said
    num_images: int  # looked at
    wall_s: float
    cpu_share: float  # of one core, by the whole process; 1.0 is all of it
    peak_bytes: int | None  # of the whole process since its start; None where it is not told


class TurnMeter:
    """Is shown a conversation from its begin to its end.

    Args:
        endpoint_silence_ms: of the session.
    """

    def __init__(self, endpoint_silence_ms: int) -> None:
        self._silence_ns = endpoint_silence_ms * NS_PER_MS
        self._finals: dict[int, Final] = {}
        self._asked: Final | None = None
        self._latencies: list[TurnLatency] = []
        self._begin_ns: int | None = None
        self._begin_cpu_ns = 0

    def begin(self) -> None:
        """Start the clocks: everything is open, nothing is heard yet."""
        self._begin_ns, self._begin_cpu_ns = time.monotonic_ns(), time.process_time_ns()

    def add(self, told: Told) -> None:
        """One thing was told."""
        if isinstance(told, Final):
            self._finals = {told.utterance: told}  # a reply is to the utterance that was just heard
        elif isinstance(told, Reply):
            self._asked = self._finals.get(told.question.utterance)
        elif isinstance(told, PlaybackStarted) and self._asked is not None:
            asked, self._asked = self._asked, None
            silent_ns = asked.end_ns + self._silence_ns
            self._latencies.append(
                TurnLatency(
                    voice_end_ns=asked.end_ns,
                    turn_ms=(told.begin_ns - silent_ns) / NS_PER_MS,
                    final_ms=(asked.emitted_ns - silent_ns) / NS_PER_MS,
                    reply_ms=(told.begin_ns - asked.emitted_ns) / NS_PER_MS,
                )
            )

    def end(self, metrics: Metrics) -> TurnCost:
        """Stop the clocks.

        Args:
            metrics: of the session, which had no other conversation.

        Raises:
            InvalidStateError: `begin` was not called.
        """
        if self._begin_ns is None:
            raise InvalidStateError("a turn was measured that had not begun")
        wall_ns = max(1, time.monotonic_ns() - self._begin_ns)
        cpu_ns = time.process_time_ns() - self._begin_cpu_ns
        return TurnCost(
            latencies=tuple(self._latencies),
            ttfa_ms=None if metrics.ttfa_ns is None else metrics.ttfa_ns / NS_PER_MS,
            ear_rtf=metrics.rtf,
            eye_share=metrics.image_busy_ns / wall_ns if metrics.image_steps else None,
            voice_rtf=metrics.speech_rtf,
            num_images=metrics.image_steps,
            wall_s=wall_ns / NS_PER_S,
            cpu_share=cpu_ns / wall_ns,
            peak_bytes=peak_memory_bytes(),
        )


def peak_memory_bytes() -> int | None:
    """The most that this process ever held in memory (VmHWM); None where the system does not tell."""
    try:
        status = _STATUS.read_text(encoding="ascii")
    except OSError:  # not Linux
        return None
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return int(value.split()[0]) * 1024
    return None
