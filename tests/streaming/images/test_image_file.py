"""Image files of every kind: what comes out is the RGB that a person would see."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.runtime.errors import SourceError, UnsupportedError
from galago.streaming.images.image_file import read_image

Image: Any = pytest.importorskip("PIL.Image", reason="image files are read by the extra galago[camera]")

RED, WHITE, BLACK = [255, 0, 0], [255, 255, 255], [0, 0, 0]


def save(path: Path, image: Any, **options: Any) -> Path:
    image.save(path, **options)
    return path


def test_rgb_is_what_was_saved(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    image = read_image(save(tmp_path / "a.png", Image.fromarray(pixels)), capture_ns=12)
    np.testing.assert_array_equal(image.data, pixels)
    assert (image.width, image.height, image.format, image.capture_ns) == (7, 5, "rgb8", 12)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_it_upright(orientation: int, tmp_path: Path) -> None:
    """Stored as a camera held that way would: read back, the mark is at the top left."""
    upright = np.full((16, 32, 3), 255, np.uint8)
    upright[:8, :16] = RED
    stored_as = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }
    stored = np.ascontiguousarray(stored_as[orientation](upright))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "turned.jpg", Image.fromarray(stored), exif=exif, quality=95)
    image = read_image(path)
    assert (image.width, image.height) == (32, 16)
    np.testing.assert_allclose(image.data[2, 2], RED, atol=10)
    np.testing.assert_allclose(image.data[-3, -3], WHITE, atol=10)


def test_16_bit_grey_keeps_its_high_bits(tmp_path: Path) -> None:
    levels = np.array([[0, 255, 256, 0x1234, 0xFFFF]], np.uint16)
    for name in ("deep.png", "deep.tif"):
        image = read_image(save(tmp_path / name, Image.fromarray(levels)))
        np.testing.assert_array_equal(image.data[0], np.repeat([[0], [0], [1], [0x12], [0xFF]], 3, axis=1))


@pytest.mark.parametrize(("background", "behind"), [("white", WHITE), ("black", BLACK)])
def test_what_is_transparent_shows_the_background(background: Any, behind: list[int], tmp_path: Path) -> None:
    clear = Image.new("RGBA", (2, 1), (0, 255, 0, 0))
    clear.putpixel((1, 0), (255, 0, 0, 255))
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([0, 255, 0, 255, 0, 0])
    palette.putpixel((1, 0), 1)
    grey = Image.new("LA", (2, 1), (40, 0))
    for path in (
        save(tmp_path / "a.png", clear),
        save(tmp_path / "b.webp", clear, lossless=True),
        save(tmp_path / "c.png", palette, transparency=0),
        save(tmp_path / "d.png", grey),
    ):
        data = read_image(path, background=background).data
        assert data[0, 0].tolist() == behind, path.name
        if path.name != "d.png":
            assert data[0, 1].tolist() == RED, path.name


def test_other_modes_become_rgb(tmp_path: Path) -> None:
    red = Image.new("RGB", (4, 4), (255, 0, 0))
    for path in (
        save(tmp_path / "cmyk.jpg", red.convert("CMYK"), quality=95),
        save(tmp_path / "cmyk.tif", red.convert("CMYK")),
        save(tmp_path / "palette.gif", red.convert("P")),
        save(tmp_path / "ycbcr.jpg", red, quality=95),
    ):
        np.testing.assert_allclose(read_image(path).data[1, 1], RED, atol=3, err_msg=path.name)
    assert read_image(save(tmp_path / "bits.png", Image.new("1", (3, 3), 1))).data[0, 0].tolist() == WHITE
    grey = read_image(save(tmp_path / "grey.pgm", Image.new("L", (3, 3), 77)))
    assert grey.data[0, 0].tolist() == [77, 77, 77]


def test_of_an_animation_it_is_the_first_picture(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    path = save(tmp_path / "moves.gif", pictures[0], save_all=True, append_images=pictures[1:])
    assert read_image(path).data[0, 0].tolist() == RED


# -- what cannot be read ---------------------------------------------------------------------------------


def giant_png(path: Path, width: int, height: int) -> Path:
    """A file of some bytes that claims any size."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize(("width", "height"), [(10_000, 8_001), (12_000, 12_000), (60_000, 60_000)])
def test_a_giant_is_refused_before_it_is_decoded(width: int, height: int, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"giant.png: .*pixels"):
        read_image(giant_png(tmp_path / "giant.png", width, height))


def test_a_long_side_is_reduced(tmp_path: Path) -> None:
    panorama = Image.new("RGB", (8193, 5), (255, 0, 0))
    image = read_image(save(tmp_path / "panorama.png", panorama))
    assert (image.width, image.height) == (4097, 3)
    assert image.data[1, 5].tolist() == RED


def test_a_truncated_file_is_told(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for name in ("cut.png", "cut.jpg", "cut.webp", "cut.bmp", "cut.tif"):
        path = save(tmp_path / name, Image.fromarray(noise))
        content = path.read_bytes()
        for part in (0.1, 0.5, 0.9):
            path.write_bytes(content[: int(len(content) * part)])
            with pytest.raises(SourceError, match=name):
                read_image(path)


def test_what_is_no_image_is_told(tmp_path: Path) -> None:
    (tmp_path / "words.jpg").write_text("no image at all")
    (tmp_path / "empty.png").touch()
    for name, message in (
        ("words.jpg", "cannot be read as an image"),
        ("empty.png", "cannot be read as an image"),
        ("none.png", "No such file"),
        (".", "is a directory"),
    ):
        with pytest.raises(SourceError, match=message):
            read_image(tmp_path / name)


def test_numbers_without_a_range_are_refused(tmp_path: Path) -> None:
    floats = save(tmp_path / "float.tif", Image.new("F", (2, 2), 0.5))
    with pytest.raises(SourceError, match="floating-point"):
        read_image(floats)
    deep = save(tmp_path / "deep.tif", Image.new("I", (2, 2), 1_000_000))
    with pytest.raises(SourceError, match="16 bits"):
        read_image(deep)


def test_a_program_is_never_run_for_a_picture(tmp_path: Path) -> None:
    """Pillow would hand PostScript to an interpreter."""
    (tmp_path / "picture.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\nshowpage\n")
    with pytest.raises(SourceError, match="cannot be read as an image"):
        read_image(tmp_path / "picture.eps")


def test_without_pillow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def absent(module: str) -> None:
        raise ModuleNotFoundError("No module named 'PIL'", name="PIL")

    monkeypatch.setattr("importlib.import_module", absent)
    with pytest.raises(UnsupportedError, match=r"reading image files.*galago\[camera\]"):
        read_image(tmp_path / "any.png")
