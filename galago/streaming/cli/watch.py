"""`galago watch`: what a camera shows, told when it changes; a live line on a terminal, JSON for programs."""

from __future__ import annotations

import json as json_format
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TextIO

import typer

from galago.runtime.events import Labels
from galago.streaming.cli.exits import complain, exit_codes
from galago.streaming.cli.interrupts import ended_by_signals
from galago.streaming.cli.labels import best_name, check_eye, labels_line, labels_row
from galago.streaming.cli.options import open_bundle
from galago.streaming.images.camera import Binding, open_camera
from galago.streaming.source import NS_PER_S
from galago.streaming.watcher import Watcher


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """What the command line said."""

    source: str = "camera"
    bundle: str = "default"
    rate_hz: float = 5.0
    json: bool = False
    realtime: bool = False
    binding: Binding = "auto"
    num_threads: int | None = None


def watch(options: WatchOptions) -> None:
    """Look until the source ends; what it loses and finds again is told on standard error."""
    with exit_codes():
        with open_bundle(options.bundle, num_threads=options.num_threads, roles=("eye",)) as bundle:
            check_eye(bundle)
            source = open_camera(
                options.source,
                rate_hz=options.rate_hz,
                realtime=options.realtime,
                binding=options.binding,
                report=complain,
            )
            with source, bundle.session() as session:
                watcher = Watcher(source, session, rate_hz=options.rate_hz)
                with ended_by_signals(watcher.stop) as ending, _view(options) as view:
                    for event in watcher:
                        if isinstance(event, Labels):
                            view.show(event, source.name, watcher.origin_ns or 0, live=source.live)
            if ending.exit_code is not None:
                raise typer.Exit(ending.exit_code)


class View(ABC):
    """Where labels are shown."""

    @abstractmethod
    def show(self, event: Labels, file: str, origin_ns: int, *, live: bool) -> None:
        """Show the labels of one image; times count from `origin_ns`."""

    def __enter__(self) -> View:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027 - a stream that is the caller's stays open
        """Leave the output as it was."""


class JsonView(View):
    """Every image as one line, flushed at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, event: Labels, file: str, origin_ns: int, *, live: bool) -> None:
        row = labels_row(event, file)
        row["begin_s"] = _seconds(event, origin_ns)
        row["end_s"] = row["begin_s"]
        row["latency_ms"] = round(event.latency_ms, 1) if live else None
        self._stream.write(json_format.dumps(row, ensure_ascii=False) + "\n")
        self._stream.flush()


class PlainView(View):
    """One line whenever the best label changes: for pipes and files."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown: str | None = None

    def show(self, event: Labels, file: str, origin_ns: int, *, live: bool) -> None:
        if best_name(event) != self._shown:
            self._shown = best_name(event)
            self._stream.write(f"{_seconds(event, origin_ns):8.2f} s  {labels_line(event)}\n")
            self._stream.flush()


class LiveView(View):
    """The same above a last line that every image rewrites: for terminals."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        self._text = Text
        self._console = Console(highlight=False)
        self._live = Live(Text(), console=self._console, transient=True, auto_refresh=False)
        self._shown: str | None = None

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def show(self, event: Labels, file: str, origin_ns: int, *, live: bool) -> None:
        if best_name(event) != self._shown:
            self._shown = best_name(event)
            self._console.print(self._text(f"{_seconds(event, origin_ns):8.2f} s  {best_name(event)}"))
        latency = f"  {event.latency_ms:.0f} ms" if live else ""
        line = self._text.assemble(
            "… ", labels_line(event), (latency, "dim"), no_wrap=True, overflow="ellipsis"
        )
        self._live.update(line, refresh=True)

    def close(self) -> None:
        self._live.stop()


def _seconds(event: Labels, origin_ns: int) -> float:
    return round((event.begin_ns - origin_ns) / NS_PER_S, 3)


def _view(options: WatchOptions) -> View:
    if options.json:
        return JsonView(sys.stdout)
    return LiveView() if sys.stdout.isatty() else PlainView(sys.stdout)
