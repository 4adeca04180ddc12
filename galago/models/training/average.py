"""The mean of several checkpoints of one network (Wortsman et al. 2022, "Model soups").

States of one run, or of runs that began alike, lie in one valley: half way between a state that knows its
training data well and an earlier one that knows strangers better is often better than both::

    python -m galago.models.training.average early/model.pt late/model.pt -o model.pt

Everything but the weights is the last one's: its step, its recipe.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from galago.models.training.checkpoints import CheckpointError, load, save_atomically

__all__ = ["average", "main"]


def average(paths: Sequence[Path]) -> dict[str, Any]:
    """What the last of these ``model.pt`` holds, with the mean of the weights of all.

    Raises:
        CheckpointError: no checkpoint, or one of another network; the message names it.
    """
    *others, found = (load(path) for path in paths)
    for path, stored in zip(paths, (*others, found), strict=True):
        if not {"family", "config", "model"} <= stored.keys():
            raise CheckpointError(f"{path}: no model.pt of a run")
        shapes, expected = ({n: w.shape for n, w in of["model"].items()} for of in (stored, found))
        if shapes != expected or any(stored[key] != found[key] for key in ("family", "config")):
            raise CheckpointError(f"{path}: another network than that of {paths[-1]}")
    weights = found["model"]
    for name, weight in weights.items():
        if weight.is_floating_point():
            total = sum((o["model"][name].double() for o in others), weight.double())
            weights[name] = (total / len(paths)).to(weight.dtype)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="galago.models.training.average", description=__doc__)
    parser.add_argument("models", nargs="+", type=Path, help="model.pt of runs; the last one's recipe stays")
    parser.add_argument("-o", "--output", required=True, type=Path)
    args = parser.parse_args(argv)
    try:
        save_atomically(average(args.models), args.output)
    except (CheckpointError, OSError) as error:
        print(f"galago average: {error}", file=sys.stderr)
        return 1
    print(f"galago average: {args.output}: the mean of {len(args.models)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
