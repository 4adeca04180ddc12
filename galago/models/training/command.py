"""``galago train RECIPE``: decode, synthesise, align, simulate rooms, train; what is done is not done again.

Exit codes: 0 done, 2 something is wrong with the recipe, the data or the run (the message says what),
130 stopped by Ctrl-C after a checkpoint was saved.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import torch

from galago.models.training.align import align_corpus, load_alignments, sound_out
from galago.models.training.augment import room_responses
from galago.models.training.corpus import Corpus, CorpusError, import_corpus
from galago.models.training.recipe import Recipe, RecipeError, load_recipe
from galago.models.training.synthesize import synthesize_corpus
from galago.models.training.trainer import CheckpointError, TrainingDivergedError, train

__all__ = ["main", "prepare", "read_sentences", "run"]

WRONG = 2
INTERRUPTED = 130  # 128 + SIGINT


def _say(message: str) -> None:
    print(f"galago train: {message}", file=sys.stderr, flush=True)


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
    for entry in recipe.noise:
        import_corpus(root / entry.path, cache, name=entry.name, speech=entry.speech)
    if recipe.synthetic is not None:
        sentences = read_sentences(recipe.synthetic.sentences, root)
        corpora.append(
            (
                synthesize_corpus(
                    recipe.synthetic.plan(),
                    cache,
                    name=f"synthetic-{recipe.name}",
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
        _say(f"{corpus.name}: {hours:.2f} h in {len(clips)} clips, {num_aligned} of them aligned")
    augmentation = recipe.augmentation
    if augmentation.reverberation_probability > 0:
        room_responses(cache / f"rooms-{augmentation.num_rooms}.npz", augmentation.num_rooms)


class _Interrupt:
    """Remembers Ctrl-C until a step is done; a second one is not waited with."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        return self.asked

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    @contextmanager
    def caught(self) -> Iterator[None]:
        before = signal.signal(signal.SIGINT, self._handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def _train(recipe: Recipe, folder: Path, root: Path, cache: Path, device: str, num_workers: int) -> int:
    began = time.monotonic()
    interrupt = _Interrupt()
    with interrupt.caught():
        trainer = train(
            recipe,
            folder,
            root=root,
            cache=cache,
            device=device,
            num_workers=num_workers,
            should_stop=interrupt,
        )
    minutes = (time.monotonic() - began) / 60
    num_parameters = sum(p.numel() for p in trainer.model.parameters())
    _say(f"{num_parameters / 1e6:.1f} M parameters, step {trainer.step} of {recipe.schedule.num_steps}")
    evaluated = [row for row in trainer.history if "dev_wer" in row]
    if evaluated:
        last = evaluated[-1]
        _say(
            f"held-out clips at step {last['step'] + 1:.0f}: {last['dev_phone_accuracy']:.1%} of the phones "
            f"right, word error rate {last['dev_wer']:.1%} (greedy, 320 ms chunks)"
        )
    _say(f"{folder / 'model.pt'} after {minutes:.1f} min; curves in {folder / 'curves.png'}")
    if trainer.step < recipe.schedule.num_steps:
        _say("stopped; the same command goes on from here")
        return INTERRUPTED
    return 0


def main(
    recipe: Path,
    *,
    run_folder: Path | None = None,
    data_root: Path | None = None,
    cache: Path | None = None,
    num_steps: int | None = None,
    threads: int | None = None,
    device: str = "cpu",
    prepare_only: bool = False,
    num_workers: int = 1,
) -> int:
    """Prepare and train a recipe; a run that was cut short goes on where its last checkpoint stands.

    Args:
        recipe: a TOML file, see ``docs/training.md``.
        run_folder: checkpoints, log and curves; by default ``runs/NAME``.
        data_root: what the recipe's paths are relative to; by default ``$GALAGO_DATA`` or the current folder.
        cache: decoded corpora; by default ``corpora`` beside the run's folder.
        num_steps: instead of the recipe's.
        threads: of torch; by default its own choice.
        device: ``cpu``, ``cuda`` or ``cuda:1``.
        prepare_only: stop before training.
        num_workers: processes that make batches ahead; 0 makes them between the steps.

    Returns:
        an exit code: 0 done, 2 failed (a message is on standard error), 130 stopped by Ctrl-C.
    """
    try:
        loaded = load_recipe(recipe)
        if num_steps is not None:
            if num_steps < 1:
                raise RecipeError(f"the number of steps must be at least 1, got {num_steps}")
            loaded = dataclasses.replace(
                loaded, schedule=dataclasses.replace(loaded.schedule, num_steps=num_steps)
            )
        if threads is not None and threads < 1 or num_workers < 0:
            raise RecipeError(f"cannot run with {threads} threads and {num_workers} workers")
        kind = torch.device(device).type  # RuntimeError where there is no such kind
        if kind not in ("cpu", "cuda") or (kind == "cuda" and not torch.cuda.is_available()):
            raise RecipeError(f"no device {device!r} here: torch {torch.__version__} can use the CPU")
        if threads is not None:
            torch.set_num_threads(threads)
        torch.set_flush_denormal(True)  # tiny activations of silence would cost a hundred times their share
        folder = run_folder or Path("runs") / loaded.name
        root = data_root or Path(os.environ.get("GALAGO_DATA", "."))
        kept = cache or folder.parent / "corpora"
        prepare(loaded, root=root, cache=kept)
        if prepare_only:
            _say(f"prepared in {kept}")
            return 0
        return _train(loaded, folder, root, kept, device, num_workers)
    except (RecipeError, CorpusError, CheckpointError, TrainingDivergedError) as error:
        _say(str(error))
    except (OSError, RuntimeError, ImportError) as error:  # a full disk, a device out of memory, a library
        _say(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        _say("stopped; the same command goes on from the last checkpoint")
        return INTERRUPTED
    return WRONG


def run(arguments: Sequence[str] | None = None) -> int:
    """Read the command line (by default this process's) and call :func:`main`."""
    parser = argparse.ArgumentParser(
        prog="galago train",
        description="Train a network from a recipe. What is prepared or trained already is not done again.",
    )
    parser.add_argument("recipe", type=Path, help="a TOML file, for instance recipes/ear-en-us.toml")
    parser.add_argument("--run-folder", type=Path, help="checkpoints, log and curves [runs/NAME]")
    parser.add_argument(
        "--data-root", type=Path, help="what the recipe's paths are relative to [$GALAGO_DATA, or here]"
    )
    parser.add_argument("--cache", type=Path, help="decoded corpora [corpora, beside the run's folder]")
    parser.add_argument("--num-steps", type=int, help="instead of the recipe's")
    parser.add_argument("--threads", type=int, help="of torch [its own choice]")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N [cpu]")
    parser.add_argument("--prepare-only", action="store_true", help="decode, synthesise and align, then stop")
    parser.add_argument("--num-workers", type=int, default=1, help="processes that make batches ahead [1]")
    return main(**vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(run())
