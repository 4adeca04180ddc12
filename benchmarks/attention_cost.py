"""What attention costs as images grow: inside Swin's windows, and of every token with every other.

Both are one layer of 96 channels and 3 heads over tokens of 4 x 4 pixels, with its projections: the first
layer of Swin-T, and the same without windows, as in ViT. Cost is CPU time of one thread, so that other
programs on the machine do not enter. An exponent of 1 means: twice the area, twice the cost.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import common

PATCH_PIXELS, CHANNELS, NUM_HEADS, WINDOW = 4, 96, 3, 7
SIDES_PIXELS = (56, 112, 168, 224)


def cpu_ms(run: Callable[[], object], repeats: int) -> float:
    """Least CPU time of a call: what is above it is other programs in the caches."""
    best = float("inf")
    for _ in range(repeats):
        begin = time.process_time()
        run()
        best = min(best, time.process_time() - begin)
    return best * 1e3


def measure(side_pixels: int, repeats: int) -> dict[str, Any]:
    """One size of image: tokens, milliseconds and multiply-adds of both kinds."""
    import torch
    from torch import Tensor, nn

    from galago.models.attention import attend
    from galago.models.flops import count_multiply_adds
    from galago.models.swin import SWIN_PRESETS, WindowAttention

    side = side_pixels // PATCH_PIXELS
    windows = WindowAttention(SWIN_PRESETS["t"], CHANNELS, NUM_HEADS, (side, side), WINDOW, shift=WINDOW // 2)

    class GlobalAttention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query_key_value = nn.Linear(CHANNELS, 3 * CHANNELS)
            self.out = nn.Linear(CHANNELS, CHANNELS)

        def forward(self, x: Tensor) -> Tensor:
            packed = self.query_key_value(x.flatten(1, 2))
            heads = packed.reshape(len(x), -1, 3, NUM_HEADS, CHANNELS // NUM_HEADS).permute(2, 0, 3, 1, 4)
            mixed, _ = attend(heads[0], heads[1], heads[2])
            y: Tensor = self.out(mixed.transpose(1, 2).reshape(len(x), -1, CHANNELS))
            return y

    x = torch.randn(1, side, side, CHANNELS)
    found: dict[str, Any] = {"tokens": side * side}
    for name, layer in (("windows", windows), ("global", GlobalAttention())):
        with torch.no_grad():
            layer(x)  # the first call sets buffers up
            found[name] = {
                "cpu_ms": round(cpu_ms(lambda layer=layer: layer(x), repeats), 3),  # type: ignore[misc]
                "multiply_adds": count_multiply_adds(layer, x),
            }
    return found


def exponent(areas: list[float], costs: list[float]) -> float:
    """p of cost = c * area^p, by least squares of the logarithms.

    Raises:
        ValueError: fewer than two sizes.
    """
    if len(areas) < 2:
        raise ValueError("one size shows no growth")
    return float(np.polyfit(np.log(areas), np.log(costs), 1)[0])


def main() -> None:
    import torch

    parser = common.parser(__doc__)
    parser.add_argument("--repeats", type=int, default=20, help="calls of each layer; the least counts [20]")
    args = parser.parse_args()
    torch.set_num_threads(1)
    sides = {f"{s} x {s}": measure(s, args.repeats) for s in common.progress(SIDES_PIXELS, "sizes")}
    areas = [float(entry["tokens"]) for entry in sides.values()]
    growth = {}
    for name in ("windows", "global"):
        costs = {key: [entry[name][key] for entry in sides.values()] for key in ("cpu_ms", "multiply_adds")}
        growth[name] = {key: round(exponent(areas, values), 3) for key, values in costs.items()}
    row = common.make_row(
        "attention_cost",
        {"sides": sides, "growth": growth},
        threads=1,
        warm_up="one call of each layer",
        settings={"repeats": args.repeats, "channels": CHANNELS, "num_heads": NUM_HEADS, "window": WINDOW},
    )
    shown = [(k, v["tokens"], v["windows"]["cpu_ms"], v["global"]["cpu_ms"]) for k, v in sides.items()]
    print(common.table(["pixels", "tokens", "windows ms", "global ms"], shown))
    print(f"cost ~ area^p: p = {growth['windows']['cpu_ms']} in windows, {growth['global']['cpu_ms']} global")
    common.finish([row], args)


if __name__ == "__main__":
    main()
