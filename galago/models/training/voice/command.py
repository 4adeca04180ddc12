"""A voice from its recipe: decode, align, measure, then train its networks one after the other."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from galago.models.training.interrupt import Interrupt
from galago.models.training.loop import Run
from galago.models.training.options import DONE, INTERRUPTED, TrainOptions, say
from galago.models.training.voice.acoustic import AcousticTask, draw_mels
from galago.models.training.voice.checkpoint import load_fastspeech
from galago.models.training.voice.distillation import TaughtVoice, teach_voice
from galago.models.training.voice.recipe import VoiceRecipe, load_recipe
from galago.models.training.voice.task import VoiceTask
from galago.models.training.voice.teaching import TeacherTask
from galago.models.training.voice.vocoding import VocoderTask
from galago.models.training.voice.voice_data import Statistics, VoiceData, prepare

__all__ = ["make_run", "train_recipe"]


def _predicted(
    recipe: VoiceRecipe, data: VoiceData, statistics: Statistics, folder: Path, device: torch.device
) -> dict[str, NDArray[np.float16]] | None:
    """The mels that a vocoder is trained on beside the recordings' own.

    Raises:
        CheckpointError: the acoustic network that draws them was not trained yet.
    """
    if recipe.vocoder.predicted_share == 0:
        return None
    model = load_fastspeech(folder / "acoustic" / "model.pt").to(device)
    return draw_mels(model, data, statistics, device)


def _taught(recipe: VoiceRecipe, data: VoiceData, folder: Path, device: torch.device) -> TaughtVoice | None:
    """The clips as the acoustic network's teacher speaks them, where it has one.

    Raises:
        CheckpointError: see :func:`teach_voice`.
    """
    distillation = recipe.acoustic.distillation
    if distillation is None:
        return None
    path = folder / "teacher" / "model.pt" if distillation.teacher is None else Path(distillation.teacher)
    taught = teach_voice(distillation, path, data, recipe.acoustic_config(), device)
    if distillation.durations:
        say(f"durations of {taught.num_aligned} of {len(data.train)} clips are the teacher's")
    return taught


def make_run(
    recipe: VoiceRecipe,
    network: str,
    data: VoiceData,
    statistics: Statistics,
    folder: Path,
    device: torch.device,
) -> Run[VoiceTask]:
    """The run of one of the recipe's networks, in a folder of its own inside ``folder``.

    Raises:
        CheckpointError: what stands in the folder is damaged or of another recipe, or a network is missing.
    """
    task: VoiceTask
    if network == "acoustic":
        taught = _taught(recipe, data, folder, device)
        config = recipe.acoustic_config()
        task = AcousticTask(config, recipe.acoustic, data, statistics, device, taught=taught)
    elif network == "vocoder":
        predicted = _predicted(recipe, data, statistics, folder, device)
        vocoder = recipe.vocoder_config()
        task = VocoderTask(vocoder, recipe.vocoder, data, statistics, device, predicted=predicted)
    else:
        task = TeacherTask(recipe.teacher_config(), recipe.teacher, data, statistics, device)
    return Run(task, folder / network)


def _with_num_steps(recipe: VoiceRecipe, num_steps: int) -> VoiceRecipe:
    changed = {}
    for name in ("acoustic", "vocoder", "teacher"):
        network = getattr(recipe, name)
        schedule = dataclasses.replace(network.schedule, num_steps=num_steps)
        changed[name] = dataclasses.replace(network, schedule=schedule)
    return dataclasses.replace(recipe, **changed)


def train_recipe(path: Path, options: TrainOptions) -> int:
    """Prepare and train the voice of a recipe.

    ``options.num_steps`` counts for each network. Networks that are finished are not trained again.

    Returns:
        the exit code: DONE, or INTERRUPTED after a checkpoint was saved.

    Raises:
        TrainingError: recipe, recordings, dictionary, checkpoint or run are at fault.
        OSError: nothing can be written.
    """
    recipe = load_recipe(path, options.changes)
    if options.num_steps is not None:
        recipe = _with_num_steps(recipe, options.num_steps)
    folder, cache = options.folder_of(recipe.name), options.cache_of(recipe.name)
    prepare(recipe, root=options.data_root, cache=cache)
    if options.prepare_only:
        say(f"prepared in {cache}")
        return DONE
    data = VoiceData(recipe, options.data_root, cache)
    hours = sum(clip.utterance.num_frames for clip in data.train) / 360_000
    say(f"{len(data.train)} clips, {hours:.2f} h, and {len(data.dev)} to measure with")
    statistics = data.statistics()
    interrupt = Interrupt()
    for network in recipe.networks:
        began = time.monotonic()
        run = make_run(recipe, network, data, statistics, folder, torch.device(options.device))
        with interrupt.caught():
            run.train(num_workers=options.num_workers, should_stop=interrupt)
        num_parameters = sum(p.numel() for p in run.average.parameters())
        say(
            f"{network}: {num_parameters / 1e6:.1f} M parameters, step {run.step} of "
            f"{run.task.schedule.num_steps} after {(time.monotonic() - began) / 60:.1f} min; "
            f"{run.folder / 'model.pt'}"
        )
        if run.step < run.task.schedule.num_steps:
            say("stopped; the same command goes on from here")
            return INTERRUPTED
    return DONE
