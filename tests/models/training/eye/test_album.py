"""Albums: which photos, in which split, with which label; and the way from a photo to the network's input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from galago.models.training.eye.album import cover, read_album, squash
from galago.models.training.eye.labels import EyeLabel
from galago.models.training.sources import CorpusError
from tests.models.training.eye.color_album import photo_bytes, write_color_album, write_tar


def test_photos_labels_and_splits_are_those_of_the_manifest(tmp_path: Path) -> None:
    album = read_album(write_color_album(tmp_path / "colors.tar"), "color")
    assert [label.name for label in album.labels] == ["blue", "green", "red", "yellow"]
    assert album.labels[0] == EyeLabel("blue", "color", "cold")
    assert len(album.split("train")) == 24 and len(album.split("val")) == 8
    assert album.photos[0].label.name == "red" and album.photos[0].pixels.shape == (20, 24, 3)


def test_label_ids_decide_the_order(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"file": f"{i}.png", "label": name, "label_id": 10 - i} for i, name in enumerate("abc")
    ]
    files = {row["file"]: photo_bytes((9, 9, 9), 0) for row in rows}
    album = read_album(write_tar(tmp_path / "a.tar", rows, files), "letter")
    assert [label.name for label in album.labels] == ["c", "b", "a"]
    assert album.labels[0].coarse == "c"  # a label is its own kind where nothing is said


def test_held_out_photos_are_chosen_by_their_names_alone(tmp_path: Path) -> None:
    path = write_color_album(tmp_path / "colors.tar", num_train=120, num_val=0)

    def held_out(measure_share: float, choice_share: float = 0.0) -> set[str]:
        album = read_album(path, "color", measure_share=measure_share, choice_share=choice_share)
        return {photo.id for photo in album.split("dev-test")}

    some = held_out(0.2)
    assert 10 <= len(some) <= 40
    assert some == held_out(0.2, 0.1)
    assert some < held_out(0.4)
    album = read_album(path, "color", measure_share=0.2, choice_share=0.1)
    assert len(album.split("train")) + len(album.split("val")) + len(some) == 120
    assert len(album.split("val")) >= 3


def test_only_the_splits_that_are_asked_for_are_decoded(tmp_path: Path) -> None:
    path = write_color_album(tmp_path / "colors.tar", num_train=4)
    album = read_album(path, "color", splits=("val",))
    assert {photo.split for photo in album.photos} == {"val"} and len(album.labels) == 4


@pytest.mark.parametrize(
    ("rows", "data", "message"),
    [
        ([{"file": "0.png"}], b"", "0.png: a photo needs a 'label'"),
        ([{"file": "0.png", "label": "a"}], b"no image", "a.tar:0.png: cannot identify"),
        (
            [{"file": "0.png", "label": "a", "coarse": "x"}, {"file": "1.png", "label": "a", "coarse": "y"}],
            None,
            "1.png: label 'a' stands here with another coarse class",
        ),
        ([{"file": "0.png", "label": "a", "label_id": 1}, {"file": "1.png", "label": "b"}], None, "label_id"),
        ([{"file": "0.png", "label": "a", "split": "test"}], None, "no photo in train"),
    ],
)
def test_bad_albums_are_refused_with_their_place(
    rows: list[dict[str, Any]], data: bytes | None, message: str, tmp_path: Path
) -> None:
    files = {row["file"]: photo_bytes((9, 9, 9), 0) if data is None else data for row in rows}
    with pytest.raises(CorpusError, match=message):
        read_album(write_tar(tmp_path / "a.tar", rows, files), "letter", splits=("train",))


@pytest.mark.parametrize(("size", "box"), [((40, 20), (10, 0, 30, 20)), ((20, 50), (0, 15, 20, 35))])
def test_cover_is_the_middle_with_antialiasing(size: tuple[int, int], box: tuple[int, int, int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8)
    expected = Image.fromarray(pixels).crop(box).resize((8, 8), Image.Resampling.BILINEAR)
    difference = np.abs(cover(pixels, 8, 8).astype(int) - np.asarray(expected).astype(int))
    assert difference[1:-1, 1:-1].max() <= 1  # at its border, a box lets in what is beside it


def test_cover_keeps_the_inputs_proportions_and_squash_does_not() -> None:
    pixels = np.zeros((30, 60, 3), np.uint8)
    pixels[:, 30:] = 255
    assert cover(pixels, 10, 20).shape == (10, 20, 3)
    squashed = squash(pixels, 16)
    assert squashed.shape == (16, 16, 3) and squashed[0, 0, 0] == 0 and squashed[0, 15, 0] == 255
