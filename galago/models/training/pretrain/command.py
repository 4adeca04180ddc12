"""A pre-training from its recipe: decode, make clusters, train; nothing is done twice."""

from __future__ import annotations

import time
from pathlib import Path

from galago.models.training.interrupt import Interrupt
from galago.models.training.options import DONE, INTERRUPTED, TrainOptions, say
from galago.models.training.pretrain.recipe import load_pretraining_recipe
from galago.models.training.pretrain.sound import load_recordings
from galago.models.training.pretrain.trainer import pretrain

__all__ = ["train_recipe"]


def train_recipe(path: Path, options: TrainOptions) -> int:
    """What ``galago train`` calls for a recipe whose ``role`` is ``pretraining``; see ``options.Train``."""
    recipe = options.with_num_steps(load_pretraining_recipe(path, options.changes))
    folder, cache = options.folder_of(recipe.name), options.cache_of(recipe.name)
    sound = load_recordings(recipe, options.data_root, cache)
    for part in sound.learned:
        hours = sum(clip.duration_s for clip in part.clips) / 3600
        say(f"{part.corpus.name}: {hours:.2f} h in {len(part.clips)} clips")
    if options.prepare_only:
        say(f"prepared in {cache}")
        return DONE
    began = time.monotonic()
    interrupt = Interrupt()
    with interrupt.caught():
        run = pretrain(
            recipe,
            sound,
            folder,
            cache=cache,
            device=options.device,
            num_workers=options.num_workers,
            should_stop=interrupt,
        )
    minutes = (time.monotonic() - began) / 60
    evaluated = [row for row in run.history if "dev_masked_accuracy" in row]
    if evaluated:
        last = evaluated[-1]
        say(
            f"held-out recordings at step {last['step'] + 1:.0f}: {last['dev_masked_accuracy']:.1%} of what "
            "was hidden told rightly (320 ms chunks)"
        )
    say(f"{folder / 'model.pt'} after {minutes:.1f} min; curves in {folder / 'curves.png'}")
    if run.step < recipe.schedule.num_steps:
        say("stopped; the same command goes on from here")
        return INTERRUPTED
    return DONE
