"""From sound and images to events and replies: sources, sinks, pipelines, turns and the command line.

Libraries of sound cards, cameras and files are imported when a source asks for them, never by
`import galago.streaming`.
"""

from __future__ import annotations

from galago.streaming.camera import open_camera
from galago.streaming.conversation import Conversation, Interrupted, Parts, Trouble
from galago.streaming.dialogue import Dialogue, Question, Reply, Rule
from galago.streaming.dialogue_file import DialogueFile, Vocabulary, read_dialogue
from galago.streaming.files import FileSource
from galago.streaming.image_file import read_image
from galago.streaming.image_folder import ImageFolderSource
from galago.streaming.image_replay import RealTimeImageSource
from galago.streaming.image_source import ImageFrame, ImageSource
from galago.streaming.pipeline import Listener, StreamReport
from galago.streaming.player import PlaybackEnded, PlaybackStarted, Player
from galago.streaming.raw_pcm import RawFormat, RawPcmSource
from galago.streaming.reconnect import Backoff, ReconnectingSource
from galago.streaming.replay import RealTimeSource
from galago.streaming.resample import MonoSource, StreamResampler
from galago.streaming.sight import LabelHistory, Sight
from galago.streaming.sink import AudioSink
from galago.streaming.source import AudioBlock, AudioSource, Source
from galago.streaming.tee_sink import TeeSink
from galago.streaming.timeline import Timeline
from galago.streaming.turn_meter import TurnCost, TurnLatency, TurnMeter
from galago.streaming.voice import SessionVoice, Voice
from galago.streaming.watcher import Watcher, WatchReport
from galago.streaming.wav_sink import RawPcmSink, RealTimeSink, WavSink

__all__ = [
    "AudioBlock",
    "AudioSink",
    "AudioSource",
    "Backoff",
    "Conversation",
    "Dialogue",
    "DialogueFile",
    "FileSource",
    "ImageFolderSource",
    "ImageFrame",
    "ImageSource",
    "Interrupted",
    "LabelHistory",
    "Listener",
    "MonoSource",
    "Parts",
    "PlaybackEnded",
    "PlaybackStarted",
    "Player",
    "Question",
    "RawFormat",
    "RawPcmSink",
    "RawPcmSource",
    "RealTimeImageSource",
    "RealTimeSink",
    "RealTimeSource",
    "ReconnectingSource",
    "Reply",
    "Rule",
    "SessionVoice",
    "Sight",
    "Source",
    "StreamReport",
    "StreamResampler",
    "TeeSink",
    "Timeline",
    "Trouble",
    "TurnCost",
    "TurnLatency",
    "TurnMeter",
    "Vocabulary",
    "Voice",
    "WatchReport",
    "Watcher",
    "WavSink",
    "open_camera",
    "read_dialogue",
    "read_image",
]
