"""What a student gains by its teacher: two finished runs that differ in nothing but ``[distillation]``.

A student that begins as a part of its teacher (``[pruning]``) learns from it in that way too; a row says so.
An ear is measured by its greedy word error rate in chunks of a stream, teachers with the full context; an eye
by the share of held-out photos that it labels rightly.

    python -m benchmarks.distillation --alone runs/small --distilled runs/small-taught --teacher runs/large
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import common, pocketsphinx_peer
from benchmarks.accuracy_cost import torch_text
from benchmarks.corpora import read_clips
from benchmarks.eye_accuracy import held_out_photos
from benchmarks.scoring import reference_words
from benchmarks.word_error_rate import score_groups

CHUNK_TOKENS = 8  # 320 ms

#: Keys of a recipe in which two runs may differ and still be compared.
FREE = ("name", "distillation", "pruning")


def checkpoint(run: Path) -> Path:
    """A run's model, where its folder is named."""
    return run / "model.pt" if run.is_dir() else run


def differences(alone: Mapping[str, Any], distilled: Mapping[str, Any]) -> list[str]:
    """Why two stored models are no student with and without its teacher; nothing where they are.

    Args:
        alone, distilled: what ``model.pt`` holds: ``config``, ``step`` and ``recipe`` (JSON).
    """
    found = [
        f"{key}: {alone[key]} and {distilled[key]}"
        for key in ("config", "step")
        if alone[key] != distilled[key]
    ]
    ours, theirs = (json.loads(stored["recipe"]) for stored in (alone, distilled))
    keys = sorted((set(ours) | set(theirs)) - set(FREE))
    found += [f"recipe.{key}" for key in keys if ours.get(key) != theirs.get(key)]
    if ours.get("distillation") is not None:
        found.append("the student alone had a teacher")
    if theirs.get("distillation") is None:
        found.append("the distilled student had no teacher")
    elif part_of_teacher(theirs) is None and ours.get("pruning") != theirs.get("pruning"):
        found.append("recipe.pruning: of a network that is no teacher")
    return found


def part_of_teacher(recipe: Mapping[str, Any]) -> dict[str, Any] | None:
    """``[pruning]`` of a recipe whose student begins as a part of one of its teachers."""
    pruning, distillation = recipe.get("pruning"), recipe.get("distillation")
    if pruning is None or distillation is None or pruning["weights"] not in distillation["teachers"]:
        return None
    return {key: value for key, value in pruning.items() if key != "weights"}


def ear_gains(wer: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Of each set the word error rates, and how much of the student's errors are gone, all in percent."""
    return {
        group: {
            **{f"{name}_percent": round(value, 2) for name, value in found.items()},
            "better_percent": round(100.0 * (1.0 - found["distilled"] / found["alone"]), 2),
        }
        for group, found in wer.items()
    }


def eye_gains(right: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Of each group the shares of photos in percent, and the points gained."""
    return {
        group: {
            **{f"{name}_percent": round(value, 2) for name, value in found.items()},
            "better_points": round(found["distilled"] - found["alone"], 2),
        }
        for group, found in right.items()
    }


def hear(models: Mapping[str, Path], args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Word error rates of ears by set and name."""
    from galago.models.training.ear.checkpoint import load_model

    clips = [clip for name in args.sets for clip in read_clips(name, "dev", limit=args.limit)]
    clips = [clip for clip in clips if reference_words(clip.text) is not None]
    wer: dict[str, dict[str, float]] = {}
    for name, path in models.items():
        network, chunk = load_model(path), None if name == "teacher" else CHUNK_TOKENS
        texts = [torch_text(network, c.samples, chunk) for c in common.progress(clips, name)]
        for group, errors in score_groups(clips, texts).items():
            wer.setdefault(group, {})[name] = errors.wer
    return wer


def see(models: Mapping[str, Path], args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Shares of rightly labelled photos of eyes, in percent, by group and name; "all" are all of them."""
    from galago.models.training.eye.batches import sight_of
    from galago.models.training.eye.trainer import accuracy, load_eye, scores_of

    photos = held_out_photos(args.recipe, args.split)[:: args.every]
    right: dict[str, dict[str, float]] = {}
    for name, path in models.items():
        model, description = load_eye(path)
        sight = sight_of(photos, description.labels, description.image.height, description.image.width)
        found = accuracy(scores_of(model, description, sight.images), sight.labels, description)
        for group in ("all", *sorted({label.group for label in description.labels})):
            key = "accuracy" if group == "all" else f"{group}_accuracy"
            if key in found:
                right.setdefault(group, {})[name] = 100.0 * found[key]
    return right


def named_teachers(distillation: dict[str, Any]) -> dict[str, Any]:
    """A recipe's ``[distillation]`` with each teacher as its run and file: where a run lies says nothing."""
    teachers = [str(Path(*Path(teacher).parts[-2:])) for teacher in distillation["teachers"]]
    return {**distillation, "teachers": teachers}


def main() -> None:
    import torch

    from galago.models.training.checkpoints import load

    parser = common.parser(__doc__)
    parser.add_argument("--alone", type=Path, required=True, help="run of the student without a teacher")
    parser.add_argument("--distilled", type=Path, required=True, help="the same run with one")
    parser.add_argument("--teacher", type=Path, help="to be measured beside them")
    parser.add_argument("--sets", nargs="+", default=list(pocketsphinx_peer.DEV_SETS), help="an ear's")
    parser.add_argument("--limit", type=int, help="clips of each set, spread evenly over it")
    default = common.ROOT / "recipes" / "eye-groceries.toml"
    parser.add_argument("--recipe", type=Path, default=default, help="an eye's: whose photos are measured")
    parser.add_argument("--split", default="dev-test", help="an eye's [dev-test]")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="an eye's: each N-th photo [1]")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    named = {"alone": args.alone, "distilled": args.distilled, "teacher": args.teacher}
    models = {name: checkpoint(path) for name, path in named.items() if path is not None}
    stored = {name: load(models[name]) for name in ("alone", "distilled")}
    wrong = differences(stored["alone"], stored["distilled"])
    if wrong:
        parser.error(f"these runs cannot be compared: {'; '.join(wrong)}")
    role = stored["alone"].get("role", "ear")
    gains = ear_gains(hear(models, args)) if role == "ear" else eye_gains(see(models, args))
    taught = json.loads(stored["distilled"]["recipe"])
    is_partial = args.limit is not None or args.every > 1
    row = common.make_row(
        "distillation",
        {"role": role, "sets": gains},
        variant=role + (f"-limit{args.limit or args.every}" if is_partial else ""),
        threads=args.threads,
        settings={
            "step": stored["alone"]["step"],
            "chunk_tokens": CHUNK_TOKENS if role == "ear" else None,
            "split": "dev" if role == "ear" else args.split,
            "distillation": named_teachers(taught["distillation"]),
            "begins_as_part_of_teacher": part_of_teacher(taught),
        },
    )
    print(common.table(["set", *next(iter(gains.values()))], ([k, *v.values()] for k, v in gains.items())))
    common.finish([row], args)


if __name__ == "__main__":
    main()
