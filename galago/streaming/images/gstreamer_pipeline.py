"""Pipelines in the words of gst-launch, from a device, an address, a file or the user's own text.

The same text runs through both bindings.  Pictures leave it as I420 or NV12 in BT.601 with luma in 16..235,
whatever the camera sends: the images of all sources then mean the same to the model.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from urllib.parse import quote

from galago.runtime.errors import SourceError
from galago.streaming.source import NS_PER_S

FILE_RATE_HZ = 30  # of videos, where no rate is asked for
RTSP_LATENCY_MS = 100  # how long the receiver waits for packets that are late

# A live source must never wait for us: what is older than one image is thrown away before it is converted.
_NEWEST = "queue leaky=downstream max-size-buffers=1 max-size-bytes=0 max-size-time=0"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Where pictures come from, and what their end means."""

    name: str  # for messages; holds no password
    head: str  # in gst-launch syntax, up to raw pictures
    live: bool
    ends: bool  # that it ends is no failure
    path: Path | None = None  # of a video file

    def text(self, format: str, rate_hz: float | None) -> str:
        """The pipeline up to raw pictures in a format of GStreamer ("I420", "NV12").

        Args:
            format: of the pictures.
            rate_hz: images a second; None: as they come, and `FILE_RATE_HZ` for files.  Live sources are
                thinned out only, before the costly conversion, to the next whole number.
        """
        raw = f"videoconvert ! video/x-raw,format={format},colorimetry=bt601"
        if self.live:
            thinned = f" ! videorate drop-only=true max-rate={max(1, math.ceil(rate_hz))}" if rate_hz else ""
            return f"{self.head} ! {_NEWEST}{thinned} ! {raw}"
        # Without a binding no time stamps come through: at a constant rate, counting tells the time.
        rate = Fraction(rate_hz or FILE_RATE_HZ).limit_denominator(1000)
        # The last image is shown once: what is missing of a truncated file is not filled up with it.
        # (The property came with GStreamer 1.22.)
        constant = (
            f"videorate max-closing-segment-duplication-duration={math.ceil(NS_PER_S / rate)} "
            f"! video/x-raw,framerate={rate.numerator}/{rate.denominator}"
        )
        # Telephones film sideways and say so in a tag.
        return f"{self.head} ! {constant} ! {raw} ! videoflip video-direction=auto"


def v4l2_pipeline(device: str) -> Pipeline:
    """A camera that the kernel offers: USB, CSI, a capture card.

    Raises:
        SourceError: no device is called so.
    """
    if _value(device) != device:
        raise SourceError(f"{device!r}: a device has no blanks, quotes or backslashes in its name")
    # decodebin passes raw pictures on and decodes the JPEG that many cameras send.
    head = f"v4l2src device={_value(device)} ! decodebin"
    return Pipeline(device, head, live=True, ends=False)


def rtsp_pipeline(url: str) -> Pipeline:
    """A network camera; over TCP, which passes firewalls and loses nothing."""
    head = (
        f"rtspsrc location={_value(url)} latency={RTSP_LATENCY_MS} drop-on-latency=true protocols=tcp "
        "! application/x-rtp,media=video ! decodebin"
    )
    return Pipeline(without_password(url), head, live=True, ends=False)


def stream_pipeline(url: str) -> Pipeline:
    """A stream over HTTP."""
    head = f"uridecodebin uri={_value(url)}"
    return Pipeline(without_password(url), head, live=True, ends=False)


def video_pipeline(path: str | os.PathLike[str]) -> Pipeline:
    """A video file: read as fast as its images are taken."""
    uri = "file://" + quote(os.fsencode(os.path.abspath(path)))
    return Pipeline(
        os.fspath(path), f"uridecodebin uri={_value(uri)}", live=False, ends=True, path=Path(path)
    )


def own_pipeline(text: str) -> Pipeline:
    """What the user wrote, up to raw pictures: `v4l2src ! image/jpeg,width=1280 ! jpegdec`."""
    return Pipeline(f"pipeline: {without_password(text)}", text, live=True, ends=True)


def without_password(text: str) -> str:
    """The text with user names and passwords taken out of its addresses."""
    return re.sub(r"(\w+://)[^/\s\"']*@", r"\1", text)


def is_url(text: str, *schemes: str) -> bool:
    """Whether it is an address of one of these schemes."""
    scheme, found, _ = text.partition("://")
    return bool(found) and scheme.lower() in schemes


def _value(text: str) -> str:
    """A value as both a shell and gst-launch read it: what would end it or quote is percent-encoded."""
    return re.sub(r"[\s\"'\\]", lambda found: quote(found[0]), text)
