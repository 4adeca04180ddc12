"""`galago see`: what is in these images?"""

from __future__ import annotations

import json as json_format
from collections.abc import Sequence
from pathlib import Path

import typer

from galago.runtime.errors import InternalError, SourceError
from galago.runtime.events import Labels
from galago.runtime.session import Session
from galago.streaming.cli.exits import UNREADABLE, complain, exit_codes
from galago.streaming.cli.labels import check_eye, labels_line, labels_row
from galago.streaming.cli.options import open_bundle
from galago.streaming.images.image_file import Background, read_image
from galago.streaming.images.image_source import ImageFrame
from galago.streaming.pipeline import healthy_events


def see(
    images: Sequence[Path], *, bundle: str, json: bool, background: Background, num_threads: int | None
) -> None:
    """Answer each image by itself: nothing of one is left when the next is looked at."""
    with exit_codes():
        failures = 0
        with (
            open_bundle(bundle, num_threads=num_threads, roles=("eye",)) as opened,
            opened.session() as session,
        ):
            check_eye(opened)
            for path in images:
                try:
                    image = read_image(path, background=background)
                except SourceError as error:
                    failures += 1
                    complain(str(error))
                    continue
                event = look_at(image, session)
                if json:
                    row = labels_row(event, str(path))
                    print(json_format.dumps(row, ensure_ascii=False), flush=True)
                else:
                    prefix = f"{path}: " if len(images) > 1 else ""
                    print(prefix + labels_line(event), flush=True)
        if failures:
            raise typer.Exit(UNREADABLE)


def look_at(image: ImageFrame, session: Session) -> Labels:
    """The labels of one image alone.

    Raises:
        GalagoError: the engine failed; the class is that of its status.
    """
    session.reset()  # labels are smoothed over images that follow each other: these do not
    session.push_image(image.data, image.capture_ns, format=image.format)
    while session.step():
        continue
    told = [event for event in healthy_events(session) if isinstance(event, Labels)]
    if not told:
        raise InternalError("the eye looked at an image and told no labels")
    return told[-1]
