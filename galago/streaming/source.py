"""What an audio source is: an iterator of blocks, with a name, a rate and an honest count of losses.

    AudioSource
    ├── FileSource           sound/files.py        WAV, FLAC, OGG, block by block
    ├── RawPcmSource         sound/raw_pcm.py      headerless PCM from a pipe or a file
    ├── Microphone           sound/microphone.py   microphone through sounddevice or PyAudio
    ├── MonoSource           sound/resample.py     any of the above as mono at the rate of the session
    └── RealTimeSource       sound/replay.py       any of the above as fast as a microphone would

What stands on another source is a `WrappedSource`: the last two, and those of turns/echo.py and
turns/conversation.py.

A source that breaks (a truncated file, a microphone pulled out) first yields everything that it heard
and then raises `SourceError`, so that what was said before is still recognised.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galago.runtime.closing import Closing

NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """Samples that belong together, and when the first of them was captured."""

    samples: npt.NDArray[np.float32]  # (num_frames, num_channels), full scale is [-1, 1]
    capture_ns: int  # monotonic for live sources; counted from 0 for the others

    def end_ns(self, sample_rate_hz: int) -> int:
        """When the sample behind the last one is, or would be, captured."""
        return self.capture_ns + len(self.samples) * NS_PER_S // sample_rate_hz


class Source(Closing):
    """What sources of sound and of images share: a name, and an end that may come at any time.

    Attributes:
        name: for messages and the "file" of JSON lines: a path, "-", "mic", "/dev/video0".
        live: captured while it plays: it cannot wait, and capture_ns is monotonic time.
    """

    name: str
    live: bool = False

    def close(self) -> None:
        """Let go of the file or the device.  May be called twice, and while another thread iterates."""


class AudioSource(Source):
    """A stream of audio blocks.  A context manager; iterate it once.

    Attributes:
        sample_rate_hz: of the blocks.
        num_channels: of the blocks.
        duration_s: where it is known beforehand.
    """

    sample_rate_hz: int
    num_channels: int
    duration_s: float | None = None

    @property
    def dropped_frames(self) -> int:
        """Frames (one sample of each channel) that a live source lost because nobody took them in time."""
        return 0

    @abstractmethod
    def __iter__(self) -> Iterator[AudioBlock]:
        """Yield blocks in order of capture; raise SourceError after the last good one if it breaks."""


class WrappedSource(AudioSource):
    """Another source with something done to its blocks; all else is that source's.

    Args:
        source: closed with this one.
    """

    def __init__(self, source: AudioSource) -> None:
        self._source = source
        self.name = source.name
        self.sample_rate_hz = source.sample_rate_hz
        self.num_channels = source.num_channels
        self.live = source.live
        self.duration_s = source.duration_s

    @property
    def dropped_frames(self) -> int:
        return self._source.dropped_frames

    def close(self) -> None:
        self._source.close()
