"""How well an eye sees: photos that were held out, through the device's way to the network's input.

Measured are the fine and the coarse class of groceries, hand signs, whether probabilities are honest
(expected calibration error), and what becomes of things that it does not know: pictures of nothing, and
photos whose own coarse class is taken out of the answers (kinder than the truth, see
``galago.models.training.eye.calibrate``).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import common
from benchmarks.corpora import data_dir

if TYPE_CHECKING:
    from galago.models.training.eye.album import Photo

RECIPE = common.ROOT / "recipes" / "eye-groceries.toml"
NUM_PICTURES_OF_NOTHING = 400

#: Images (N, H, W, 3) uint8 -> logits (N, num_labels) float32.
Scorer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def score(
    scorer: Scorer, description: Any, images: NDArray[np.uint8], labels: NDArray[np.int64]
) -> dict[str, Any]:
    """All measures over held-out photos.

    Args:
        description: an ``EyeDescription``. labels: (N,), indices into its labels.

    Raises:
        ValueError: there are no photos.
    """
    import torch

    from galago.models.training.eye.calibrate import (
        confidences,
        confidences_without_own_kind,
        expected_calibration_error,
        pictures_of_nothing,
    )
    from galago.models.training.eye.trainer import accuracy

    if not len(images):
        raise ValueError("no photos: nothing to score")
    logits, truth = torch.from_numpy(scorer(images)), torch.from_numpy(labels)
    temperature, threshold = description.temperature, description.accept_probability
    confidence, right = confidences(logits, temperature), logits.argmax(-1) == truth
    nothing = pictures_of_nothing(
        NUM_PICTURES_OF_NOTHING, description.image.height, description.image.width, seed=1
    )
    unknown = {
        "pictures of nothing": confidences(torch.from_numpy(scorer(nothing)), temperature),
        "own class taken out": confidences_without_own_kind(logits, truth, description, temperature),
    }

    def percent(share: float) -> float:
        return round(100.0 * share, 2)

    groups = {}
    for group in sorted({label.group for label in description.labels}):
        members = torch.isin(truth, torch.tensor(description.group_index(group)))
        if not members.any():
            continue
        found = accuracy(logits[members], truth[members], description)
        accepted = confidence[members] >= threshold
        groups[group] = {
            "num_photos": int(members.sum()),
            "fine_percent": percent(found["accuracy"]),
            "coarse_percent": percent(found["coarse_accuracy"]),
            "calibration_error_percent": percent(
                expected_calibration_error(confidence[members], right[members])
            ),
            "answered_percent": percent(float(accepted.float().mean())),
            "right_of_answered_percent": percent(float(right[members][accepted].float().mean()))
            if accepted.any()
            else None,
        }
    return {
        "groups": groups,
        "unknown": {
            name: {
                "num_photos": len(values),
                "rejected_percent": percent(float((values < threshold).float().mean())),
            }
            for name, values in unknown.items()
        },
        "temperature": temperature,
        "accept_probability": threshold,
    }


def torch_scorer(model: Any, description: Any) -> Scorer:
    import torch

    from galago.models.training.eye.trainer import scores_of

    def run(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = scores_of(model, description, torch.from_numpy(images)).numpy()
        return scores

    return run


def openvino_scorer(graph: Path, description: Any) -> Scorer:
    """A graph with one input "image" (1, 3, H, W), normalised, and the logits as its first output."""
    import openvino
    import torch

    compiled = openvino.compile_model(graph, "CPU", {"INFERENCE_NUM_THREADS": 1})

    def run(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        inputs = (description.image.batch(torch.from_numpy(image[None])).numpy() for image in images)
        return np.concatenate([np.asarray(compiled([x])[0], np.float32) for x in inputs])

    return run


def held_out_photos(recipe: Path, split: str) -> list[Photo]:
    """The photos of a split of all albums of a recipe, from the folder of the tars."""
    from galago.models.training.eye.batches import open_album
    from galago.models.training.eye.recipe import load_eye_recipe

    return [
        photo
        for entry in load_eye_recipe(recipe).albums
        for photo in open_album(entry, data_dir(), splits=(split,)).photos
    ]


def main() -> None:
    import torch

    from galago.models.training.eye.batches import sight_of
    from galago.models.training.eye.trainer import load_eye

    parser = common.parser(__doc__)
    default = common.ROOT / "runs" / "eye-groceries" / "model.pt"
    parser.add_argument("--model", type=Path, default=default, help="a run's model.pt [runs/eye-groceries]")
    parser.add_argument("--graph", type=Path, help="an OpenVINO graph of the model to score instead")
    parser.add_argument("--recipe", type=Path, default=RECIPE, help="whose held-out photos are measured")
    parser.add_argument("--split", default="dev-test", help='"val" to choose between models [dev-test]')
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    if not args.model.is_file():
        parser.error(
            f"no {args.model}: galago train recipes/eye-groceries.toml makes it, --model names another"
        )
    torch.set_num_threads(args.threads)
    model, description = load_eye(args.model)
    image = description.image
    photos = held_out_photos(args.recipe, args.split)
    sight = sight_of(photos, description.labels, image.height, image.width)
    scorer = torch_scorer(model, description)
    if args.graph is not None:
        scorer = openvino_scorer(args.graph, description)
    numbers = score(scorer, description, sight.images.numpy(), sight.labels.numpy())
    variant = "torch-f32" if args.graph is None else args.graph.stem
    row = common.make_row(
        "eye_accuracy",
        numbers,
        variant=variant if args.split == "dev-test" else f"{variant}-{args.split}",
        threads=args.threads,
        settings={"split": args.split, "width": image.width, "height": image.height},
    )
    print(
        common.table(
            ["photos", *next(iter(numbers["groups"].values()))],
            ([name, *values.values()] for name, values in numbers["groups"].items()),
        )
    )
    print(
        common.table(
            ["unknown", "photos", "rejected %"],
            ([name, *values.values()] for name, values in numbers["unknown"].items()),
        )
    )
    common.finish([row], args)


if __name__ == "__main__":
    main()
