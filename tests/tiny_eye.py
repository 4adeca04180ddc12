"""An eye that a test can reason about: it tells the colour that an image has in the mean.

The network sees 24 x 16 pixels, takes the mean of each channel over all of them, and scores each colour by
how near it is: ``logit = -GAIN * |mean - colour|**2`` (less what all colours share), in normalised values.
So a test knows the logits of any image that it can average by itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT = 24, 16
MEAN = (0.5, 0.45, 0.4)
STD = (0.25, 0.25, 0.3)
TEMPERATURE = 2.0
ACCEPT_PROBABILITY = 0.5
GAIN = 6.0

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "yellow": (255, 255, 0),
    "magenta": (255, 0, 255),
}


def add_tiny_eye(
    root: Path, changes: dict[str, Any] | None = None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Write the graph and its golden image; return the role of the manifest and its golden entries."""
    (root / "eye").mkdir(parents=True, exist_ok=True)
    (root / "golden").mkdir(exist_ok=True)
    model = _save_graph(root / "eye/f32.xml")
    picture = draw("red", width=60, height=44)
    (root / "golden/image.rgb8").write_bytes(picture.tobytes())
    logits = run_graph(model, seen(picture))
    (root / "golden/image.logits.f32").write_bytes(logits.astype("<f4").tobytes())
    role = {
        "type": "image_labels",
        "image": {"width": WIDTH, "height": HEIGHT, "mean": list(MEAN), "std": list(STD), "fit": "cover"},
        "labels": [{"name": name, "group": "colour", "coarse": "colour"} for name in COLOURS],
        "temperature": TEMPERATURE,
        "accept_probability": ACCEPT_PROBABILITY,
        "smoothing_half_life_ms": 400,
        "targets": [
            {
                "name": "openvino-f32-eye",
                "engine": "openvino",
                "dtype": "f32",
                "model": "eye/f32.xml",
                "weights": "eye/f32.bin",
                "inference_precision": "f32",
                "inputs": {"image": "image"},
                "outputs": {"logits": "logits"},
                "measured": {"step_ms_p50": 0.1, "board": "any"},
            }
        ],
        **(changes or {}),
    }
    golden = {
        "role": "eye",
        "target": "openvino-f32-eye",
        "image": "golden/image.rgb8",
        "width": 60,
        "height": 44,
        "logits": "golden/image.logits.f32",
        "tolerance": 0.25,
        "label": "red",
    }
    return role, [golden]


def draw(colour: str, *, width: int = 60, height: int = 44) -> npt.NDArray[np.uint8]:
    """A picture (height, width, 3) of one of `COLOURS`, in waves between 80 and 100 % of it."""
    y, x = np.mgrid[0:height, 0:width]
    waves = 0.9 + 0.1 * np.sin(0.7 * x) * np.cos(0.4 * y)
    return np.asarray(np.array(COLOURS[colour]) * waves[:, :, None], np.uint8)


def seen(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """What the network sees of an RGB picture, by Pillow: (1, 3, HEIGHT, WIDTH), normalised."""
    from PIL import Image

    height, width = picture.shape[:2]
    crop_width, crop_height = min(width, height * WIDTH / HEIGHT), min(height, width * HEIGHT / WIDTH)
    left, top = (width - crop_width) / 2, (height - crop_height) / 2
    box = (left, top, left + crop_width, top + crop_height)
    scaled = Image.fromarray(picture).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR, box=box)
    values = (np.asarray(scaled, np.float32) / 255 - np.array(MEAN)) / np.array(STD)
    return np.asarray(values.transpose(2, 0, 1)[None], np.float32)


def run_graph(model: Any, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The logits (num_labels,) of what the network sees.  `model` is an ``openvino.Model``."""
    import openvino as ov

    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.asarray(compiled({"image": image})["logits"][0], np.float32)


def _save_graph(path: Path) -> Any:
    """Build the graph, save it beside its weights, return the ``openvino.Model``."""
    import openvino as ov
    from openvino import opset13 as ops

    image = ops.parameter([1, 3, HEIGHT, WIDTH], np.float32, name="image")
    image.output(0).get_tensor().set_names({"image"})
    mean = ops.reduce_mean(image, np.array([2, 3]), False)  # (1, 3)
    colours = (np.array(list(COLOURS.values())) / 255 - np.array(MEAN)) / np.array(STD)  # (num_labels, 3)
    weight = (2 * GAIN * colours.T).astype(np.float32)
    bias = (-GAIN * (colours**2).sum(axis=1)).astype(np.float32)
    logits = ops.add(ops.matmul(mean, ops.constant(weight), False, False), ops.constant(bias))
    logits.output(0).get_tensor().set_names({"logits"})
    model = ov.Model([ops.result(logits, name="logits/result")], [image], "tiny_eye")
    for number, node in enumerate(model.get_ordered_ops()):
        if node is not image:
            node.set_friendly_name(f"{node.get_type_name()}_{number}")
    ov.save_model(model, path, compress_to_fp16=False)
    return model
