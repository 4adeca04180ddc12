"""From sound to events: sources, resampling, real-time replay, the pipeline and the command line.

Sound card and file libraries are imported when a source asks for them, never by `import galago.streaming`.
"""

from __future__ import annotations

from galago.streaming.files import FileSource
from galago.streaming.pipeline import Listener, StreamReport
from galago.streaming.raw_pcm import RawFormat, RawPcmSource
from galago.streaming.replay import RealTimeSource
from galago.streaming.resample import MonoSource, StreamResampler
from galago.streaming.source import AudioBlock, AudioSource

__all__ = [
    "AudioBlock",
    "AudioSource",
    "FileSource",
    "Listener",
    "MonoSource",
    "RawFormat",
    "RawPcmSource",
    "RealTimeSource",
    "StreamReport",
    "StreamResampler",
]
