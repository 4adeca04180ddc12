"""``galago pack RUN... (-o | --into) BUNDLE --recipe recipes/NAME.pack.toml``.

    galago pack EAR -o B --recipe ear.pack.toml --corpora C                 a bundle that hears
    galago pack EAR --second-pass LARGER -o B --recipe ...                  its second pass by another network
    galago pack --second-pass LARGER --into B --recipe ear.pack.toml ...    B with it, all else as it is
    galago pack EAR EYE -o B --recipe ear.pack.toml eye.pack.toml ...       one that hears and sees
    galago pack EYE --into B --recipe eye.pack.toml --albums A              B with a new eye, its ear as it is
    galago pack VOICE --into B --recipe voice.pack.toml --corpora C --g2p G B with a new voice

Each run's ``model.pt`` and each recipe says its role: the order of the recipes does not matter.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from galago.models.training.errors import TrainingError
from galago.models.training.toml_tables import RecipeError
from galago.quantize.calibration import CalibrationError
from galago.quantize.ear.recipe import EarPackRecipe
from galago.quantize.export import ExportError
from galago.quantize.pack import Source, pack, pack_second_pass
from galago.quantize.quantizer import QuantizationError
from galago.quantize.recipe import PackRecipe
from galago.quantize.roles import load_pack_recipe, role_of_checkpoint
from galago.runtime.errors import GalagoError

__all__ = ["main"]

_EXPECTED = (
    TrainingError,
    CalibrationError,
    ExportError,
    QuantizationError,
    GalagoError,
    OSError,
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="galago pack",
        description="Export, quantize and pack checkpoints into a bundle.",
        epilog="Runs and recipes belong together by their roles, each of which a bundle has once.",
    )
    parser.add_argument("runs", metavar="RUN", nargs="*", type=Path, help="a run's folder, or its model.pt")
    output = parser.add_mutually_exclusive_group(required=True)
    output.add_argument("-o", "--output", type=Path, help="the bundle; an old one is replaced")
    output.add_argument("--into", type=Path, help="a bundle that keeps its other roles, name and version")
    parser.add_argument(
        "--recipe",
        metavar="RECIPE",
        type=Path,
        nargs="+",
        required=True,
        help="packing recipes (NAME.pack.toml), one a run",
    )
    parser.add_argument("--corpora", type=Path, help="folder of imported corpora, for the ear and the voice")
    parser.add_argument("--albums", type=Path, help="folder of the albums of photos, for the eye")
    parser.add_argument("--g2p", metavar="RUN", type=Path, help="letter-to-phone network, for the voice")
    parser.add_argument(
        "--second-pass", metavar="RUN", type=Path, help="network of the second pass, for the ear"
    )
    parser.add_argument("--work", type=Path, help="where graphs and the report go; default: RUN/pack")
    for key in ("name", "version", "description"):
        parser.add_argument(f"--{key}", help=f"{key} of the bundle; default: of the bundle or the recipe")
    parser.add_argument(
        "--clips", type=int, help="clips of each corpus to evaluate an ear on; default: the recipe's"
    )
    parser.add_argument("--threads", type=int, default=1, help="of torch (default 1)")
    parser.add_argument(
        "--no-timing", action="store_true", help="measure no times: the same bytes every time"
    )
    return parser


def _sources(options: argparse.Namespace) -> list[Source]:
    """Runs with the recipes of their roles.

    Raises:
        RecipeError: a recipe of no run, a run without recipe, or two recipes of one role.
        FileNotFoundError: a run without checkpoint.
    """
    recipes: dict[str, tuple[Path, PackRecipe]] = {}
    for path in options.recipe:
        recipe = load_pack_recipe(path)
        if recipe.role in recipes:
            raise RecipeError(f"{path}: a second recipe for the role {recipe.role!r}")
        recipes[recipe.role] = path, recipe
    if len(options.runs) == 1 and len(recipes) == 1:  # if they do not fit, pack says so
        path, recipe = next(iter(recipes.values()))
        return [Source(options.runs[0], _with_clips(recipe, options.clips), path.parent)]
    sources = []
    for run in options.runs:
        checkpoint = Source(run, next(iter(recipes.values()))[1]).checkpoint
        if not checkpoint.is_file():
            raise FileNotFoundError(f"{checkpoint}: no checkpoint; train one, or name a run's folder")
        role = role_of_checkpoint(checkpoint)
        if role not in recipes:
            raise RecipeError(f"{run}: no recipe for the role {role!r} (--recipe)")
        path, recipe = recipes[role]
        sources.append(Source(run, _with_clips(recipe, options.clips), path.parent))
    idle = set(recipes) - {source.recipe.role for source in sources}
    if idle:
        raise RecipeError(f"{recipes[min(idle)][0]}: no run for the role {min(idle)!r}")
    return sources


def _with_clips(recipe: PackRecipe, clips: int | None) -> PackRecipe:
    if clips is None or not isinstance(recipe, EarPackRecipe):
        return recipe
    return replace(recipe, evaluation=replace(recipe.evaluation, clips_per_corpus=max(1, clips)))


def _second_pass_alone(options: argparse.Namespace, begin: float) -> int:
    """No run is named but that of the second pass.

    Raises:
        RecipeError: there is none, or no bundle that it belongs into.
    """
    if options.second_pass is None or options.into is None or len(options.recipe) != 1:
        raise RecipeError(
            "no run is named: without one, --second-pass and --into with one recipe give a bundle's ear "
            "another second pass"
        )
    (path,) = options.recipe
    recipe = _with_clips(load_pack_recipe(path), options.clips)
    pack_second_pass(
        Source(options.second_pass, recipe, path.parent),
        options.into,
        corpora=options.corpora,
        work=options.work,
        measure_time=not options.no_timing,
        say=lambda line: print(f"{time.monotonic() - begin:6.0f} s  {line}", flush=True),
    )
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code. Arguments that argparse refuses exit with 2."""
    options = _parser().parse_args(argv)
    torch.set_num_threads(max(1, options.threads))
    begin = time.monotonic()
    header = {key: getattr(options, key) for key in ("name", "version", "description")}
    try:
        if not options.runs:
            return _second_pass_alone(options, begin)
        pack(
            _sources(options),
            options.into or options.output,
            into=options.into is not None,
            corpora=options.corpora,
            albums=options.albums,
            g2p=options.g2p,
            second_pass=options.second_pass,
            work=options.work,
            header={key: value for key, value in header.items() if value is not None},
            measure_time=not options.no_timing,
            say=lambda line: print(f"{time.monotonic() - begin:6.0f} s  {line}", flush=True),
        )
    except _EXPECTED as error:
        print(f"galago pack: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
