"""The core's image scaling against Pillow, an implementation that is not ours: within 2 of 255 everywhere."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as pillow

from galago.runtime.manifest_eye import EyeImage
from tests.runtime.native_tools import find_tool

RGB8, BGR8, GRAY8, NV12 = 1, 2, 3, 4

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def scale(tool: Path, data: Bytes, format: int, size: tuple[int, int], model: tuple[int, int]) -> Floats:
    """What the network would see, in [0, 255]: (model_height, model_width, 3).  Sizes are (width, height)."""
    words = {"format": format, "width": size[0], "height": size[1]}
    words |= {"model-width": model[0], "model-height": model[1], "stride": data.strides[0]}
    arguments = [word for name, value in words.items() for word in (f"--{name}", str(value))]
    done = subprocess.run([str(tool), *arguments], input=data.tobytes(), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    values = np.frombuffer(done.stdout, np.float32).reshape(3, model[1], model[0])
    return 255 * values.transpose(1, 2, 0)


def by_pillow(picture: Bytes, model: tuple[int, int]) -> npt.NDArray[np.float64]:
    """The same by Pillow, of (height, width, 3) or (height, width)."""
    eye = EyeImage(model[0], model[1], (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "cover")
    box = eye.crop(picture.shape[1], picture.shape[0])
    scaled = pillow.fromarray(picture).resize(model, pillow.Resampling.BILINEAR, box=box)
    return np.asarray(scaled.convert("RGB") if picture.ndim == 2 else scaled, np.float64)


def random_picture(rng: np.random.Generator, width: int, height: int) -> Bytes:
    """Noise, hard edges, or smooth waves."""
    kind = rng.integers(3)
    if kind == 0:
        return rng.integers(0, 256, (height, width, 3), np.uint8)
    if kind == 1:
        return rng.choice(np.array([0, 255], np.uint8), (height, width, 3))
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(rng.uniform(0, 0.5) * x + rng.uniform(0, 0.5) * y + c) for c in range(3)]
    return np.asarray(127.5 + 127 * np.stack(waves, -1), np.uint8)


CAMERAS = [(640, 480), (1280, 720), (1920, 1080), (128, 128), (720, 1280)]
ODD = [(1, 1), (1, 2), (2, 1), (3, 5), (7, 300), (300, 7), (127, 129), (131, 257), (641, 479)]


@pytest.mark.parametrize("model", [(128, 128), (160, 96), (33, 57)])
def test_equal_to_pillow_in_all_sizes_and_formats(model: tuple[int, int], native_library: Path) -> None:
    tool = find_tool(native_library, "tool_image")
    rng = np.random.default_rng(model[0])
    sizes = CAMERAS + ODD + [(int(w), int(h)) for w, h in rng.integers(1, 400, (12, 2))]
    for width, height in sizes:
        picture = random_picture(rng, width, height)
        expected = by_pillow(picture, model)
        padded = np.zeros((height, 3 * width + int(rng.integers(0, 20))), np.uint8)
        padded[:, : 3 * width] = picture.reshape(height, -1)
        found = scale(tool, padded, RGB8, (width, height), model)
        assert np.abs(found - expected).max() <= 2, (width, height)
        padded[:, : 3 * width] = picture[:, :, ::-1].reshape(height, -1)
        np.testing.assert_array_equal(scale(tool, padded, BGR8, (width, height), model), found)
        grey = np.ascontiguousarray(picture[:, :, 1])
        found = scale(tool, grey, GRAY8, (width, height), model)
        assert np.abs(found - by_pillow(grey, model)).max() <= 2, (width, height)


def yuv_to_rgb(y: Floats, u: Floats, v: Floats) -> Floats:
    """ITU-R BT.601, limited range."""
    luma, cb, cr = (y - 16) * 255 / 219, (u - 128) * 255 / 224, (v - 128) * 255 / 224
    blue, red = luma + 1.772 * cb, luma + 1.402 * cr
    green = luma - 0.344136 * cb - 0.714136 * cr
    return np.clip(np.stack([red, green, blue], -1), 0, 255).astype(np.float32)


@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (2, 2), (2, 64), (98, 130), (128, 128), (60, 44)])
def test_nv12_is_scaled_by_planes_and_then_turned_into_rgb(
    size: tuple[int, int], native_library: Path
) -> None:
    tool = find_tool(native_library, "tool_image")
    width, height = size
    rng = np.random.default_rng(1)
    data = rng.integers(0, 256, (height * 3 // 2, width), np.uint8)
    model = (128, 128)
    found = scale(tool, data, NV12, size, model)
    y = by_pillow(data[:height], model)[:, :, 0]
    chroma = data[height:].reshape(height // 2, width // 2, 2)
    u, v = (by_pillow(np.ascontiguousarray(chroma[:, :, c]), model)[:, :, 0] for c in range(2))
    expected = yuv_to_rgb(y.astype(np.float32), u.astype(np.float32), v.astype(np.float32))
    # Pillow rounds each plane, by up to 1 here, and the matrix makes the most of it: 1.16 + 2.02 in blue.
    assert np.abs(found - expected).max() <= 4
    assert np.abs(found - expected).mean() <= 0.7


def test_nv12_of_a_camera_is_what_its_rgb_would_be(native_library: Path) -> None:
    """Where colours change slowly and are colours of the screen, the order of the steps does not matter."""
    tool = find_tool(native_library, "tool_image")
    width, height = 640, 480
    row, column = np.mgrid[0:height, 0:width].astype(np.float32)
    y = 120 + 60 * np.sin(column / 23) * np.cos(row / 17)
    u, v = 128 + 20 * np.sin(column / 51), 128 + 20 * np.cos(row / 43)
    half = [c.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3)) for c in (u, v)]
    chroma = np.stack(half, -1).reshape(height // 2, width)
    data = np.round(np.concatenate([y, chroma])).astype(np.uint8)
    found = scale(tool, data, NV12, (width, height), (128, 128))
    rgb = np.round(yuv_to_rgb(y, u, v)).astype(np.uint8)
    assert np.abs(found - by_pillow(rgb, (128, 128))).max() <= 3


def test_normalising_is_affine(native_library: Path) -> None:
    tool = find_tool(native_library, "tool_image")
    arguments = ["--format", "3", "--width", "2", "--height", "2", "--mean", "0.25", "--std", "0.5"]
    done = subprocess.run([str(tool), *arguments], input=bytes([51] * 4), capture_output=True, timeout=60)
    values = np.frombuffer(done.stdout, np.float32)
    np.testing.assert_allclose(values, (51 / 255 - 0.25) / 0.5, atol=1e-6)
