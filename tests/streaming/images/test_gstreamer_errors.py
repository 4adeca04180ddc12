"""GStreamer's complaints become one sentence with the package that is missing."""

from __future__ import annotations

import pytest

from galago.streaming.images.gstreamer_errors import describe, describe_log

NO_DEVICE = """\
ERROR: from element /GstPipeline:pipeline0/GstV4l2Src:v4l2src0: Cannot identify device '/dev/video0'.
Additional debug info:
../sys/v4l2/v4l2_calls.c(608): gst_v4l2_open (): /GstPipeline:pipeline0/GstV4l2Src:v4l2src0:
system error: No such file or directory
ERROR: pipeline doesn't want to preroll.
Failed to set pipeline to PAUSED."""
AFTER_ANOTHER = """\
ERROR: from element /GstPipeline:p/GstURIDecodeBin:d/GstOggDemux:demux: Internal data stream error.
Additional debug info:
../ext/ogg/gstoggdemux.c(5016): gst_ogg_demux_loop (): /GstPipeline:p/GstURIDecodeBin:d/GstOggDemux:demux:
streaming stopped, reason error (-5)
ERROR: from element /GstPipeline:p/GstURIDecodeBin:d/GstTheoraDec:dec: Stream is of a different type.
Additional debug info:
../ext/theora.c(1): decode (): /GstPipeline:p/GstURIDecodeBin:d/GstTheoraDec:dec: bad packet"""
NO_DECODER = """\
ERROR: from element /GstPipeline:p/GstDecodeBin:d: Your GStreamer installation is missing a plug-in.
Additional debug info:
../gst/playback/gstdecodebin2.c(4705): gst_decode_bin_expose (): /GstPipeline:p/GstDecodeBin:d:
no suitable plugins found:
Missing decoder: H.264 (Main Profile) (video/x-h264, width=(int)640)"""


@pytest.mark.parametrize(
    ("log", "sentence"),
    [
        (
            NO_DEVICE,
            "v4l2src0: Cannot identify device '/dev/video0' (system error: No such file or directory)",
        ),
        (AFTER_ANOTHER, "dec: Stream is of a different type (bad packet)"),
        (
            'WARNING: erroneous pipeline: no element "v4l2src"',
            'no element "v4l2src"; on Debian and Ubuntu: apt-get install gstreamer1.0-plugins-good',
        ),
        ("** (gst-launch): WARNING: something odd", None),
        ("", None),
    ],
)
def test_a_log_becomes_a_sentence(log: str, sentence: str | None) -> None:
    assert describe_log(log.splitlines()) == sentence


def test_a_missing_decoder_names_packages() -> None:
    sentence = describe_log(NO_DECODER.splitlines())
    assert sentence is not None
    assert "Missing decoder: H.264" in sentence
    assert "apt-get install gstreamer1.0-plugins-good" in sentence and "gstreamer1.0-libav" in sentence


@pytest.mark.parametrize(
    ("element", "package"),
    [
        ("y4menc", "gstreamer1.0-plugins-good"),
        ("videoconvert", "gstreamer1.0-plugins-base"),
        ("h264parse", "gstreamer1.0-plugins-bad"),
        ("avdec_h264", "gstreamer1.0-libav"),
        ("libcamerasrc", "gstreamer1.0-libcamera"),
    ],
)
def test_a_missing_element_names_its_package(element: str, package: str) -> None:
    assert describe("", f'no element "{element}"', "").endswith(f"apt-get install {package}")


def test_an_unknown_element_is_doubted() -> None:
    assert "is it spelled right? `gst-inspect-1.0 videotset`" in describe("", 'no element "videotset"', "")
