"""Folders, patterns and lists of images, in order; what cannot be read is told and left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from galago.runtime.errors import InvalidArgumentError, SourceError
from galago.streaming.images.image_folder import ImageFolderSource

Image: Any = pytest.importorskip("PIL.Image", reason="image files are read by the extra galago[camera]")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """shot1 .. shot11, of which each is as red as its number; and a file that is no image."""
    for number in (10, 2, 1, 11):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / f"shot{number}.png")
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def numbers(source: ImageFolderSource) -> list[int]:
    return [int(image.data[0, 0, 0]) for image in source]


def ignore(message: str) -> None:
    raise AssertionError(f"nothing was to be told, but {message}")


def test_a_folder_is_shown_in_order(folder: Path) -> None:
    source = ImageFolderSource.find(str(folder), rate_hz=4.0, report=ignore)
    assert not source.live and source.name == str(folder)
    images = list(source)
    assert [int(image.data[0, 0, 0]) for image in images] == [1, 2, 10, 11]
    assert [image.capture_ns for image in images] == [0, 250_000_000, 500_000_000, 750_000_000]


def test_a_pattern_and_a_file_are_sources_too(folder: Path) -> None:
    assert numbers(ImageFolderSource.find(str(folder / "shot1*.png"), report=ignore)) == [1, 10, 11]
    assert numbers(ImageFolderSource.find(str(folder / "shot2.png"), report=ignore)) == [2]


def test_a_bad_file_is_told_and_left_out(folder: Path) -> None:
    (folder / "shot3.png").write_bytes(b"broken")
    told: list[str] = []
    seen = []
    with pytest.raises(SourceError, match="1 of 5 images could not be read"):
        for image in ImageFolderSource.find(str(folder), report=told.append):
            seen.append(int(image.data[0, 0, 0]))
    assert seen == [1, 2, 10, 11]
    (message,) = told
    assert "shot3.png: cannot be read as an image" in message


def test_closing_ends_it(folder: Path) -> None:
    source = ImageFolderSource.find(str(folder), report=ignore)
    images = iter(source)
    next(images)
    source.close()
    assert list(images) == []


def test_no_images_are_told(tmp_path: Path) -> None:
    for where in (tmp_path, tmp_path / "*.png", tmp_path / "none.png"):
        with pytest.raises(SourceError, match="no image files"):
            ImageFolderSource.find(str(where), report=ignore)


def test_a_rate_out_of_reason_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="rate_hz"):
        ImageFolderSource.find(str(folder), rate_hz=0.0, report=ignore)


def test_a_still_scene_goes_on_until_it_is_closed(folder: Path) -> None:
    source = ImageFolderSource.find(str(folder), rate_hz=4.0, hold=True, report=ignore)
    seen = []
    for image in source:
        seen.append((int(image.data[0, 0, 0]), image.capture_ns))
        if len(seen) == 6:
            source.close()
    assert [number for number, _ in seen] == [1, 2, 10, 11, 11, 11]
    assert [capture_ns for _, capture_ns in seen] == [250_000_000 * index for index in range(6)]
    for path in folder.glob("*.png"):
        path.write_bytes(b"broken")
    told: list[str] = []
    with pytest.raises(SourceError, match="4 of 4 images"):  # there is nothing to go on with
        list(ImageFolderSource.find(str(folder), hold=True, report=told.append))
    assert len(told) == 4
