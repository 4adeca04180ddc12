"""``galago label SOURCE --teacher model.pt... -o FOLDER``: pseudo-labels for sound or photos.

Exit codes: 0 done, 2 something is wrong with the teachers or the source (the message says what).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from galago.models.training.checkpoints import load
from galago.models.training.distill.pseudo_labels import Verdict, most_confident, write_pseudo_labels
from galago.models.training.ear import pseudo_labels as sound
from galago.models.training.ear import teachers as ears
from galago.models.training.errors import TrainingError
from galago.models.training.eye import pseudo_labels as photos
from galago.models.training.eye import teachers as eyes
from galago.models.training.options import DONE, WRONG

__all__ = ["main"]

_SEES = ("eye", "swin", "vit")  # roles of model files that label photos; all others must hear


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="galago label",
        description="Label sound or photos with what teachers are sure of, for a recipe to learn from.",
    )
    parser.add_argument("source", type=Path, help="a tar or JSONL manifest, or a folder of files")
    parser.add_argument(
        "--teacher",
        metavar="MODEL",
        type=Path,
        action="append",
        required=True,
        help="a run's model.pt, or a model file of galago import; several are an ensemble",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of manifest.jsonl")
    parser.add_argument("--min-confidence", type=float, default=0.9, help="what is kept [0.9]")
    parser.add_argument("--split", action="append", default=[], help="of the source [all of them]")
    parser.add_argument("--max-disagreement", type=float, default=0.1, help="sound: between teachers [0.1]")
    parser.add_argument(
        "--max-clip-s", type=float, default=30.0, help="sound: longer files are left out [30]"
    )
    parser.add_argument("--group", help="photos: whose labels, where the teacher knows several groups")
    parser.add_argument("--most-each", type=int, help="photos: the surest of each label, at most so many")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N [cpu]")
    return parser


def _counted(verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
    from tqdm import tqdm

    return iter(tqdm(verdicts, desc="label", unit="file", mininterval=1.0))


def _label(options: argparse.Namespace) -> dict[str, Any]:
    splits, paths = tuple(options.split), options.teacher
    verdicts: Iterable[Verdict]
    if load(paths[0]).get("role") in _SEES:
        seeing = photos.PhotoSettings(options.min_confidence, options.group)
        teachers = [eyes.load_teacher(path, options.device) for path in paths]
        verdicts = _counted(
            photos.label_photos(teachers, options.source, seeing, splits=splits, device=options.device)
        )
        if options.most_each is not None:
            verdicts = most_confident(verdicts, "label", options.most_each)
        settings = {**asdict(seeing), "most_each": options.most_each}
    else:
        hearing = sound.SoundSettings(options.min_confidence, options.max_disagreement, options.max_clip_s)
        listeners = [ears.load_teacher(path, options.device) for path in paths]
        verdicts = _counted(
            sound.label_sound(listeners, options.source, hearing, splits=splits, device=options.device)
        )
        settings = asdict(hearing)
    settings["splits"] = list(splits)
    return write_pseudo_labels(verdicts, options.source, options.output, teachers=paths, settings=settings)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line (by default this process's) and label; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        report = _label(options)
    except TrainingError as error:
        print(f"galago label: {error}", file=sys.stderr)
        return WRONG
    except (OSError, RuntimeError, ImportError) as error:  # a full disk, a device that is not there
        print(f"galago label: {type(error).__name__}: {error}", file=sys.stderr)
        return WRONG
    print(f"{options.output / 'manifest.jsonl'}: {report['num_kept']} of {report['num_files']} files")
    for reason, count in report["left_out"].items():
        print(f"  left out: {count}, {reason}")
    return DONE


if __name__ == "__main__":
    sys.exit(main())
