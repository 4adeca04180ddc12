"""Packing an ear: every chunk size exported, the first one quantized, all of them measured and written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openvino as ov

from galago.boards.profile import this_machine
from galago.models.ear import Ear
from galago.models.training.ear.corpus import Corpus
from galago.models.training.toml_tables import RecipeError
from galago.quantize.accuracy_control import Controlled, divergence
from galago.quantize.calibration import CalibrationSet
from galago.quantize.compile_openvino import Precision, convert_onnx, make_stateful
from galago.quantize.dtype_choice import DtypeChoice, StepTimes, choose_dtype
from galago.quantize.ear.calibrate import Stream, recipe_streams, record
from galago.quantize.ear.entries import (
    LEXICON,
    graph_name,
    role_entry,
    target_entry,
    target_name,
    weights_name,
)
from galago.quantize.ear.export import GraphShape, export_onnx
from galago.quantize.ear.golden import golden_samples, write_golden
from galago.quantize.ear.measure import HEADS, measure_target, phone_log_priors, word_error_rates
from galago.quantize.ear.model_card import model_card
from galago.quantize.ear.network import load_ear
from galago.quantize.ear.oracle import Oracle
from galago.quantize.ear.recipe import EarPackRecipe
from galago.quantize.ear.report import report_tables
from galago.quantize.integer_graph import quantize_graph
from galago.quantize.learned import checkpoint_scales
from galago.quantize.packer import Job, PackedRole
from galago.quantize.provenance import provenance
from galago.quantize.report import write_report
from galago.quantize.role_quantization import provenance_entry, quantization_report, quantize_role
from galago.quantize.shared_weights import save_graphs
from galago.quantize.timing import both_step_ms

__all__ = ["EarPacker"]


@dataclass(frozen=True)
class _Graphs:
    """Everything that quantizing a network leaves, by chunk_tokens where there is one for each."""

    shapes: dict[int, GraphShape]
    floats: dict[int, ov.Model]  # explicit states, as all graphs here
    quantized: dict[int, ov.Model]
    controlled: Controlled
    choice: DtypeChoice
    calibration: CalibrationSet
    held_out: CalibrationSet
    speech: list[Stream]
    noise: list[Stream]

    @property
    def packed(self) -> dict[int, ov.Model]:
        """What goes into the bundle."""
        return self.quantized if self.choice.dtype == "int8" else self.floats


class EarPacker:
    """Packs a trained ear, see :class:`galago.quantize.packer.Packer`.

    Raises:
        FileNotFoundError: a recording that the recipe names is missing.
        RecipeError: the recipe needs corpora and none are given.
        CorpusError, CheckpointError: as their messages say.
    """

    def __init__(self, recipe: EarPackRecipe, job: Job) -> None:
        self.recipe, self._job = recipe, job
        self._recordings = [job.recipe_folder / name for name in recipe.golden.audio]
        for path in self._recordings:
            if not path.is_file():
                raise FileNotFoundError(f"{path}: named in the recipe, but not there")
        self._corpora = _open_corpora(job.corpora, recipe)
        self._model = load_ear(job.checkpoint)

    def pack(self, folder: Path) -> PackedRole:
        """Write graphs, weights and golden vectors below ``folder``, and the report where the job says.

        Raises:
            CorpusError, ExportError, CalibrationError, QuantizationError: as their messages say.
        """
        recipe, job, model = self.recipe, self._job, self._model
        graphs = _quantize(model, recipe, self._corpora, job)
        priors = phone_log_priors(Oracle(next(iter(graphs.floats.values())), model=model), graphs.speech)
        oracles = _write_graphs(folder, graphs, recipe, model)
        report = {
            "checkpoint": provenance(job.checkpoint),
            **_measure(model, graphs, oracles, recipe, self._corpora, job.say),
        }
        job.say("golden vectors, model card")
        named = {target_name(n, graphs.choice.dtype): oracle for n, oracle in oracles.items()}
        samples = golden_samples(self._recordings)
        golden = write_golden(folder, samples, named, tolerance=recipe.golden.tolerance)
        size_bytes = sum(path.stat().st_size for path in (folder / "ear").iterdir())
        write_report(job.work, report, report_tables(report))
        return PackedRole(
            entry=_entry(graphs, recipe, model, priors, report),
            golden=tuple(golden),
            card=model_card(recipe, model, report, size_bytes=size_bytes),
            report=report,
        )


def _open_corpora(folder: Path | None, recipe: EarPackRecipe) -> dict[str, Corpus]:
    settings = recipe.calibration
    names = dict.fromkeys((*settings.corpora, *settings.noise, *recipe.evaluation.corpora))
    if names and folder is None:
        raise RecipeError(f"the recipe needs corpora ({', '.join(names)}): name their folder (--corpora)")
    return {name: Corpus(folder, name) for name in names if folder is not None}


def _quantize(model: Ear, recipe: EarPackRecipe, opened: dict[str, Corpus], job: Job) -> _Graphs:
    """Export every chunk size, calibrate and quantize the first, lay its quantization over the others."""
    floats: dict[int, ov.Model] = {}
    shapes: dict[int, GraphShape] = {}
    work, say = job.work, job.say
    for n in recipe.chunk_tokens:
        say(f"export: chunks of {n} tokens")
        path = work / f"float-chunk{n}.onnx"
        shapes[n] = export_onnx(model, n, path)
        floats[n] = convert_onnx(path)
    first = recipe.chunk_tokens[0]

    say("calibrate: recording streams with their caches")
    settings = recipe.calibration
    speech, noise = recipe_streams(recipe.calibration, opened)
    recorded = record(
        floats[first],
        [*speech, *noise],
        num_samples=settings.num_samples + settings.num_held_out,
        seed=settings.seed,
        name=f"{recipe.name}-{recipe.version}",
        lookahead_tokens=model.config.lookahead_tokens,
        front_end=model.front_end,
    )
    recorded.check(settings.sha256)
    recorded.save(work / "calibration.npz")
    calibration, held_out = recorded.split(settings.num_held_out)

    say("quantize: int8, and what it costs")
    precision = _precision(recipe)
    controlled = quantize_role(
        floats[first],
        calibration,
        held_out,
        recipe.quantization,
        recipe.accuracy,
        lambda graph: divergence(floats[first], graph, held_out.samples, HEADS).kl_nats,
        precision=precision,
        learned=checkpoint_scales(job.checkpoint),
        measure_time=job.measure_time,
        say=say,
    )
    quantized = {n: quantize_graph(floats[n], controlled.plan) for n in recipe.chunk_tokens}
    times = {}
    for n in recipe.chunk_tokens if job.measure_time else ():
        pair = [Oracle(graphs[n], precision, model=model).request for graphs in (floats, quantized)]
        times[n] = StepTimes(*both_step_ms(*pair))
    choice = choose_dtype(controlled, recipe.accuracy, times, what="diverges by {:.5f} nats from float")
    say(f"  {choice.sentence()}")
    return _Graphs(shapes, floats, quantized, controlled, choice, calibration, held_out, speech, noise)


def _write_graphs(folder: Path, graphs: _Graphs, recipe: EarPackRecipe, model: Ear) -> dict[int, Oracle]:
    """Write the stateful graphs, and open what was written."""
    precision, dtype = _precision(recipe), graphs.choice.dtype
    paths = {n: folder / graph_name(n, dtype) for n in recipe.chunk_tokens}
    weights = folder / weights_name(dtype)
    save_graphs({paths[n]: make_stateful(graphs.packed[n]) for n in paths}, weights, "ear")
    return {n: Oracle(path, precision, weights=weights, model=model) for n, path in paths.items()}


def _precision(recipe: EarPackRecipe) -> Precision:
    return "bf16" if recipe.inference_precision == "bf16" else "f32"


def _measure(
    model: Ear,
    graphs: _Graphs,
    oracles: dict[int, Oracle],
    recipe: EarPackRecipe,
    opened: dict[str, Corpus],
    say: Callable[[str], None],
) -> dict[str, Any]:
    first, *others = recipe.chunk_tokens
    held_out = {first: graphs.held_out.samples}
    for n in others:
        held_out[n] = record(
            graphs.floats[n],
            [*graphs.speech, *graphs.noise],
            num_samples=recipe.calibration.num_held_out,
            seed=recipe.calibration.seed + 1,
            name=recipe.name,
            lookahead_tokens=model.config.lookahead_tokens,
            front_end=model.front_end,
        ).samples
    report: dict[str, Any] = {
        "name": recipe.name,
        "version": recipe.version,
        "board": this_machine().name,
        "calibration": graphs.calibration.describe(len(graphs.held_out)),
        "quantization": quantization_report(graphs.controlled, recipe.quantization, graphs.choice),
        "targets": {
            target_name(n, graphs.choice.dtype): measure_target(
                graphs.floats[n], graphs.packed[n], oracles[n], held_out[n], graphs.choice.row(n)
            )
            for n in recipe.chunk_tokens
        },
    }
    if recipe.evaluation.corpora:
        streaming = Oracle(graphs.floats[first], model=model)
        report["word_error_rate"] = word_error_rates(
            model, streaming, list(oracles.values()), opened, recipe.evaluation, say
        )
    return report


def _entry(
    graphs: _Graphs, recipe: EarPackRecipe, model: Ear, priors: Sequence[float], report: dict[str, Any]
) -> dict[str, Any]:
    targets = []
    for n in recipe.chunk_tokens:
        row = report["targets"][target_name(n, graphs.choice.dtype)]
        timed = {"step_ms_p50": row["step_ms_p50"], "board": report["board"]} if "step_ms_p50" in row else {}
        targets.append(target_entry(graphs.shapes[n], graphs.choice.dtype, _precision(recipe), timed))
    lexicon = any(Path(name).name == LEXICON for name in recipe.files)
    entry = role_entry(recipe, model, priors, targets, lexicon=lexicon)
    return {**entry, "quantization": provenance_entry(report)}
