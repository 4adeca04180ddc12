"""The oracle: the eye in Python, as the native core must see. What golden pictures are compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from galago.models.training.eye.album import cover
from galago.models.training.eye.labels import ImageFormat
from galago.quantize.calibration import Array
from galago.quantize.compile_openvino import Precision, compile_graph, core
from galago.quantize.eye.export import INPUT, OUTPUT

__all__ = ["EyeOracle", "Pixels", "network_input"]

Pixels = NDArray[np.uint8]


def network_input(image: ImageFormat, pixels: Pixels) -> Array:
    """What the network sees, (1, 3, height, width), of pixels (H, W, 3) RGB of any size."""
    seen = image.batch(cover(pixels, image.height, image.width)[None].copy())
    return np.ascontiguousarray(seen.numpy())


class EyeOracle:
    """A graph that looks at one image after the other.

    Args:
        graph: a model, or the path of a packed ``.xml`` beside its ``.bin``.
        precision: of everything that is not int8.
    """

    def __init__(
        self,
        graph: ov.Model | Path,
        image: ImageFormat,
        precision: Precision = "f32",
        *,
        num_threads: int = 1,
    ) -> None:
        if isinstance(graph, Path):
            graph = core().read_model(graph, graph.with_suffix(".bin"))
        self.image = image
        compiled = compile_graph(graph, precision, num_threads=num_threads)
        self.request: Any = compiled.create_infer_request()
        self._input = np.zeros(tuple(compiled.input(INPUT).shape), np.float32)
        self.request.set_tensor(INPUT, ov.Tensor(self._input, shared_memory=True))

    def logits(self, pixels: Pixels) -> Array:
        """Of an image (H, W, 3) RGB of any size: (num_labels,)."""
        self._input[...] = network_input(self.image, pixels)
        self.request.infer()
        return np.array(self.request.get_tensor(OUTPUT).data[0], np.float32)
