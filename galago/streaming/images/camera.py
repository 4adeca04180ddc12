"""One word for any source of images: a camera, an address, a pipeline, a video, a folder.

camera                                the first camera of this machine
v4l2:/dev/video2, /dev/video2         this one
rtsp://user:password@host/path        a network camera (also rtsps://, http://, https://)
pipeline: videotestsrc is-live=true   anything that GStreamer can do, up to raw pictures
film.webm                             a video
photo.jpg, photos/, "shots/*.png"     images
"""

from __future__ import annotations

import functools
import glob
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from galago.runtime.errors import InvalidArgumentError, SourceError, UnsupportedError
from galago.streaming.images.camera_source import STALL_TIMEOUT_S, START_TIMEOUT_S
from galago.streaming.images.gstreamer_appsink import AppsinkSource, load_gstreamer
from galago.streaming.images.gstreamer_launch import GstLaunchSource
from galago.streaming.images.gstreamer_pipeline import (
    Pipeline,
    is_url,
    own_pipeline,
    rtsp_pipeline,
    stream_pipeline,
    v4l2_pipeline,
    video_pipeline,
)
from galago.streaming.images.image_file import SUFFIXES
from galago.streaming.images.image_folder import ImageFolderSource
from galago.streaming.images.image_replay import RealTimeImageSource
from galago.streaming.images.image_source import ImageSource
from galago.streaming.images.reconnect import Backoff, ReconnectingSource
from galago.streaming.images.v4l2_devices import default_camera

Binding = Literal["auto", "appsink", "gst-launch"]
BINDINGS: tuple[Binding, ...] = ("auto", "appsink", "gst-launch")
MIN_RATE_HZ, MAX_RATE_HZ = 0.01, 240.0

_logger = logging.getLogger(__name__)


def open_camera(
    where: str,
    *,
    rate_hz: float | None = None,
    realtime: bool = False,
    hold: bool = False,
    binding: Binding = "auto",
    start_timeout_s: float = START_TIMEOUT_S,
    stall_timeout_s: float = STALL_TIMEOUT_S,
    backoff: Backoff | None = None,
    report: Callable[[str], None] = _logger.warning,
) -> ImageSource:
    """Open a source of images; it starts when it is iterated.

    A live source that worked and breaks, or stalls, is opened again after a pause, for ever; each loss is
    told to `report`.

    Args:
        where: see above.
        rate_hz: images a second at most, by about; None: as they come.  From image files: their rate.
        realtime: replay files at the speed of a camera.
        hold: of image files, the last one goes on until the source is closed.
        binding: how GStreamer is reached: inside this process ("appsink", needs PyGObject), by a process
            ("gst-launch"); "auto": the first that is installed.
        start_timeout_s: until the first image.
        stall_timeout_s: without an image a source has stalled.
        backoff: between attempts to open a source again; None: half a second, doubled up to 30 s.
        report: is told what went wrong and was survived.

    Raises:
        SourceError: there is no such thing.
        UnsupportedError: what it needs is not installed.
        InvalidArgumentError: an argument out of its range.
    """
    if rate_hz is not None and not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise InvalidArgumentError(f"rate_hz: expected {MIN_RATE_HZ} to {MAX_RATE_HZ}, found {rate_hz}")
    if min(start_timeout_s, stall_timeout_s) <= 0:
        raise InvalidArgumentError("start_timeout_s and stall_timeout_s: expected more than 0")
    if binding not in BINDINGS:
        raise InvalidArgumentError(f"binding: expected one of {', '.join(BINDINGS)}, found {binding!r}")
    if _names_images(where):
        source: ImageSource = ImageFolderSource.find(where, rate_hz=rate_hz, hold=hold, report=report)
        return RealTimeImageSource(source) if realtime else source
    pipeline = find_pipeline(where)
    make = functools.partial(
        _bound(binding),
        pipeline,
        rate_hz=rate_hz,
        start_timeout_s=start_timeout_s,
        stall_timeout_s=stall_timeout_s,
    )
    if pipeline.live:
        return ReconnectingSource(make, report=report, backoff=backoff)
    return RealTimeImageSource(make()) if realtime else make()


def find_pipeline(where: str) -> Pipeline:
    """The pipeline that a word means, image files apart.

    Raises:
        SourceError: there is no such device or file.
    """
    scheme, colon, rest = where.partition(":")
    if where == "camera":
        return v4l2_pipeline(default_camera().path)
    if colon and scheme == "v4l2":
        return v4l2_pipeline(rest)
    if colon and scheme == "pipeline":
        return own_pipeline(rest.strip())
    if is_url(where, "rtsp", "rtsps"):
        return rtsp_pipeline(where)
    if is_url(where, "http", "https"):
        return stream_pipeline(where)
    try:
        mode = os.stat(where).st_mode
    except OSError as error:
        raise SourceError(f"{where}: {error.strerror}") from error
    if stat.S_ISCHR(mode):
        return v4l2_pipeline(where)
    if not stat.S_ISREG(mode):
        raise SourceError(f"{where}: is no video file, no folder and no camera")
    return video_pipeline(where)


def _names_images(where: str) -> bool:
    if os.path.exists(where):  # of the empty word, Path would make the working directory
        return os.path.isdir(where) or Path(where).suffix.lower() in SUFFIXES
    return glob.has_magic(where) and "://" not in where and not where.startswith(("pipeline:", "v4l2:"))


def _bound(binding: Binding) -> type[AppsinkSource] | type[GstLaunchSource]:
    if binding == "auto":
        try:
            load_gstreamer()
        except UnsupportedError:
            return GstLaunchSource
        return AppsinkSource
    return AppsinkSource if binding == "appsink" else GstLaunchSource
