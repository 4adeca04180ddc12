"""GStreamer's complaints as one sentence, with the Debian package that is missing."""

from __future__ import annotations

import re
from collections.abc import Iterable

BASE, GOOD, BAD, LIBAV = (
    f"gstreamer1.0-{part}" for part in ("plugins-base", "plugins-good", "plugins-bad", "libav")
)
#: What galago's own pipelines are made of.
DEBIAN_PACKAGES = f"gstreamer1.0-tools {BASE} {GOOD}"

_PACKAGE_OF_ELEMENT = {
    **dict.fromkeys(("appsink", "appsrc", "decodebin", "decodebin3", "playbin", "uridecodebin"), BASE),
    **dict.fromkeys(
        ("videoconvert", "videorate", "videoscale", "videotestsrc", "theoradec", "oggdemux"), BASE
    ),
    **dict.fromkeys(("tcpclientsrc", "tcpserversrc", "gdkpixbufdec"), BASE),
    **dict.fromkeys(
        ("v4l2src", "rtspsrc", "udpsrc", "souphttpsrc", "y4menc", "videoflip", "rtpjitterbuffer"), GOOD
    ),
    **dict.fromkeys(("jpegdec", "jpegenc", "pngdec", "vp8dec", "vp9dec", "avidemux", "matroskademux"), GOOD),
    **dict.fromkeys(
        ("qtdemux", "multipartdemux", "videobox", "videocrop", "rtph264depay", "rtpjpegdepay"), GOOD
    ),
    **dict.fromkeys(("h264parse", "h265parse", "openh264dec", "srtsrc", "pnmdec", "tsdemux", "av1dec"), BAD),
    **dict.fromkeys(("avdec_h264", "avdec_h265", "avdec_mpeg4", "avdec_mjpeg"), LIBAV),
    "libcamerasrc": "gstreamer1.0-libcamera",
    "x264enc": "gstreamer1.0-plugins-ugly",
}
_ELEMENT_MISSING = re.compile(r"no element \"?([\w-]+)\"?")
_DECODER_MISSING = re.compile(r"[Mm]issing (?:decoder|element|plug-?in)[^:]*: ([^\n]+)")
_ERROR_LINE = re.compile(r"^ERROR: (?:from element \S*?([^/:\s]+): )?(.+)$")
_PARSE_LINE = re.compile(r"^WARNING: erroneous pipeline: (.+)$")
#: What GStreamer says after the first error, or when it knows nothing better.
_UNINFORMATIVE = ("pipeline doesn't want to preroll", "Internal data stream error", "Failed to set pipeline")


def describe_log(lines: Iterable[str]) -> str | None:
    """What `gst-launch-1.0` complained about, the most telling; None where there is no error.

    Args:
        lines: of its standard error, in the C locale.
    """
    found: list[tuple[str, str]] = []
    rows = list(lines)
    for index, row in enumerate(rows):
        parse_error = _PARSE_LINE.match(row)
        if parse_error:
            return describe("", parse_error[1], "")
        error = _ERROR_LINE.match(row)
        if error:
            details = (
                rows[index + 1 : index + 5]
                if rows[index + 1 : index + 2] == ["Additional debug info:"]
                else []
            )
            end = next((i for i, line in enumerate(details[1:], 1) if line.startswith("ERROR")), len(details))
            found.append((error[1] or "", error[2] + "\n" + "\n".join(details[1:end])))
    if not found:
        return None
    telling = [pair for pair in found if not any(text in pair[1] for text in _UNINFORMATIVE)]
    element, text = (telling or found)[0]
    message, _, debug = text.partition("\n")
    return describe(element, message, debug)


def describe(element: str, message: str, debug: str) -> str:
    """One error as a sentence, with what to install where something is missing.

    Args:
        element: that complained, or empty.
        message: its words.
        debug: its second thoughts: a place in GStreamer's sources, and below it often the true reason.
    """
    words = message.strip().rstrip(".")
    reason = debug.strip().splitlines()[-1].strip() if debug.strip() else ""
    if reason.startswith("../"):  # the place in the sources, and the reason behind its last colon
        reason = reason.rpartition(":")[2].strip()
    text = f"{element}: {words}" if element else words
    if reason and reason not in text:
        text += f" ({reason})"
    advice = _advice(f"{message}\n{debug}")
    return f"{text}{advice}"


def _advice(text: str) -> str:
    on_debian = "; on Debian and Ubuntu: apt-get install "
    element = _ELEMENT_MISSING.search(text)
    if element:
        known = _PACKAGE_OF_ELEMENT.get(element[1])
        return (
            on_debian + known
            if known
            else f"; is it spelled right? `gst-inspect-1.0 {element[1]}` looks for it"
        )
    if _DECODER_MISSING.search(text) or "missing a plug-in" in text:
        return f"{on_debian}{GOOD} (VP8, VP9, JPEG) or {LIBAV} (H.264, H.265, MPEG-4)"
    if "not-linked" in text or "elayed linking failed" in text:
        return "; is there a picture in it at all?"
    return ""
