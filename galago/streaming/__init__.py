"""From sound and images to events and replies: sources, sinks, pipelines, turns and the command line.

Libraries of sound cards, cameras and files are imported when a source asks for them, never by
`import galago.streaming`.
"""

from __future__ import annotations

from galago.streaming.images.camera import open_camera
from galago.streaming.images.image_file import read_image
from galago.streaming.images.image_folder import ImageFolderSource
from galago.streaming.images.image_replay import RealTimeImageSource
from galago.streaming.images.image_source import ImageFrame, ImageSource
from galago.streaming.images.reconnect import Backoff, ReconnectingSource
from galago.streaming.pipeline import Listener, StreamReport
from galago.streaming.sound.files import FileSource
from galago.streaming.sound.raw_pcm import RawFormat, RawPcmSource
from galago.streaming.sound.replay import RealTimeSource
from galago.streaming.sound.resample import MonoSource, StreamResampler
from galago.streaming.sound.sink import AudioSink
from galago.streaming.sound.tee_sink import TeeSink
from galago.streaming.sound.wav_sink import RawPcmSink, RealTimeSink, WavSink
from galago.streaming.source import AudioBlock, AudioSource, Source
from galago.streaming.turns.conversation import Conversation, Interrupted, Parts, Trouble
from galago.streaming.turns.dialogue import Dialogue, Reply, Rule
from galago.streaming.turns.dialogue_file import DialogueFile, Vocabulary, read_dialogue
from galago.streaming.turns.player import PlaybackEnded, PlaybackStarted, Player
from galago.streaming.turns.question import Question
from galago.streaming.turns.sight import LabelHistory, Sight
from galago.streaming.turns.timeline import Timeline
from galago.streaming.turns.turn_meter import TurnCost, TurnLatency, TurnMeter
from galago.streaming.turns.voice import SessionVoice, Voice
from galago.streaming.watcher import Watcher, WatchReport

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
