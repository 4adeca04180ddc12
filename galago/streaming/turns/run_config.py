"""What `galago run` is told: one TOML file for a device, checked before anything is opened.

schema_version = 1
bundle = "default"

[ear]     source = "microphone", a file or "-"; device, backend, grammar, hotwords, phrases, ...
[eye]     source = whatever `galago watch` takes; rate_hz
[turn]    dialogue = "turn.toml"; echo, barge_in
[voice]   sink = "speaker", "none" or a WAV file; record, device, backend
[output]  format = "text" or "json"; timeline, picture, log_level
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from galago.streaming.images.camera import BINDINGS, Binding
from galago.streaming.sound.sound_card import BACKENDS, Backend
from galago.streaming.toml_file import Table, read_toml
from galago.streaming.turns.echo import ECHOES, Echo

SCHEMA_VERSION = 1
LogLevel = Literal["debug", "info", "warning", "error"]
_LOG_LEVELS = ("debug", "info", "warning", "error")
_FORMATS = ("text", "json")
MICROPHONE, STANDARD_INPUT, SPEAKER, NONE = "microphone", "-", "speaker", "none"


@dataclass(frozen=True, slots=True)
class EarConfig:
    source: str  # "microphone", "-", or the path of a file, which is replayed in real time
    device: str | None
    backend: Backend
    sample_rate_hz: int  # of "-", raw PCM
    grammar: Path | None
    hotwords: tuple[str, ...]
    phrases: tuple[str, ...]
    chunk_ms: int | None
    endpoint_silence_ms: int | None


@dataclass(frozen=True, slots=True)
class EyeConfig:
    source: str
    rate_hz: float
    binding: Binding


@dataclass(frozen=True, slots=True)
class TurnConfig:
    dialogue: Path | None
    echo: Echo
    barge_in: bool


@dataclass(frozen=True, slots=True)
class VoiceConfig:
    sink: str  # "speaker", "none", or the path of a WAV file
    record: Path | None  # a WAV file of what the sink is given
    device: str | None
    backend: Backend


@dataclass(frozen=True, slots=True)
class OutputConfig:
    json: bool
    timeline: bool  # a table of the turn at the end
    picture: Path | None  # a PNG of the turn at the end
    log_level: LogLevel


@dataclass(frozen=True, slots=True)
class RunConfig:
    """A device, as its file describes it.  Paths are relative to the folder of the file."""

    bundle: str
    num_threads: int | None
    ear: EarConfig
    eye: EyeConfig | None
    turn: TurnConfig
    voice: VoiceConfig
    output: OutputConfig


def read_config(path: str | os.PathLike[str]) -> RunConfig:
    """Read and check a file; nothing is opened yet.

    Raises:
        InvalidArgumentError: naming file, line and key.
        NotFoundError: no such file.
    """
    document = read_toml(path)
    document.schema(SCHEMA_VERSION)
    document.only("schema_version", "bundle", "num_threads", "ear", "eye", "turn", "voice", "output")
    bundle = document.text("bundle", "default")
    return RunConfig(
        # A name, or a folder beside the file; what is neither is complained of when it is opened.
        bundle=str(document.folder / bundle) if (document.folder / bundle).is_dir() else bundle,
        num_threads=document.integer("num_threads", None),
        ear=_ear(document.table("ear")),
        eye=_eye(document.table("eye")) if "eye" in document else None,
        turn=_turn(document.table("turn")),
        voice=_voice(document.table("voice")),
        output=_output(document.table("output")),
    )


def _ear(table: Table) -> EarConfig:
    table.only(
        "source",
        "device",
        "backend",
        "sample_rate_hz",
        "grammar",
        "hotwords",
        "phrases",
        "chunk_ms",
        "endpoint_silence_ms",
    )
    source = table.text("source", MICROPHONE)
    return EarConfig(
        source=source if source in (MICROPHONE, STANDARD_INPUT) else str(table.file("source")),
        device=_device(table),
        backend=cast(Backend, table.choice("backend", BACKENDS, BACKENDS[0])),
        sample_rate_hz=table.integer("sample_rate_hz", 16000) or 16000,
        grammar=table.file("grammar") if "grammar" in table else None,
        hotwords=table.texts("hotwords", ()),
        phrases=table.texts("phrases", ()),
        chunk_ms=table.integer("chunk_ms", None),
        endpoint_silence_ms=table.integer("endpoint_silence_ms", None),
    )


def _eye(table: Table) -> EyeConfig:
    table.only("source", "rate_hz", "binding")
    source = table.text("source", "camera")
    beside = table.folder / source
    return EyeConfig(
        source=str(beside) if beside.exists() else source,
        rate_hz=table.number("rate_hz", 5.0, minimum=0.01, maximum=240.0),
        binding=cast(Binding, table.choice("binding", BINDINGS, BINDINGS[0])),
    )


def _turn(table: Table) -> TurnConfig:
    table.only("dialogue", "echo", "barge_in")
    return TurnConfig(
        dialogue=table.file("dialogue") if "dialogue" in table else None,
        echo=cast(Echo, table.choice("echo", ECHOES, ECHOES[0])),
        barge_in=table.boolean("barge_in", True),
    )


def _voice(table: Table) -> VoiceConfig:
    table.only("sink", "record", "device", "backend")
    sink = table.text("sink", NONE)
    if "record" in table and sink == NONE:
        raise table.wrong("record", 'there is nothing to record where sink is "none"')
    return VoiceConfig(
        sink=sink if sink in (SPEAKER, NONE) else str(table.folder / sink),
        record=table.folder / table.text("record") if "record" in table else None,
        device=_device(table),
        backend=cast(Backend, table.choice("backend", BACKENDS, BACKENDS[0])),
    )


def _output(table: Table) -> OutputConfig:
    table.only("format", "timeline", "picture", "log_level")
    return OutputConfig(
        json=table.choice("format", _FORMATS, "text") == "json",
        timeline=table.boolean("timeline", False),
        picture=table.folder / table.text("picture") if "picture" in table else None,
        log_level=cast(LogLevel, table.choice("log_level", _LOG_LEVELS, "warning")),
    )


def _device(table: Table) -> str | None:
    if "device" not in table:
        return None
    device = table.values["device"]
    if isinstance(device, bool) or not isinstance(device, str | int):
        raise table.wrong("device", f"expected an index or a part of a name, found {device!r}")
    return str(device)
