"""Live pipelines and files through both bindings; and programs in the place of gst-launch that misbehave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from galago.runtime.errors import SourceError, UnsupportedError
from galago.streaming.images import gstreamer_appsink
from galago.streaming.images.camera_source import CameraSource
from galago.streaming.images.gstreamer_appsink import AppsinkSource
from galago.streaming.images.gstreamer_launch import GstLaunchSource
from galago.streaming.images.gstreamer_pipeline import Pipeline, own_pipeline, v4l2_pipeline, video_pipeline
from galago.streaming.images.image_source import ImageFrame
from tests.streaming.images.gstreamer import (
    CONTAINERS,
    CRASHES,
    FAILS,
    HEIGHT,
    PICTURE,
    STALLS,
    WIDTH,
    cut,
    fake_gst_launch,
    skip_without,
    skip_without_gst_launch,
    wait_until,
)

ROOT = Path(__file__).resolve().parents[3]
SOURCES: dict[str, type[AppsinkSource] | type[GstLaunchSource]] = {
    "appsink": AppsinkSource,
    "gst-launch": GstLaunchSource,
}
LIVE = own_pipeline(f"videotestsrc is-live=true ! {PICTURE}")


@pytest.fixture(params=SOURCES)
def open_source(request: pytest.FixtureRequest) -> type[AppsinkSource] | type[GstLaunchSource]:
    skip_without(request.param)
    return SOURCES[request.param]


def take(source: CameraSource, num_images: int) -> list[ImageFrame]:
    images = []
    for image in source:
        images.append(image)
        if len(images) == num_images:
            break
    return images


# -- live ------------------------------------------------------------------------------------------------


def test_a_live_pipeline_shows_images_as_they_are_captured(
    open_source: type[AppsinkSource] | type[GstLaunchSource],
) -> None:
    begin_ns = time.monotonic_ns()
    with open_source(LIVE) as source:
        assert source.live
        images = take(source, 6)
    times_ns = [image.capture_ns for image in images]
    assert begin_ns < times_ns[0] and times_ns[-1] < time.monotonic_ns()
    assert times_ns == sorted(set(times_ns))
    assert {(image.width, image.height, image.format) for image in images} == {(WIDTH, HEIGHT, "nv12")}


@pytest.mark.parametrize(
    ("colour", "luma", "cb_cr"), [(0xFFFF0000, 81, (90, 240)), (0xFFFFFFFF, 235, (128, 128))]
)
def test_colours_are_bt601(
    open_source: type[AppsinkSource] | type[GstLaunchSource], colour: int, luma: int, cb_cr: tuple[int, int]
) -> None:
    """Whatever the camera sends; here RGB of an HD size, for which GStreamer would take BT.709."""
    text = f"videotestsrc is-live=true pattern=solid-color foreground-color={colour}"
    pipeline = own_pipeline(f"{text} ! video/x-raw,format=RGB,width=1280,height=720")
    with open_source(pipeline) as source:
        (image,) = take(source, 1)
    assert np.abs(image.data[:720].astype(int) - luma).max() <= 1
    assert np.abs(image.data[720:].reshape(-1, 2).astype(int) - cb_cr).max() <= 1


@pytest.mark.parametrize(("width", "height"), [(50, 38), (51, 37), (66, 50), (2, 2)])
def test_any_size_comes_whole(
    open_source: type[AppsinkSource] | type[GstLaunchSource], width: int, height: int
) -> None:
    """Rows with padding, odd sides: a picture of one colour would show a slip of a single byte."""
    text = f"videotestsrc is-live=true pattern=red ! video/x-raw,width={width},height={height}"
    with open_source(own_pipeline(text)) as source:
        images = take(source, 3)
    for image in images:
        assert abs(image.width - width) <= 6 and abs(image.height - height) <= 1
        assert np.abs(image.data[: image.height].astype(int) - 81).max() <= 1
        assert np.abs(image.data[image.height :].reshape(-1, 2).astype(int) - (90, 240)).max() <= 1


def test_the_newest_image_wins(open_source: type[AppsinkSource] | type[GstLaunchSource]) -> None:
    with open_source(LIVE) as source:
        images = iter(source)
        first = next(images)
        wait_until(lambda: source.replaced_images >= 3, "images go on while nobody takes them")
        assert next(images).capture_ns > first.capture_ns


def test_a_live_source_is_thinned_out(open_source: type[AppsinkSource] | type[GstLaunchSource]) -> None:
    """30 images of 30 a second last a second; of five a second there are about five."""
    pipeline = own_pipeline(f"videotestsrc is-live=true num-buffers=30 ! {PICTURE}")
    with open_source(pipeline, rate_hz=5.0) as source:
        images = list(source)
        assert len(images) + source.replaced_images <= 8
    assert images


def test_closing_from_another_thread_ends_the_wait(
    open_source: type[AppsinkSource] | type[GstLaunchSource],
) -> None:
    source = open_source(own_pipeline("appsrc is-live=true"))  # never shows an image
    ended = threading.Event()

    def look() -> None:
        assert list(source) == []
        ended.set()

    looking = threading.Thread(target=look)
    looking.start()
    source.close()  # before, while or after it starts: each must end it
    source.close()
    looking.join(timeout=60)
    assert ended.is_set()
    assert list(source) == []


def test_what_gstreamer_refuses_is_told(open_source: type[AppsinkSource] | type[GstLaunchSource]) -> None:
    for pipeline, message in (
        (own_pipeline("videotset"), 'pipeline: videotset: no element "videotset"; is it spelled right'),
        (own_pipeline("videotestsrc ! ! queue"), "syntax error"),
        (v4l2_pipeline("/dev/video-none"), "/dev/video-none: .*(No such file|no element)"),
        (own_pipeline("rtspsrc location=rtsp://joe:secret@127.0.0.1:9/x"), r"127.0.0.1:9/x: .*rtspsrc\d"),
    ):
        with open_source(pipeline) as source, pytest.raises(SourceError, match=message) as caught:
            list(source)
        assert "secret" not in str(caught.value)


def test_a_stream_that_must_not_end_says_so(open_source: type[AppsinkSource] | type[GstLaunchSource]) -> None:
    pipeline = Pipeline("camera", f"videotestsrc num-buffers=2 ! {PICTURE}", live=True, ends=False)
    with open_source(pipeline) as source, pytest.raises(SourceError, match="camera: the stream ended"):
        list(source)


# -- files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_video_is_shown_to_its_end(
    open_source: type[AppsinkSource] | type[GstLaunchSource], container: str, videos: Path
) -> None:
    with open_source(video_pipeline(videos / f"film.{container}")) as source:
        assert not source.live
        images = list(source)
    assert [round(image.capture_ns * 30 / 1e9) for image in images] == list(range(60))


def test_a_video_is_shown_at_the_rate_asked_for(
    open_source: type[AppsinkSource] | type[GstLaunchSource], videos: Path
) -> None:
    with open_source(video_pipeline(videos / "film.webm"), rate_hz=2.5) as source:
        times_ns = [image.capture_ns for image in source]
    assert times_ns == [index * 400_000_000 for index in range(len(times_ns))]
    assert len(times_ns) in (5, 6)  # the last one stands at the very end


def test_odd_names_are_read(
    open_source: type[AppsinkSource] | type[GstLaunchSource], videos: Path, tmp_path: Path
) -> None:
    path = tmp_path / "a film! \"of\" 100% 'ours' \\ ü.webm"
    path.write_bytes((videos / "film.webm").read_bytes())
    with open_source(video_pipeline(path)) as source:
        assert len(list(source)) == 60


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_truncated_video_gives_its_whole_images_and_then_an_error(
    open_source: type[AppsinkSource] | type[GstLaunchSource], container: str, videos: Path
) -> None:
    path = cut(videos / f"film.{container}", 0.6)
    images = []
    with (
        open_source(video_pipeline(path)) as source,
        pytest.raises(SourceError, match="truncated: it") as caught,
    ):
        for image in source:
            images.append(image)
    assert str(path) in str(caught.value)
    assert 5 <= len(images) < 60


def test_what_is_no_video_is_told(
    open_source: type[AppsinkSource] | type[GstLaunchSource], tmp_path: Path
) -> None:
    (tmp_path / "words.mp4").write_text("no video at all")
    for name, message in (("words.mp4", "Could not determine type"), ("none.mp4", "No such file")):
        with (
            open_source(video_pipeline(tmp_path / name)) as source,
            pytest.raises(SourceError, match=message),
        ):
            list(source)


# -- a program in the place of gst-launch ----------------------------------------------------------------


def test_a_stall_is_noticed(tmp_path: Path) -> None:
    with GstLaunchSource(LIVE, stall_timeout_s=0.2, program=fake_gst_launch(tmp_path, STALLS)) as source:
        with pytest.raises(SourceError, match=r"no image for 0.2 s: it stalled"):
            list(source)


def test_a_source_that_never_begins_is_noticed(tmp_path: Path) -> None:
    program = fake_gst_launch(tmp_path, STALLS, num_images=0)
    with GstLaunchSource(LIVE, start_timeout_s=0.2, program=program) as source:
        with pytest.raises(SourceError, match=r"no image for 0.2 s: it never began"):
            list(source)


def test_a_stalled_process_is_ended_with_its_children(tmp_path: Path) -> None:
    source = GstLaunchSource(LIVE, program=fake_gst_launch(tmp_path, STALLS))
    images = iter(source)
    next(images)
    assert source._process is not None
    group = source._process.pid
    threading.Thread(target=source.close).start()
    for _ in images:  # what waited may still come; then it ends
        continue
    wait_until(lambda: not group_exists(group), "the process and its child are gone")


def group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("then", "message"),
    [
        (CRASHES, "was ended by SIGABRT"),
        (FAILS, "v4l2src0: Lost the device"),
        ("print('no pipeline')\nsys.exit(3)", "fake-gst-launch exited with 3: no pipeline"),
        ("os.write(descriptor, b'hello\\n')", "Y4M: expected a picture"),
    ],
)
def test_a_process_that_fails_says_how(then: str, message: str, tmp_path: Path) -> None:
    images = []
    with GstLaunchSource(LIVE, program=fake_gst_launch(tmp_path, then)) as source:
        with pytest.raises(SourceError, match=message):
            for image in source:
                images.append(image)
    assert images, "what came before the failure is shown"


def test_a_process_that_is_killed_is_told() -> None:
    skip_without_gst_launch()
    with GstLaunchSource(LIVE) as source:
        images = iter(source)
        next(images)
        assert source._process is not None
        os.kill(source._process.pid, signal.SIGKILL)
        with pytest.raises(SourceError, match="ended by SIGKILL"):
            list(images)


# -- what is not installed -------------------------------------------------------------------------------


def test_without_gst_launch_the_packages_are_named() -> None:
    with GstLaunchSource(LIVE, program="gst-launch-none") as source:
        with pytest.raises(
            UnsupportedError, match=r"gst-launch-none is needed.*apt-get install gstreamer1.0-tools"
        ):
            list(source)


def test_without_pygobject_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(module: str) -> None:
        raise ModuleNotFoundError("No module named 'gi'", name="gi")

    monkeypatch.setattr("importlib.import_module", absent)
    with pytest.raises(UnsupportedError, match=r"gi is needed.*galago\[gstreamer\].*libgirepository1.0-dev"):
        gstreamer_appsink.load_gstreamer()


def test_a_broken_pygobject_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(module: str) -> None:
        raise ImportError("libgirepository-1.0.so.1: cannot open shared object file")

    monkeypatch.setattr("importlib.import_module", broken)
    with pytest.raises(UnsupportedError, match=r"gi is needed.*does not load: libgirepository"):
        gstreamer_appsink.load_gstreamer()


def test_without_introspection_data_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gi:
        @staticmethod
        def require_version(name: str, version: str) -> None:
            raise ValueError(f"Namespace {name} not available")

    monkeypatch.setattr("importlib.import_module", lambda module: Gi)
    with pytest.raises(UnsupportedError, match=r"Namespace Gst.*apt-get install gir1.2-gst-plugins-base-1.0"):
        gstreamer_appsink.load_gstreamer()


# Of a program that opens its camera before its bundle.
CAMERA_FIRST = """
import sys
from galago.streaming.images.gstreamer_appsink import load_gstreamer
load_gstreamer()
import galago
with galago.Bundle(sys.argv[1]):
    print("opened")
"""


def test_a_bundle_can_be_opened_after_a_camera(tiny_eye_bundle: Path) -> None:
    """GStreamer brings a library along whose functions are named as those that throw C++ exceptions."""
    skip_without("appsink")
    done = subprocess.run(
        [sys.executable, "-c", CAMERA_FIRST, str(tiny_eye_bundle)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "opened\n"), done.stderr
