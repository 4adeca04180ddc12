"""One word for any source; network streams that break and come back, as a camera does that is pulled out."""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from galago.runtime.errors import InvalidArgumentError, SourceError
from galago.streaming.images.camera import BINDINGS, Binding, find_pipeline, open_camera
from galago.streaming.images.image_folder import ImageFolderSource
from galago.streaming.images.image_replay import RealTimeImageSource
from galago.streaming.images.image_source import ImageSource
from galago.streaming.images.reconnect import Backoff, ReconnectingSource
from tests.streaming.images.gstreamer import (
    LIVE,
    PICTURE,
    make_video,
    running,
    skip_without,
    skip_without_gst_launch,
    wait_until,
)

ENCODED = f"videotestsrc is-live=true ! {PICTURE},format=I420 ! jpegenc"

# A camera on the network: prints its port, then serves the test pattern as JPEG until it is killed.
RTSP_SERVER = f"""
import sys
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
factory = GstRtspServer.RTSPMediaFactory(shared=True)
factory.set_launch("( {ENCODED} ! rtpjpegpay name=pay0 )")
server = GstRtspServer.RTSPServer(address="127.0.0.1", service=sys.argv[1])
server.get_mount_points().add_factory("/door", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""
FIND_RTSP_SERVER = (
    "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
)
quick_backoff = functools.partial(Backoff, first_s=0.01, ceiling_s=0.1)


@pytest.mark.parametrize(
    ("where", "head"),
    [
        ("v4l2:/dev/video2", "v4l2src device=/dev/video2 ! decodebin"),
        ("RTSP://camera.local/door", "rtspsrc location=RTSP://camera.local/door"),
        ("rtsps://camera.local/door", "rtspsrc location=rtsps://"),
        ("https://camera.local/film.webm", "uridecodebin uri=https://"),
        ("pipeline: videotestsrc ! queue", "videotestsrc ! queue"),
    ],
)
def test_a_word_means_a_pipeline(where: str, head: str) -> None:
    pipeline = find_pipeline(where)
    assert pipeline.head.startswith(head)
    assert pipeline.live


def test_a_path_means_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "film.webm").write_bytes(b"any")
    pipeline = find_pipeline(str(tmp_path / "film.webm"))
    assert (pipeline.live, pipeline.path) == (False, tmp_path / "film.webm")
    assert (
        find_pipeline("/dev/null").head == "v4l2src device=/dev/null ! decodebin"
    )  # a node, though no camera


def test_passwords_are_never_told() -> None:
    pipeline = find_pipeline("rtsp://joe:secret@camera.local/door")
    assert pipeline.name == "rtsp://camera.local/door"
    assert "joe:secret@" in pipeline.head
    own = find_pipeline("pipeline: rtspsrc location=rtsp://joe:secret@camera.local ! decodebin")
    assert "secret" not in own.name


def test_image_files_need_no_gstreamer(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="image files are read by the extra galago[camera]")
    image.new("RGB", (4, 4), "red").save(tmp_path / "a.png")
    for where in (tmp_path, tmp_path / "a.png", tmp_path / "*.png"):
        with open_camera(str(where)) as source:
            assert isinstance(source, ImageFolderSource)
            assert len(list(source)) == 1
        with open_camera(str(where), realtime=True) as source:
            assert isinstance(source, RealTimeImageSource)
            assert len(list(source)) == 1


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("film-none.webm", "film-none.webm: No such file"),
        ("none/*.png", "no image files"),
        ("", "No such file"),
        ("v4l2:/dev/video 0", "a device has no blanks"),
    ],
)
def test_what_is_not_there_is_told(where: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        open_camera(where)


def test_a_pipe_is_no_source(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="is no video file, no folder and no camera"):
        open_camera(str(tmp_path / "pipe"))


@pytest.mark.parametrize(
    "options", [{"rate_hz": 0.0}, {"rate_hz": 1e9}, {"stall_timeout_s": 0.0}, {"binding": "ffmpeg"}]
)
def test_arguments_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InvalidArgumentError):
        open_camera("camera", **options)  # type: ignore[arg-type]  # wrong values are the point


@pytest.mark.parametrize("binding", BINDINGS)
def test_a_live_pipeline_and_a_film_at_real_time(binding: Binding, tmp_path: Path) -> None:
    skip_without(binding)
    with open_camera(LIVE, binding=binding) as source:
        assert isinstance(source, ReconnectingSource)
        assert next(iter(source)).width == 64
    film = make_video(tmp_path / "film.webm", num_images=20)
    with open_camera(str(film), binding=binding, realtime=True) as source:
        times_ns = [image.capture_ns for image in source]
        assert len(times_ns) + source.replaced_images == 20
    assert times_ns == sorted(times_ns) and times_ns[-1] - times_ns[0] > 0


# -- streams over the network, and their loss ------------------------------------------------------------


class Looking:
    """Takes images on a thread of its own until the source is closed."""

    def __init__(self, source: ImageSource) -> None:
        self.num_images = 0
        self.failure: BaseException | None = None
        self._source = source
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        try:
            for _ in self._source:
                self.num_images += 1
        except BaseException as error:  # looked at where images are waited for
            self.failure = error

    def wait_for_images(self, what: str) -> None:
        seen = self.num_images
        wait_until(lambda: self.num_images >= seen + 3 or self.failure is not None, what)
        assert self.failure is None, self.failure

    def end(self) -> None:
        self._source.close()
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()


@pytest.mark.parametrize("binding", BINDINGS[1:])
def test_a_network_camera_that_is_pulled_out_comes_back(binding: Binding) -> None:
    skip_without(binding)
    if subprocess.run([sys.executable, "-c", FIND_RTSP_SERVER], capture_output=True, check=False).returncode:
        pytest.skip("no RTSP server: apt-get install gir1.2-gst-rtsp-server-1.0, and galago[gstreamer]")
    with running([sys.executable, "-c", RTSP_SERVER, "0"]) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        told: list[str] = []
        source = open_camera(
            f"rtsp://127.0.0.1:{port}/door",
            binding=binding,
            stall_timeout_s=5.0,
            backoff=quick_backoff(),
            report=told.append,
        )
        looking = Looking(source)
        try:
            looking.wait_for_images("images of the first server")
            server.kill()
            wait_until(lambda: any("trying again" in message for message in told), "the loss is told")
            with running([sys.executable, "-c", RTSP_SERVER, str(port)]):
                wait_until(lambda: source.reconnects >= 1, "it is connected again")
                looking.wait_for_images("images of the second server")
        finally:
            looking.end()
    assert f"rtsp://127.0.0.1:{port}/door: " in told[0]


@pytest.mark.parametrize("binding", BINDINGS[1:])
def test_a_stream_that_falls_silent_has_stalled_and_comes_back(binding: Binding) -> None:
    """Nothing tells the receiver of datagrams that the sender is gone."""
    skip_without(binding)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    send = f"gst-launch-1.0 -q {ENCODED} ! rtpjpegpay ! udpsink host=127.0.0.1 port={port}".split()
    caps = "application/x-rtp,media=video,clock-rate=90000,encoding-name=JPEG,payload=26"
    told: list[str] = []
    source = open_camera(
        f'pipeline: udpsrc port={port} caps="{caps}" ! rtpjpegdepay ! jpegdec',
        binding=binding,
        start_timeout_s=60.0,
        stall_timeout_s=1.0,
        backoff=quick_backoff(),
        report=told.append,
    )
    looking = Looking(source)
    try:
        with running(send):
            looking.wait_for_images("images of the first sender")
        wait_until(lambda: bool(told), "the loss is told")
        assert "no image for 1 s: it stalled; trying again" in told[0]
        with running(send):
            wait_until(lambda: source.reconnects >= 1, "there are images again")
            looking.wait_for_images("images of the second sender")
        assert any("images again, after" in message for message in told)
    finally:
        looking.end()


def test_a_process_that_is_killed_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    skip_without_gst_launch()
    told: list[str] = []
    started: list[int] = []
    popen = subprocess.Popen

    def start(*words: object, **options: object) -> object:
        process = popen(*words, **options)  # type: ignore[call-overload]  # passed on as they come
        started.append(process.pid)
        return process

    monkeypatch.setattr("galago.streaming.images.gstreamer_launch.subprocess.Popen", start)
    source = open_camera(LIVE, binding="gst-launch", backoff=quick_backoff(), report=told.append)
    looking = Looking(source)
    try:
        looking.wait_for_images("images of the first process")
        os.kill(started[0], 9)
        wait_until(lambda: source.reconnects == 1, "it is started again")
        looking.wait_for_images("images of the second process")
    finally:
        looking.end()
    assert "ended by SIGKILL" in told[0] and len(started) == 2
