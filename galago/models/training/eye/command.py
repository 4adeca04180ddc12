"""An eye from its recipe: decode the albums, train, calibrate."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from galago.models.training.eye.batches import Sight
from galago.models.training.eye.calibrate import (
    accept_probability,
    confidences,
    confidences_without_own_kind,
    fit_temperature,
    pictures_of_nothing,
)
from galago.models.training.eye.labels import EyeDescription
from galago.models.training.eye.networks import EyeNetwork
from galago.models.training.eye.recipe import load_eye_recipe
from galago.models.training.eye.trainer import EyeTask, save_eye, scores_of
from galago.models.training.interrupt import Interrupt
from galago.models.training.loop import Run
from galago.models.training.options import DONE, INTERRUPTED, TrainOptions, say

__all__ = ["calibrated", "train_recipe"]

NUM_PICTURES_OF_NOTHING = 200


def calibrated(model: EyeNetwork, description: EyeDescription, sight: Sight) -> EyeDescription:
    """The description with temperature and threshold fitted on photos that were not learned from.

    Args:
        sight: the photos of the "val" splits.
    """
    logits = scores_of(model, description, sight.images)
    temperature = round(fit_temperature(logits, sight.labels), 4)
    nothing = torch.from_numpy(
        pictures_of_nothing(NUM_PICTURES_OF_NOTHING, description.image.height, description.image.width)
    )
    right = logits.argmax(-1) == sight.labels
    known = confidences(logits[right], temperature)
    unknown = torch.cat(
        [
            confidences_without_own_kind(logits, sight.labels, description, temperature),
            confidences(scores_of(model, description, nothing), temperature),
        ]
    )
    threshold = accept_probability(known, unknown) if len(known) else 0.0
    return dataclasses.replace(description, temperature=temperature, accept_probability=threshold)


def train_recipe(path: Path, options: TrainOptions) -> int:
    """Train the recipe at ``path``, going on where its run was left; see options.Train.

    Albums are decoded into memory when training begins, so there is nothing to prepare; with
    ``prepare_only`` they are read, and so checked, and the run ends.
    """
    recipe = options.with_num_steps(load_eye_recipe(path, options.changes))
    folder = options.folder_of(recipe.name)
    task = EyeTask(recipe, root=options.data_root, device=options.device)
    say(f"{task.data.photos_per_epoch} photos an epoch, {len(task.description.labels)} labels")
    if options.prepare_only:
        return DONE
    run, interrupt = Run(task, folder), Interrupt()
    with interrupt.caught():
        run.train(should_stop=interrupt)
    if run.step < recipe.schedule.num_steps:
        say(f"stopped after step {run.step}; the same command goes on from there")
        return INTERRUPTED
    if task.data.choice is not None:
        model = run.average  # with its integers, where it was trained with them
        assert isinstance(model, EyeNetwork)
        description = calibrated(model, task.description, task.data.choice)
        save_eye(folder / "model.pt", model, description, recipe=recipe, step=run.step)
        say(f"temperature {description.temperature:g}, accept_probability {description.accept_probability:g}")
    say(f"{folder / 'model.pt'}: what galago pack takes")
    return DONE
