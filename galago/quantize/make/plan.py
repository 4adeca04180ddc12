"""The steps of a make recipe, in an order that works."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from galago.models.training.toml_tables import read_toml
from galago.quantize.make.acceptance import Criterion
from galago.quantize.make.content import digest_of_values, files_of_source
from galago.quantize.make.inputs import (
    Inputs,
    Options,
    Packing,
    Stage,
    corpora_of,
    files_of_packing,
    read_inputs,
)
from galago.quantize.make.recipe import MakeRecipe
from galago.quantize.make.steps import Layout, Step
from galago.quantize.make.trainings import RUNS, Source
from galago.quantize.recipe import PACK_SCHEMA_VERSION

__all__ = ["Plan", "plan"]

#: Raised when the same inputs give other outputs than before.
_VERSIONS = {"import": 1, "train": 1, "quantize": 1, "measure": 1, "pack": 1}
_CODE = Path(__file__).resolve().parents[1]  # galago/quantize


@dataclass(frozen=True)
class Plan:
    """What is to be made, of what, where, and by which steps."""

    recipe: MakeRecipe
    layout: Layout
    inputs: Inputs
    steps: tuple[Step, ...]


def plan(path: Path, recipe: MakeRecipe, layout: Layout, options: Options) -> Plan:
    """Read what the make recipe at ``path`` names, and lay out its steps.

    Raises:
        RecipeError, CorpusError, OSError: as :func:`~galago.quantize.make.inputs.read_inputs` says.
    """
    inputs = read_inputs(path, recipe, options)
    return Plan(recipe, layout, inputs, tuple(_Maker(recipe, layout, options, inputs).steps()))


@dataclass(frozen=True)
class _Maker:
    recipe: MakeRecipe
    layout: Layout
    options: Options
    inputs: Inputs

    def steps(self) -> Iterator[Step]:
        """What a stage reaches is known, and refused, before anything goes on from it."""
        for source in self.inputs.sources:
            yield self._import(source)
        for stage in self.inputs.stages:
            yield self._train(stage)
            if stage.training is not None:
                yield self._measure_stage(stage)
        for packing in self.inputs.packings:
            yield self._quantize(packing)
            yield self._measure_role(packing)
        yield self._pack()

    def _values(self, kind: str, **values: Any) -> dict[str, Any]:
        versions: dict[str, Any] = {"version": _VERSIONS[kind]}
        if kind not in ("import", "train"):
            versions["code"] = _code_sha256()
        return {**versions, **values}

    def _work(self, do: str, **values: Any) -> tuple[str, ...]:
        return ("galago.quantize.make.work", json.dumps({"do": do, **values}))

    def _import(self, source: Source) -> Step:
        stem = f"{self.layout.corpora.name}/{source.name}"

        def begin(key: str) -> None:
            # A copy that was made from something else would be refused, and its alignments be wrong. One that
            # is adopted is held against its source by whoever opens it.
            others = tuple(f"{s.name}." for s in self.inputs.sources if s.name.startswith(f"{source.name}."))
            for file in () if self.options.adopt else self.layout.corpora.glob("*"):
                if file.name.startswith(f"{source.name}.") and not file.name.startswith(others):
                    file.unlink()

        return Step(
            name=f"import {source.name}",
            subject=source.name,
            values=self._values("import", speech=source.speech),
            sources=(source.path,),
            outputs=(f"{stem}.jsonl", f"{stem}.pcm"),
            command=self._work(
                "import",
                path=str(source.path.resolve()),
                cache=self.layout.corpora.name,
                name=source.name,
                speech=source.speech,
            ),
            begin=begin,
            kind="import",
            amount=float(sum(file.stat().st_size for file in files_of_source(source.path))),
        )

    def _corpora(self, names: Sequence[str]) -> tuple[Path, ...]:
        return tuple(
            self.layout.corpora / f"{name}{suffix}" for name in names for suffix in (".jsonl", ".pcm")
        )

    def _models(self, run: str) -> tuple[Path, ...]:
        (stage,) = (stage for stage in self.inputs.stages if stage.name == run)
        return tuple(self.layout.run(run) / name for name in stage.models)

    def _train(self, stage: Stage) -> Step:
        outputs = tuple(f"{RUNS}/{stage.name}/{name}" for name in stage.models)
        if stage.training is None:
            assert stage.weights is not None
            return Step(
                name=f"take {stage.name}",
                subject=stage.name,
                values=self._values("train"),
                files=(stage.weights,),
                outputs=outputs,
                command=self._work("take", path=str(stage.weights.resolve()), output=outputs[0]),
                kind="take",
            )
        training, options = stage.training, self.options
        names = [source.name for source in training.sources]
        decoded = {source.path for source in training.sources}
        data = dict.fromkeys(path for _, path in training.data if path not in decoded)
        runs = dict.fromkeys(run for _, run in training.runs)
        threads = () if options.threads is None else ("--threads", str(options.threads))
        return Step(
            name=f"train {stage.name}",
            subject=stage.name,
            # Threads and workers are left out: another number of threads rounds otherwise, and no better.
            values=self._values("train", recipe=training.document, device=options.device.partition(":")[0]),
            sources=tuple(data),
            files=(
                *self._corpora(names),
                *(path for run in runs for path in self._models(run)),
            ),
            outputs=outputs,
            command=(
                "galago.models.training.command",
                str(training.path.resolve()),
                *("--run-folder", f"{RUNS}/{stage.name}"),
                *("--data-root", str(options.data_root.resolve())),
                *("--cache", self.layout.corpora.name),
                *("--device", options.device),
                *("--num-workers", str(options.num_workers)),
                *threads,
            ),
            begin=lambda key: _claim(self.layout.run(stage.name), key, adopt=options.adopt),
            kind=f"train {training.role}",
            amount=training.num_steps,
        )

    def _measure_stage(self, stage: Stage) -> Step:
        packing = next((p for p in self.inputs.packings if p.role == stage.role), None)
        packing = packing if stage.is_measured else None
        job: dict[str, Any] = {"role": stage.role, "run": f"{RUNS}/{stage.name}"}
        if packing is not None and stage.name == packing.entry.second_pass:
            job["second_pass"] = True
        return self._measure(stage.name, job, packing, self._models(stage.name), stage.criteria)

    def _measure_role(self, packing: Packing) -> Step:
        root = self.layout.root
        job: dict[str, Any] = {
            "role": packing.role,
            "run": f"{RUNS}/{packing.entry.run}",
            "bundle": str(self.layout.role(packing.role).relative_to(root)),
            "work": str(self.layout.work(packing.role).relative_to(root)),
        }
        files = [self.layout.role(packing.role), self.layout.work(packing.role) / "report.json"]
        before = self.layout.measured(packing.entry.run)
        if any(s.name == packing.entry.run and s.training is not None for s in self.inputs.stages):
            job["float"] = str(before.relative_to(root))
            files.append(before)
        return self._measure(packing.role, job, packing, files, packing.criteria)

    def _measure(
        self,
        name: str,
        job: dict[str, Any],
        packing: Packing | None,
        files: Sequence[Path],
        criteria: tuple[Criterion, ...],
    ) -> Step:
        output = self.layout.measured(name).relative_to(self.layout.root)
        evaluation: Any = getattr(packing.recipe, "evaluation", None) if packing else None
        corpora = getattr(evaluation, "corpora", ())
        values = {"evaluation": asdict(evaluation) if evaluation else None, "times": self.options.step_times}
        return Step(
            name=f"measure {name}",
            subject=name,
            values=self._values("measure", **values),
            files=(*files, *self._corpora(corpora)),
            outputs=(str(output),),
            command=self._work(
                "measure",
                **job,
                output=str(output),
                recipe=str(packing.path.resolve()) if packing else None,
                corpora=self.layout.corpora.name,
                albums=str(self.options.data_root.resolve()),
                step_times=self.options.step_times,
            ),
            kind=f"measure {job['role']}",
            amount=1.0,
            criteria=criteria,
        )

    def _quantize(self, packing: Packing) -> Step:
        layout, entry, root = self.layout, packing.entry, self.layout.root
        bundle, work = layout.role(packing.role), layout.work(packing.role)
        others = {"--g2p": entry.g2p, "--second-pass": entry.second_pass}
        named_runs = {option: run for option, run in others.items() if run is not None}
        (stage,) = (stage for stage in self.inputs.stages if stage.name == entry.run)
        albums = stage.training if stage.role == "eye" else None
        named = [packing.path.parent / name for _, name in files_of_packing(packing.recipe)]
        return Step(
            name=f"quantize {packing.role}",
            subject=packing.role,
            values=self._values(
                "quantize",
                recipe=read_toml(packing.path, PACK_SCHEMA_VERSION),
                measure_time=self.recipe.measure_time,
            ),
            files=(
                *self._models(entry.run),
                *(path for run in named_runs.values() for path in self._models(run)),
                *named,
                *self._corpora([name for _, name in dict.fromkeys(corpora_of(packing.recipe))]),
            ),
            sources=tuple(path for _, path in albums.data) if albums is not None else (),
            outputs=(str(bundle.relative_to(root)), str((work / "report.json").relative_to(root))),
            command=(
                "galago.quantize.command",
                f"{RUNS}/{entry.run}",
                *("-o", str(bundle.relative_to(root)), "--work", str(work.relative_to(root))),
                *("--recipe", str(packing.path.resolve())),
                *("--corpora", layout.corpora.name, "--albums", str(self.options.data_root.resolve())),
                *(part for option, run in named_runs.items() for part in (option, f"{RUNS}/{run}")),
                *(() if self.recipe.measure_time else ("--no-timing",)),
            ),
            begin=lambda key: bundle.parent.mkdir(exist_ok=True),
            kind=f"quantize {packing.role}",
            amount=1.0,
        )

    def _pack(self) -> Step:
        recipe, root = self.recipe, self.layout.root
        roles = [self.layout.role(packing.role) for packing in self.inputs.packings]
        header = {"name": recipe.bundle_name, "version": recipe.version, "description": recipe.description}
        header = {key: value for key, value in header.items() if value is not None}
        return Step(
            name="pack",
            subject="bundle",
            values=self._values("pack", header=header),
            files=tuple(roles),
            outputs=(self.layout.packed.name,),
            command=self._work(
                "pack",
                bundles=[str(path.relative_to(root)) for path in roles],
                output=self.layout.packed.name,
                header=header,
            ),
            kind="pack",
        )


@functools.cache
def _code_sha256() -> str:
    """Of the programs that quantize, measure and pack, which is done again when they change.

    Training is not: nobody wants to lose a week for a renamed variable.
    """
    paths = sorted(path for path in _CODE.rglob("*") if path.suffix in (".py", ".md"))
    return digest_of_values(
        {str(path.relative_to(_CODE)): path.read_text(encoding="utf-8") for path in paths}
    )


def _claim(folder: Path, key: str, *, adopt: bool) -> None:
    """Make a run's folder that of this key: what was trained of something else is put aside, not resumed."""
    mark = folder / "make.json"
    if folder.is_dir() and not (adopt and not mark.is_file()):
        try:
            made_of = json.loads(mark.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            made_of = None
        if made_of != {"key": key}:
            number = 1
            while (aside := folder.with_name(f"{folder.name}.old-{number}")).exists():
                number += 1
            folder.rename(aside)
    folder.mkdir(parents=True, exist_ok=True)
    part = mark.with_suffix(".part")
    part.write_text(json.dumps({"key": key}) + "\n", encoding="utf-8")
    part.replace(mark)
