"""A microphone that does not hear the device's own voice: by subtracting it, or by not listening meanwhile.

HalfDuplexSource        while the voice plays, and a little longer, nothing is heard: a gap, as after a
                        lost cable, so that no half word is made up.  Nobody can interrupt.
EchoCancelledSource     what is played is subtracted: who speaks meanwhile is heard, and stops the voice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from galago.streaming.sound.resample import GAP_NS
from galago.streaming.source import NS_PER_S, AudioBlock, AudioSource, WrappedSource
from galago.streaming.turns.reference import PlaybackReference

Echo = Literal["half-duplex", "cancel", "none"]
ECHOES: tuple[Echo, ...] = ("half-duplex", "cancel", "none")
FRAME_MS = 20
TAIL_MS = 300  # after the voice: the room, and what the card has taken and not played


class EchoCanceller(Protocol):
    """Subtracts what was played from what was heard, frame by frame."""

    frame_samples: int
    tail_ms: int

    def process(
        self, heard: npt.NDArray[np.float32], played: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """(frame_samples,) each, of the same moment."""

    def close(self) -> None:
        """Free it."""


class HalfDuplexSource(WrappedSource):
    """Another source, deaf while the device speaks.

    Args:
        source: of any rate.
        reference: what is played.
        tail_ms: deaf for so much longer.
    """

    def __init__(self, source: AudioSource, reference: PlaybackReference, *, tail_ms: int = TAIL_MS) -> None:
        super().__init__(source)
        self._reference = reference
        self._tail_ns = tail_ms * 1_000_000

    def __iter__(self) -> Iterator[AudioBlock]:
        for block in self._source:
            begin_ns, end_ns = block.capture_ns, block.end_ns(self.sample_rate_hz)
            if not self._reference.was_audible(begin_ns - self._tail_ns, end_ns):
                yield block


class EchoCancelledSource(WrappedSource):
    """Another source without what the device plays.

    Where nothing was played for as long as the canceller remembers, samples pass untouched.

    Args:
        source: mono, at the rate of the reference.
        reference: what is played.
        canceller: of frames of a length of its own; the source closes it.
    """

    def __init__(self, source: AudioSource, reference: PlaybackReference, canceller: EchoCanceller) -> None:
        super().__init__(source)
        self._reference = reference
        self._canceller = canceller

    def __iter__(self) -> Iterator[AudioBlock]:
        frame_samples = self._canceller.frame_samples
        pending = np.empty(0, np.float32)
        begin_ns = 0  # of what is pending
        try:
            for block in self._source:
                due_ns = begin_ns + len(pending) * NS_PER_S // self.sample_rate_hz
                if len(pending) and abs(block.capture_ns - due_ns) > GAP_NS:
                    yield AudioBlock(pending[:, None], begin_ns)
                    pending = pending[:0]
                # The source's clock is followed, block by block.
                begin_ns = block.capture_ns - len(pending) * NS_PER_S // self.sample_rate_hz
                pending = np.concatenate([pending, block.samples[:, 0]])
                num_whole = len(pending) // frame_samples * frame_samples
                if num_whole:
                    yield AudioBlock(self._cleaned(pending[:num_whole], begin_ns)[:, None], begin_ns)
                    begin_ns += num_whole * NS_PER_S // self.sample_rate_hz
                    pending = pending[num_whole:]
            if len(pending):
                yield AudioBlock(pending[:, None], begin_ns)
        finally:
            self._canceller.close()

    def _cleaned(self, samples: npt.NDArray[np.float32], begin_ns: int) -> npt.NDArray[np.float32]:
        frame_samples = self._canceller.frame_samples
        cleaned = samples.copy()
        for begin in range(0, len(samples), frame_samples):
            frame = slice(begin, begin + frame_samples)
            at_ns = begin_ns + begin * NS_PER_S // self.sample_rate_hz
            end_ns = at_ns + frame_samples * NS_PER_S // self.sample_rate_hz
            if self._reference.was_audible(at_ns - self._canceller.tail_ms * 1_000_000, end_ns):
                played = self._reference.read(at_ns, frame_samples)
                cleaned[frame] = self._canceller.process(samples[frame], played)
        return cleaned
