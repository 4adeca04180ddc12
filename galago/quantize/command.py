"""``galago pack RUN -o BUNDLE --recipe recipes/NAME.pack.toml --corpora FOLDER``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from galago.models.training.ear.corpus import CorpusError
from galago.models.training.toml_tables import RecipeError
from galago.quantize.calibrate import CalibrationError
from galago.quantize.export import ExportError
from galago.quantize.pack import pack
from galago.quantize.quantize import QuantizationError
from galago.quantize.recipe import load_pack_recipe

__all__ = ["main"]

_EXPECTED = (RecipeError, CorpusError, CalibrationError, ExportError, QuantizationError, OSError)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="galago pack", description="Export, quantize and pack a checkpoint into a bundle."
    )
    parser.add_argument("run", type=Path, help="a training run's folder, or its model.pt")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the bundle; an old one is replaced")
    parser.add_argument("--recipe", type=Path, required=True, help="packing recipe (NAME.pack.toml)")
    parser.add_argument("--corpora", type=Path, help="folder of imported corpora: calibration and evaluation")
    parser.add_argument("--work", type=Path, help="where graphs and the report go; default: RUN/pack")
    parser.add_argument(
        "--clips", type=int, help="clips of each corpus to evaluate on; default: the recipe's"
    )
    parser.add_argument("--threads", type=int, default=1, help="of torch (default 1)")
    parser.add_argument(
        "--no-timing", action="store_true", help="measure no times: the same bytes every time"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code. Arguments that argparse refuses exit with 2."""
    options = _parser().parse_args(argv)
    torch.set_num_threads(max(1, options.threads))
    begin = time.monotonic()
    try:
        recipe = load_pack_recipe(options.recipe)
        if options.clips is not None:
            evaluation = replace(recipe.evaluation, clips_per_corpus=max(1, options.clips))
            recipe = replace(recipe, evaluation=evaluation)
        pack(
            options.run,
            options.output,
            recipe,
            corpora=options.corpora,
            recipe_folder=options.recipe.parent,
            work=options.work,
            measure_time=not options.no_timing,
            say=lambda line: print(f"{time.monotonic() - begin:6.0f} s  {line}", flush=True),
        )
    except _EXPECTED as error:
        print(f"galago pack: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
