"""What a make recipe names: read, and held against what is there, before any work begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from galago.models.training.toml_tables import RecipeError
from galago.quantize.make.acceptance import Criterion, parse_criterion
from galago.quantize.make.content import files_of_source
from galago.quantize.make.measures import known_measures
from galago.quantize.make.recipe import MakeRecipe, PackEntry, TrainEntry
from galago.quantize.make.trainings import RUNS, Source, Training, corpus_name, read_training
from galago.quantize.recipe import PackRecipe
from galago.quantize.roles import load_pack_recipe

__all__ = ["Inputs", "Options", "Packing", "Stage", "corpora_of", "files_of_packing", "read_inputs"]


@dataclass(frozen=True)
class Options:
    """The command line beside the recipe.

    Attributes:
        data_root: what the paths of training recipes are relative to.
        threads: of torch while it trains; None: its own choice.
        device, num_workers: of training.
        adopt: take runs that stand in the output folder as begun by this recipe.
        step_times: measure how long a step of each graph takes, for the report.
    """

    data_root: Path
    threads: int | None = None
    device: str = "cpu"
    num_workers: int = 1
    adopt: bool = False
    step_times: bool = True


@dataclass(frozen=True)
class Stage:
    """A network that is trained, or given as ``weights``."""

    name: str
    role: str
    training: Training | None
    weights: Path | None
    criteria: tuple[Criterion, ...]
    is_measured: bool = True  # beyond what its log says

    @property
    def models(self) -> tuple[str, ...]:
        return ("model.pt",) if self.training is None else self.training.models


@dataclass(frozen=True)
class Packing:
    """A role of the bundle."""

    role: str
    entry: PackEntry
    path: Path
    recipe: PackRecipe
    criteria: tuple[Criterion, ...]


@dataclass(frozen=True)
class Inputs:
    """All of it."""

    stages: tuple[Stage, ...]
    packings: tuple[Packing, ...]
    sources: tuple[Source, ...]  # corpora that are decoded before anything else
    criteria: tuple[Criterion, ...]  # of the bundle


def read_inputs(path: Path, recipe: MakeRecipe, options: Options) -> Inputs:
    """Read everything that the make recipe at ``path`` names.

    Raises:
        RecipeError: a recipe is wrong, something that one names is not there, a stage goes on from one that
            does not come before it, a measure is not known. The message names the file and the key.
        CorpusError: the manifest of a corpus cannot be read.
        OSError: a file that is there cannot be read.
    """
    stages = _stages(path, recipe, options)
    packings = _packings(path, recipe, stages)
    sources = _sources(path, recipe, stages, options)
    _check_corpora(packings, sources)
    for source in sources:
        files_of_source(source.path)
    criteria = _criteria(recipe.accept, f"{path.name}.accept", "bundle", known_measures("bundle"))
    return Inputs(stages, packings, sources, criteria)


def _criteria(
    texts: Sequence[str], where: str, subject: str, is_known: Callable[[str], bool]
) -> tuple[Criterion, ...]:
    found = []
    for number, text in enumerate(texts):
        criterion = parse_criterion(text, f"{where}[{number}]")
        if not is_known(criterion.measure):
            raise RecipeError(f"{where}[{number}]: nothing measures {criterion.measure!r} of {subject}")
        found.append(criterion)
    return tuple(found)


def _stages(path: Path, recipe: MakeRecipe, options: Options) -> tuple[Stage, ...]:
    found: dict[str, Stage] = {}
    for number, entry in enumerate(recipe.train):
        where = f"{path.name}.train[{number}]"
        stage = _stage(path.parent, where, entry, options)
        if stage.name in found or stage.name in ("ear", "eye", "voice", "bundle"):
            raise RecipeError(f"{where}: another stage or role is called {stage.name!r}")
        for place, run in stage.training.runs if stage.training is not None else ():
            if run not in found:
                raise RecipeError(f"{place}: goes on from {RUNS}/{run}, and no stage before it is called so")
        found[stage.name] = stage
    return tuple(found.values())


def _stage(folder: Path, where: str, entry: TrainEntry, options: Options) -> Stage:
    if entry.recipe is not None:
        file = folder / entry.recipe
        if not file.is_file():
            raise RecipeError(f"{where}.recipe: no {file}")
        training = read_training(file, options.data_root)
        has_graphs = training.role in ("ear", "eye")
        is_known = known_measures("stage", "" if has_graphs and not entry.measure else training.role)
        criteria = _criteria(entry.accept, f"{where}.accept", training.name, is_known)
        return Stage(training.name, training.role, training, None, criteria, entry.measure)
    assert entry.weights is not None and entry.name is not None
    weights = folder / entry.weights
    if not weights.is_file():
        raise RecipeError(f"{where}.weights: no {weights}")
    if entry.accept:
        raise RecipeError(f"{where}.accept: weights that are given are not measured")
    return Stage(entry.name, "", None, weights, ())


def _packings(path: Path, recipe: MakeRecipe, stages: Sequence[Stage]) -> tuple[Packing, ...]:
    by_name = {stage.name: stage for stage in stages}
    found: dict[str, Packing] = {}
    for number, entry in enumerate(recipe.pack):
        where = f"{path.name}.pack[{number}]"
        named = {"run": entry.run, "g2p": entry.g2p, "second_pass": entry.second_pass}
        for key, run in named.items():
            if run is not None and run not in by_name:
                raise RecipeError(f"{where}.{key}: no stage is called {run!r}")
        file = path.parent / entry.recipe
        if not file.is_file():
            raise RecipeError(f"{where}.recipe: no {file}")
        packing = load_pack_recipe(file)
        role = by_name[entry.run].role or packing.role
        if role != packing.role:
            raise RecipeError(f"{where}: {entry.run} is of role {role!r}, {file.name} for {packing.role!r}")
        if role in found:
            raise RecipeError(f"{where}: a second {role}; a bundle has one")
        if role == "voice" and entry.g2p is None and getattr(packing, "g2p", False):
            raise RecipeError(f"{where}: {file.name} packs letters to phones: name their stage (g2p)")
        _check_second_pass(where, entry, packing, by_name, file.name)
        for key, name in files_of_packing(packing):
            if not (file.parent / name).is_file():
                raise RecipeError(f"{file.name}.{key}: no {file.parent / name}")
        is_known = known_measures("role", role)
        criteria = _criteria(entry.accept, f"{where}.accept", role, is_known)
        found[role] = Packing(role, entry, file, packing, criteria)
    return tuple(found.values())


def _check_second_pass(
    where: str, entry: PackEntry, packing: PackRecipe, by_name: Mapping[str, Stage], file: str
) -> None:
    is_wanted = getattr(packing, "second_pass", None) is not None
    if entry.second_pass is None:
        if is_wanted:
            raise RecipeError(f"{where}: {file} has a [second_pass]: name its stage (second_pass)")
        return
    if not is_wanted:
        raise RecipeError(f"{where}.second_pass: {file} has no [second_pass]")
    role = by_name[entry.second_pass].role or "ear"
    if role != "ear":
        raise RecipeError(f"{where}.second_pass: {entry.second_pass} is of role {role!r}, and no ear")


def files_of_packing(recipe: PackRecipe) -> Iterator[tuple[str, str]]:
    """(key, path relative to the recipe) of the files that a packing recipe names."""
    yield from (("files", name) for name in recipe.files)
    tables: dict[str, dict[str, Any]] = {k: v for k, v in asdict(recipe).items() if isinstance(v, dict)}
    for table, key in (("golden", "audio"), ("calibration", "images")):
        yield from ((f"{table}.{key}", name) for name in tables.get(table, {}).get(key, ()))
    dictionary = getattr(recipe, "dictionary", None)
    if dictionary is not None:
        yield "dictionary", dictionary


def _sources(path: Path, recipe: MakeRecipe, stages: Sequence[Stage], options: Options) -> tuple[Source, ...]:
    named = [source for stage in stages if stage.training for source in stage.training.sources]
    for number, entry in enumerate(recipe.corpora):
        where = f"{path.name}.corpora[{number}].path"
        file = options.data_root / entry.path
        if not file.exists():
            raise RecipeError(f"{where}: no {file}")
        named.append(Source(entry.name or corpus_name(file), file, entry.speech, where))
    found: dict[str, Source] = {}
    for source in named:
        other = found.setdefault(source.name, source)
        if (other.path.resolve(), other.speech) != (source.path.resolve(), source.speech):
            raise RecipeError(
                f"{source.where}: corpus {source.name!r} is made of something else in {other.where}: name one"
            )
    return tuple(found.values())


def _check_corpora(packings: Sequence[Packing], sources: Sequence[Source]) -> None:
    known = {source.name for source in sources}
    for packing in packings:
        for key, name in corpora_of(packing.recipe):
            if name not in known:
                raise RecipeError(
                    f"{packing.path.name}.{key}: no stage has a corpus {name!r}: name it under [[corpora]]"
                )


def corpora_of(recipe: PackRecipe) -> Iterator[tuple[str, str]]:
    """(key, name) of the decoded corpora that a packing recipe names."""
    document = asdict(recipe)
    for table, key in (("calibration", "corpora"), ("calibration", "noise"), ("evaluation", "corpora")):
        yield from ((f"{table}.{key}", name) for name in document.get(table, {}).get(key, ()))
