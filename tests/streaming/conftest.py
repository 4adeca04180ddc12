"""What several tests need: videos, and a virtual sound card."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from galago.runtime.errors import UnsupportedError
from galago.streaming.extras import import_extra
from galago.streaming.sound.sound_card import BACKENDS
from tests.streaming.images.gstreamer import CONTAINERS, make_video, skip_without_gst_launch
from tests.streaming.sound.virtual_sound_card import VirtualSoundCard, skip_unless_possible


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a film of two seconds in every container: film.ogv, film.webm, ..."""
    skip_without_gst_launch()
    folder = tmp_path_factory.mktemp("videos")
    for container in CONTAINERS:
        make_video(folder / f"film.{container}")
    return folder


@pytest.fixture
def card() -> Iterator[VirtualSoundCard]:
    skip_unless_possible()
    virtual = VirtualSoundCard()
    try:
        virtual.start()
        yield virtual
    finally:
        virtual.discard()


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    try:
        import_extra(name, extra="audio", purpose="this test")
    except UnsupportedError as error:
        pytest.skip(str(error))
    return name
