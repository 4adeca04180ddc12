"""A camera's image to the network's input: crop, antialiased scaling, normalising; galago beside Pillow.

galago's side is its native core alone, one thread, from the bytes of a frame to float32 NCHW.  The peer is
what a Python program would write: Pillow's ``resize(BILINEAR, box=crop)`` and numpy's normalising into the
same array; for NV12, which Pillow does not know, numpy turns the frame into RGB first.  The largest
difference of the two stands beside the times, in steps of 255.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import common
from galago.runtime.abi import BGR8, GRAY8, NV12, RGB8, find_library
from galago.runtime.manifest_eye import EyeImage

FORMATS = {"rgb8": RGB8, "bgr8": BGR8, "gray8": GRAY8, "nv12": NV12}
SIZES = ((640, 480), (1280, 720), (1920, 1080))
EYE = EyeImage(128, 128, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), "cover")
NUM_WARM_UP = 20

Image = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float32]


def draw(format: str, width: int, height: int) -> Image:
    """A frame with structure of every size, in colours that a screen has: the peers clip nothing."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = [np.sin(x / (3 + 5 * c)) * np.cos(y / (4 + 7 * c)) for c in range(3)]
    if format == "nv12":
        half = [(128 + 20 * wave[::2, ::2]) for wave in waves[1:]]
        chroma = np.stack(half, -1).reshape(height // 2, width)
        return np.round(np.concatenate([120 + 60 * waves[0], chroma])).astype(np.uint8)
    picture = np.round(127.5 + 120 * np.stack(waves, -1)).astype(np.uint8)
    return np.ascontiguousarray(picture[:, :, 0]) if format == "gray8" else picture


def rgb_of_nv12(frame: Image) -> Image:
    """BT.601, limited range, each chroma value for its four pixels: what a program without a library does."""
    height = frame.shape[0] * 2 // 3
    luma = (frame[:height].astype(np.float32) - 16) * np.float32(255 / 219)
    chroma = (frame[height:].reshape(height // 2, -1, 2).astype(np.float32) - 128) * np.float32(255 / 224)
    u, v = (chroma[:, :, c].repeat(2, axis=0).repeat(2, axis=1) for c in range(2))
    rgb = np.stack([luma + 1.402 * v, luma - 0.344136 * u - 0.714136 * v, luma + 1.772 * u], -1)
    return np.clip(np.round(rgb), 0, 255).astype(np.uint8)


def by_pillow(frame: Image, format: str) -> Values:
    """(3, height, width), normalised."""
    from PIL import Image as pillow

    if format == "nv12":
        frame = rgb_of_nv12(frame)
    box = EYE.crop(frame.shape[1], frame.shape[0])
    scaled = pillow.fromarray(frame).resize((EYE.width, EYE.height), pillow.Resampling.BILINEAR, box=box)
    values = np.asarray(scaled, np.float32)
    if format == "gray8":
        values = values[:, :, None].repeat(3, axis=2)
    elif format == "bgr8":
        values = values[:, :, ::-1]
    normalised = (values / np.float32(255) - np.float32(EYE.mean[0])) / np.float32(EYE.std[0])
    return np.ascontiguousarray(normalised.transpose(2, 0, 1))


def by_galago(
    tool: Path, frame: Image, format: str, size: tuple[int, int], num_runs: int
) -> tuple[Values, list[float]]:
    """The same by the core, and the microseconds of each run."""
    arguments = [
        str(tool),
        "--format",
        str(FORMATS[format]),
        "--width",
        str(size[0]),
        "--height",
        str(size[1]),
    ]
    arguments += ["--mean", str(EYE.mean[0]), "--std", str(EYE.std[0])]

    def run(*more: str) -> bytes:
        return subprocess.run(
            [*arguments, *more], input=frame.tobytes(), check=True, capture_output=True
        ).stdout

    values = np.frombuffer(run(), np.float32).reshape(3, EYE.height, EYE.width)
    durations_ns = run("--bench", str(NUM_WARM_UP + num_runs)).split()
    return values, [float(ns) / 1e3 for ns in durations_ns[NUM_WARM_UP:]]


def durations_us(run: Callable[[], Any], num_runs: int) -> list[float]:
    """Of each run, after the warm-up."""
    measured = []
    for _ in range(NUM_WARM_UP + num_runs):
        begin_ns = time.perf_counter_ns()
        run()
        measured.append((time.perf_counter_ns() - begin_ns) / 1e3)
    return measured[NUM_WARM_UP:]


def measure(tool: Path, format: str, size: tuple[int, int], num_runs: int) -> dict[str, Any]:
    """The numbers of one row."""
    frame = draw(format, *size)
    values, galago_us = by_galago(tool, frame, format, size, num_runs)
    pillow_us = durations_us(lambda: by_pillow(frame, format), num_runs)
    difference = np.abs(values - by_pillow(frame, format)).max() * 255 * EYE.std[0]
    galago, pillow = common.percentiles(galago_us, 1), common.percentiles(pillow_us, 1)
    return {
        "galago_us": galago,
        "pillow_numpy_us": pillow,
        "times_faster": round(pillow["p50"] / galago["p50"], 2),
        "largest_difference_of_255": round(float(difference), 2),
    }


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--runs", type=int, default=300, help="of each side")
    args = parser.parse_args()
    tool = find_library().parent / "tests" / "native" / "tool_image"
    if not tool.is_file():
        raise SystemExit(f"{tool} is not there: make native")
    rows = []
    for width, height in SIZES:
        for format in FORMATS:
            numbers = measure(tool, format, (width, height), args.runs)
            rows.append(
                common.make_row(
                    "image_scaling",
                    numbers,
                    variant=f"{format}-{width}x{height}",
                    threads=1,
                    warm_up=f"{NUM_WARM_UP} images",
                    settings={"runs": args.runs, "model": [EYE.width, EYE.height]},
                )
            )
    header = ["image", "galago p50 us", "p99", "Pillow + numpy p50 us", "times faster", "difference"]
    print(
        common.table(
            header,
            [
                (
                    row["variant"],
                    row["numbers"]["galago_us"]["p50"],
                    row["numbers"]["galago_us"]["p99"],
                    row["numbers"]["pillow_numpy_us"]["p50"],
                    row["numbers"]["times_faster"],
                    row["numbers"]["largest_difference_of_255"],
                )
                for row in rows
            ],
        )
    )
    common.finish(rows, args)


if __name__ == "__main__":
    main()
