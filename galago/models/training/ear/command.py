"""An ear from its recipe: decode, synthesise, align, simulate rooms, train; nothing is done twice."""

from __future__ import annotations

import os
import tarfile
import time
from pathlib import Path

from galago.models.training.checkpoints import is_finished
from galago.models.training.ear.align import align_corpus, load_alignments, sound_out
from galago.models.training.ear.augment import room_responses
from galago.models.training.ear.corpus import Corpus, CorpusError, import_corpus
from galago.models.training.ear.recipe import Recipe, load_recipe
from galago.models.training.ear.synthesize import synthesize_corpus
from galago.models.training.ear.trainer import run_identity, train
from galago.models.training.interrupt import Interrupt
from galago.models.training.options import DONE, INTERRUPTED, TrainOptions, say

__all__ = ["prepare", "read_sentences", "train_recipe"]


def read_sentences(place: str, root: Path) -> list[str]:
    """Lines of a text file, or of a tar's member where ``place`` is ``TAR:MEMBER``, relative to ``root``.

    Of a line with ``|`` the last field counts, as in LJSpeech's ``id|raw|normalised``.

    Raises:
        CorpusError: no such file or member, or no UTF-8.
    """
    file, _, member = place.partition(":")
    path = root / file
    try:
        if member:
            with tarfile.open(path) as tar:
                stream = tar.extractfile(member)
                if stream is None:
                    raise CorpusError(f"{path}: {member} is no file")
                data = stream.read()
        else:
            data = path.read_bytes()
        lines = data.decode("utf-8").split("\n")
    except KeyError as error:
        raise CorpusError(f"{path}: holds no {member}") from error
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror or error}") from error
    except tarfile.TarError as error:
        raise CorpusError(f"{path}: no readable tar: {error}") from error
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: {member or 'the text'} is not UTF-8 (byte {error.start})") from error
    return [line.rpartition("|")[2].strip() for line in lines if line.strip()]


def prepare(recipe: Recipe, *, root: Path, cache: Path) -> None:
    """Do once what every epoch needs; what is done already is only opened.

    Args:
        root: what the recipe's paths are relative to.
        cache: where decoded corpora, alignments and room responses are kept.

    Raises:
        CorpusError: a corpus cannot be read or made.
    """
    dictionary = None if recipe.dictionary is None else root / recipe.dictionary
    if dictionary is not None and not dictionary.is_file():
        raise CorpusError(f"{dictionary}: no such dictionary")
    corpora: list[tuple[Corpus, tuple[str, ...]]] = []
    for entry in recipe.corpora:
        corpus = import_corpus(root / entry.path, cache, name=entry.name, speech=entry.speech)
        corpora.append((corpus, (*entry.splits, "dev")))
    unlabelled = () if recipe.distillation is None else recipe.distillation.unlabelled
    for entry in (*recipe.noise, *unlabelled):
        import_corpus(root / entry.path, cache, name=entry.name, speech=entry.speech)
    if recipe.synthetic is not None:
        sentences = read_sentences(recipe.synthetic.sentences, root)
        corpora.append(
            (
                synthesize_corpus(
                    recipe.synthetic.plan(),
                    cache,
                    name=recipe.synthetic_name,
                    sentences=sentences,
                    num_workers=os.cpu_count() or 1,
                ),
                ("train",),
            )
        )
    for corpus, splits in corpora:
        align_corpus(corpus, splits=splits, pronounce=sound_out, dictionary=dictionary)
        clips = [clip for clip in corpus.split(*splits) if clip.words]
        found = load_alignments(corpus)
        num_aligned = sum(clip.id in found for clip in clips)
        hours = sum(clip.duration_s for clip in clips) / 3600
        say(f"{corpus.name}: {hours:.2f} h in {len(clips)} clips, {num_aligned} of them aligned")
    augmentation = recipe.augmentation
    if augmentation.reverberation_probability > 0:
        room_responses(cache / f"rooms-{augmentation.num_rooms}.npz", augmentation.num_rooms)


def train_recipe(path: Path, options: TrainOptions) -> int:
    """Prepare and train the ear of a recipe, and say how well it hears held-out clips.

    Returns:
        the exit code: DONE, or INTERRUPTED after a checkpoint was saved.

    Raises:
        TrainingError: recipe, corpora, checkpoint or run are at fault.
        OSError: nothing can be written.
    """
    recipe = options.with_num_steps(load_recipe(path, options.changes))
    folder, cache = options.folder_of(recipe.name), options.cache_of(recipe.name)
    if not options.prepare_only and is_finished(folder, run_identity(recipe), recipe.schedule.num_steps):
        say(f"{folder / 'model.pt'}: all {recipe.schedule.num_steps} steps are made")
        return DONE
    prepare(recipe, root=options.data_root, cache=cache)
    if options.prepare_only:
        say(f"prepared in {cache}")
        return DONE
    began = time.monotonic()
    interrupt = Interrupt()
    with interrupt.caught():
        run = train(
            recipe,
            folder,
            root=options.data_root,
            cache=cache,
            device=options.device,
            num_workers=options.num_workers,
            should_stop=interrupt,
        )
    minutes = (time.monotonic() - began) / 60
    num_parameters = sum(p.numel() for p in run.average.parameters())
    say(f"{num_parameters / 1e6:.1f} M parameters, step {run.step} of {recipe.schedule.num_steps}")
    evaluated = [row for row in run.history if "dev_wer" in row]
    if evaluated:
        last = evaluated[-1]
        phones = (
            f", {last['dev_phone_accuracy']:.1%} of the phones right" if "dev_phone_accuracy" in last else ""
        )
        say(
            f"held-out clips at step {last['step'] + 1:.0f}: word error rate {last['dev_wer']:.1%} (greedy, "
            f"320 ms chunks){phones}"
        )
    say(f"{folder / 'model.pt'} after {minutes:.1f} min; curves in {folder / 'curves.png'}")
    if run.step < recipe.schedule.num_steps:
        say("stopped; the same command goes on from here")
        return INTERRUPTED
    return DONE
