"""Videos that several tests read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.streaming.gstreamer import CONTAINERS, make_video, skip_without_gst_launch


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a film of two seconds in every container: film.ogv, film.webm, ..."""
    skip_without_gst_launch()
    folder = tmp_path_factory.mktemp("videos")
    for container in CONTAINERS:
        make_video(folder / f"film.{container}")
    return folder
