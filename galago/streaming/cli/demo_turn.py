"""The turn of `galago demo`: a question is heard, the camera looks, the device answers aloud.

`turn/turn.toml` in the folder of the clips describes it as `galago run` takes it.  The reply goes into a WAV
file, the turn into a picture, and what it took onto the terminal.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from galago.runtime.bundle import Bundle
from galago.runtime.errors import SinkError
from galago.streaming.cli.exits import INTERRUPTED
from galago.streaming.cli.options import human_path
from galago.streaming.cli.run import converse
from galago.streaming.cli.tables import megabytes, print_table
from galago.streaming.sound.sound_card import Backend
from galago.streaming.turns.run_config import NONE, SPEAKER, RunConfig, read_config
from galago.streaming.turns.turn_meter import TurnCost

CONFIG = "turn/turn.toml"
REPLY, PICTURE = "reply.wav", "turn.png"
_ROLES = ("eye", "voice")


@dataclass(frozen=True, slots=True)
class TurnOptions:
    """Where a turn goes to, beside the terminal."""

    folder: Path  # of the reply and the picture; made if needed
    speaker: bool = False  # aloud too
    backend: Backend = "sounddevice"


def play_turn(bundle: Bundle, config: RunConfig, options: TurnOptions) -> int:
    """Play a turn in real time with what the bundle has, and say what it lacks.  Returns the exit code.

    Raises:
        SinkError: the folder cannot be made, a file not written, or the speaker not opened.
    """
    missing = [role for role in _ROLES if getattr(bundle.manifest, role) is None]
    if missing:
        print(f"\nno {' and no '.join(missing)} in {bundle.manifest.name}: `galago pack --into` adds one")
    if len(missing) == len(_ROLES):
        print("without either there is no turn to show")
        return 0
    config = _as_demo(config, options, missing)
    name = Path(config.ear.source).name
    print(f"\n{name}  a turn: question, look, answer", flush=True)
    costs: list[TurnCost] = []
    ended_by = converse(bundle, config, sys.stdout, measured=costs.append)
    print()
    print_table(["", ">", ""], [row for cost in costs for row in cost_rows(cost)])
    said = [] if config.voice.sink == NONE else [options.folder / REPLY]
    print(f"\nsaved: {', '.join(human_path(path) for path in [*said, options.folder / PICTURE])}")
    return INTERRUPTED if ended_by == signal.SIGINT else 0


def load_turn(folder: Path) -> RunConfig | None:
    """The turn of a folder of clips; None where there is none.

    Raises:
        InvalidArgumentError: a mistake in its file, named with its line.
    """
    path = folder / CONFIG
    return read_config(path) if path.is_file() else None


def cost_rows(cost: TurnCost) -> Iterator[tuple[str, str, str]]:
    """(what, how much, of what) of a turn; what did not happen has no row."""
    for latency in cost.latencies:
        yield "voice stop to reply", f"{latency.turn_ms:.0f} ms", "beyond the endpoint's silence"
        yield "  understood", f"{latency.final_ms:.0f} ms", "of these, until the final"
        yield "  answered", f"{latency.reply_ms:.0f} ms", "of these, from the final to the first sample"
    if cost.ttfa_ms is not None:
        yield "first audio", f"{cost.ttfa_ms:.1f} ms", "after the voice was given the text"
    for role, share, per in (
        ("ear", cost.ear_rtf, "of the time that was heard"),
        ("eye", cost.eye_share, f"of the time that it looked, {cost.num_images / cost.wall_s:.1f} images/s"),
        ("voice", cost.voice_rtf, "of the time that was said"),
    ):
        if share is not None:
            yield f"RTF of the {role}", f"{share:.4f}", per
    yield "whole process", f"{100 * cost.cpu_share:.1f} %", "of one core, while the turn lasted"
    yield "peak memory", megabytes(cost.peak_bytes), "of the whole process, Python included"


def _as_demo(config: RunConfig, options: TurnOptions, missing: list[str]) -> RunConfig:
    """A turn as its file says, but for what the bundle lacks and where its sound and picture go."""
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"{options.folder}: cannot be made: {error.strerror}") from error
    reply = options.folder / REPLY
    voice = replace(config.voice, sink=NONE, record=None)
    if "voice" not in missing and options.speaker:
        voice = replace(voice, sink=SPEAKER, record=reply, backend=options.backend)
    elif "voice" not in missing:
        voice = replace(voice, sink=str(reply))
    return replace(
        config,
        eye=None if "eye" in missing else config.eye,
        voice=voice,
        output=replace(config.output, json=False, timeline=True, picture=options.folder / PICTURE),
    )
