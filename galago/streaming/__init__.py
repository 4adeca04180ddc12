"""From sound and images to events: sources, resampling, real-time replay, pipelines and the command line.

Libraries of sound cards, cameras and files are imported when a source asks for them, never by
`import galago.streaming`.
"""

from __future__ import annotations

from galago.streaming.camera import open_camera
from galago.streaming.files import FileSource
from galago.streaming.image_file import read_image
from galago.streaming.image_folder import ImageFolderSource
from galago.streaming.image_replay import RealTimeImageSource
from galago.streaming.image_source import ImageFrame, ImageSource
from galago.streaming.pipeline import Listener, StreamReport
from galago.streaming.raw_pcm import RawFormat, RawPcmSource
from galago.streaming.reconnect import Backoff, ReconnectingSource
from galago.streaming.replay import RealTimeSource
from galago.streaming.resample import MonoSource, StreamResampler
from galago.streaming.source import AudioBlock, AudioSource, Source
from galago.streaming.watcher import Watcher, WatchReport

__all__ = [
    "AudioBlock",
    "AudioSource",
    "Backoff",
    "FileSource",
    "ImageFolderSource",
    "ImageFrame",
    "ImageSource",
    "Listener",
    "MonoSource",
    "RawFormat",
    "RawPcmSource",
    "RealTimeImageSource",
    "RealTimeSource",
    "ReconnectingSource",
    "Source",
    "StreamReport",
    "StreamResampler",
    "WatchReport",
    "Watcher",
    "open_camera",
    "read_image",
]
