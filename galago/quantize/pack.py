"""Packing: from a training run to a bundle, with everything measured on the way."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from galago.boards.profile import this_machine
from galago.models.conformer import Conformer
from galago.models.training.ear.corpus import SAMPLE_RATE_HZ, Corpus
from galago.models.training.ear.trainer import load_model
from galago.models.training.toml_tables import RecipeError
from galago.quantize.accuracy_control import Controlled, control_accuracy
from galago.quantize.calibrate import CalibrationSet, Stream, draw_streams, record
from galago.quantize.compile_openvino import Precision, convert_onnx, make_stateful
from galago.quantize.entries import LEXICON, WEIGHTS, graph_name, role_entry, target_entry, target_name
from galago.quantize.export import GraphShape, export_onnx
from galago.quantize.golden import golden_samples, write_golden
from galago.quantize.measure import measure_target, phone_log_priors, word_error_rates
from galago.quantize.model_card import model_card
from galago.quantize.oracle import Oracle
from galago.quantize.provenance import provenance
from galago.quantize.quantize import transfer
from galago.quantize.recipe import PackRecipe
from galago.quantize.report import write_report
from galago.quantize.shared_weights import save_graphs
from galago.runtime.bundle import check_files, read_manifest, write_manifest

__all__ = ["pack"]


@dataclass(frozen=True)
class _Graphs:
    """Everything that quantizing a network leaves, by chunk_tokens where there is one for each."""

    shapes: dict[int, GraphShape]
    floats: dict[int, ov.Model]  # explicit states, as all graphs here
    quantized: dict[int, ov.Model]
    controlled: Controlled
    calibration: CalibrationSet
    held_out: CalibrationSet
    speech: list[Stream]
    noise: list[Stream]


def pack(
    run: Path,
    output: Path,
    recipe: PackRecipe,
    *,
    corpora: Path | None = None,
    recipe_folder: Path = Path(),
    work: Path | None = None,
    measure_time: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Export, quantize and pack a trained network; return the report.

    Args:
        run: a training run's folder, or its ``model.pt``.
        output: the bundle; what stood there is replaced at the very end, when the new one has been read back.
        corpora: folder of imported corpora (``NAME.pcm``, ``NAME.jsonl``) for calibration and evaluation.
        recipe_folder: what the recipe's paths are relative to.
        work: where graphs, calibration set and report are kept; by default ``pack`` inside the run.
        measure_time: without it the same input gives the same bytes, every one of them.
        say: told what is being done, a line at a time.

    Raises:
        FileNotFoundError: no checkpoint, or a file that the recipe names is missing.
        RecipeError: the recipe needs corpora and none are given.
        CorpusError, ExportError, CalibrationError, QuantizationError: as their messages say.
    """
    checkpoint = run / "model.pt" if run.is_dir() else run
    if not checkpoint.is_file():
        raise FileNotFoundError(f"{checkpoint}: no checkpoint; train one, or name a run's folder")
    work = work or checkpoint.parent / "pack"
    shipped = [recipe_folder / name for name in recipe.files]
    recordings = [recipe_folder / name for name in recipe.golden.audio]
    for path in [*shipped, *recordings]:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: named in the recipe, but not there")
    opened = _open_corpora(corpora, recipe)
    model = load_model(checkpoint)
    delay = model.config.lookahead_tokens

    graphs = _quantize(model, recipe, opened, work, say)
    priors = phone_log_priors(
        Oracle(next(iter(graphs.floats.values())), lookahead_tokens=delay), graphs.speech
    )

    partial = output.with_name(output.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    oracles = _write_graphs(partial, graphs, recipe, delay)
    report = {
        "checkpoint": provenance(checkpoint),
        **_measure(model, graphs, oracles, recipe, opened, measure_time, say),
    }

    say("golden vectors, model card, manifest")
    named = {target_name(n): oracle for n, oracle in oracles.items()}
    golden = write_golden(partial, golden_samples(recordings), named, tolerance=recipe.golden.tolerance)
    size_bytes = sum(path.stat().st_size for path in (partial / "ear").iterdir())
    card = model_card(recipe, model, report, size_bytes=size_bytes)
    (partial / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    for path in shipped:
        shutil.copyfile(path, partial / path.name)
    _write_manifest(partial, graphs, recipe, priors, report, golden)
    check_files(partial, read_manifest(partial))
    write_report(work, report)
    _replace(partial, output)
    say(f"{output}: {sum(p.stat().st_size for p in output.rglob('*') if p.is_file()) / 1e6:.1f} MB")
    return report


def _open_corpora(folder: Path | None, recipe: PackRecipe) -> dict[str, Corpus]:
    settings = recipe.calibration
    names = dict.fromkeys((*settings.corpora, *settings.noise, *recipe.evaluation.corpora))
    if names and folder is None:
        raise RecipeError(f"the recipe needs corpora ({', '.join(names)}): name their folder (--corpora)")
    return {name: Corpus(folder, name) for name in names if folder is not None}


def _quantize(
    model: Conformer, recipe: PackRecipe, opened: dict[str, Corpus], work: Path, say: Callable[[str], None]
) -> _Graphs:
    """Export every chunk size, calibrate and quantize the first, lay its quantization over the others."""
    floats: dict[int, ov.Model] = {}
    shapes: dict[int, GraphShape] = {}
    for n in recipe.chunk_tokens:
        say(f"export: chunks of {n} tokens")
        path = work / f"float-chunk{n}.onnx"
        shapes[n] = export_onnx(model, n, path)
        floats[n] = convert_onnx(path)
    first = recipe.chunk_tokens[0]

    say("calibrate: recording streams with their caches")
    settings = recipe.calibration
    speech, noise = _draw_streams(recipe, opened)
    recorded = record(
        floats[first],
        [*speech, *noise],
        num_samples=settings.num_samples + settings.num_held_out,
        seed=settings.seed,
        name=f"{recipe.name}-{recipe.version}",
        lookahead_tokens=model.config.lookahead_tokens,
    )
    recorded.save(work / "calibration.npz")
    calibration, held_out = recorded.split(settings.num_held_out)

    say("quantize: int8, and what it costs")
    controlled = control_accuracy(floats[first], calibration, held_out, recipe.quantization, recipe.accuracy)
    for revert in controlled.reverts:
        layers = ", ".join(revert.layers)
        say(f"  back to float ({revert.cost_before:.5f} -> {revert.cost_after:.5f}): {layers}")
    quantized = {
        n: controlled.graph if n == first else transfer(controlled.graph, floats[first], floats[n])
        for n in recipe.chunk_tokens
    }
    return _Graphs(shapes, floats, quantized, controlled, calibration, held_out, speech, noise)


def _draw_streams(recipe: PackRecipe, opened: dict[str, Corpus]) -> tuple[list[Stream], list[Stream]]:
    """Streams with speech, and streams of noise."""
    settings = recipe.calibration

    def draw(names: Sequence[str], splits: Sequence[str], num_streams: int) -> list[Stream]:
        return list(
            draw_streams(
                [opened[name] for name in names],
                splits=splits,
                num_streams=num_streams,
                stream_s=settings.stream_s,
                level_dbfs=settings.level_dbfs,
                seed=settings.seed,
            )
        )

    if settings.corpora:
        noise = (
            draw(settings.noise, settings.noise_splits, settings.num_noise_streams) if settings.noise else []
        )
        return draw(settings.corpora, settings.splits, settings.num_streams), noise
    rng = np.random.default_rng(settings.seed)
    num_samples = int(settings.stream_s * SAMPLE_RATE_HZ)
    white = (rng.normal(size=(settings.num_streams, num_samples)) * 0.05).astype(np.float32)
    return [Stream(samples, ("white noise",)) for samples in white], []


def _write_graphs(folder: Path, graphs: _Graphs, recipe: PackRecipe, delay: int) -> dict[int, Oracle]:
    """Write the stateful graphs, and open what was written."""
    precision = _precision(recipe)
    paths = {n: folder / graph_name(n) for n in recipe.chunk_tokens}
    save_graphs({paths[n]: make_stateful(graphs.quantized[n]) for n in paths}, folder / WEIGHTS)
    return {
        n: Oracle(path, precision, weights=folder / WEIGHTS, lookahead_tokens=delay)
        for n, path in paths.items()
    }


def _precision(recipe: PackRecipe) -> Precision:
    return "bf16" if recipe.inference_precision == "bf16" else "f32"


def _measure(
    model: Conformer,
    graphs: _Graphs,
    oracles: dict[int, Oracle],
    recipe: PackRecipe,
    opened: dict[str, Corpus],
    measure_time: bool,
    say: Callable[[str], None],
) -> dict[str, Any]:
    first, *others = recipe.chunk_tokens
    delay = model.config.lookahead_tokens
    held_out = {first: graphs.held_out.samples}
    for n in others:
        held_out[n] = record(
            graphs.floats[n],
            [*graphs.speech, *graphs.noise],
            num_samples=recipe.calibration.num_held_out,
            seed=recipe.calibration.seed + 1,
            name=recipe.name,
            lookahead_tokens=delay,
        ).samples
    report: dict[str, Any] = {
        "name": recipe.name,
        "version": recipe.version,
        "board": this_machine().name,
        "calibration": {
            "name": graphs.calibration.name,
            "sha256": graphs.calibration.sha256,
            "num_samples": len(graphs.calibration),
            "num_held_out": len(graphs.held_out),
        },
        "quantization": {**graphs.controlled.as_dict(), "config": recipe.quantization.as_dict()},
        "targets": {
            target_name(n): measure_target(
                graphs.floats[n], graphs.quantized[n], oracles[n], held_out[n], measure_time=measure_time
            )
            for n in recipe.chunk_tokens
        },
    }
    if recipe.evaluation.corpora:
        streaming = Oracle(graphs.floats[first], lookahead_tokens=delay)
        report["word_error_rate"] = word_error_rates(
            model, streaming, list(oracles.values()), opened, recipe.evaluation, say
        )
    return report


def _write_manifest(
    folder: Path,
    graphs: _Graphs,
    recipe: PackRecipe,
    priors: Sequence[float],
    report: dict[str, Any],
    golden: Sequence[dict[str, Any]],
) -> None:
    targets = []
    for n in recipe.chunk_tokens:
        row = report["targets"][target_name(n)]
        timed = {"step_ms_p50": row["step_ms_p50"], "board": report["board"]} if "step_ms_p50" in row else {}
        targets.append(target_entry(graphs.shapes[n], _precision(recipe), timed))
    ear = role_entry(recipe, priors, targets, lexicon=(folder / LEXICON).is_file())
    write_manifest(
        folder,
        {
            "name": recipe.name,
            "version": recipe.version,
            "license": recipe.license,
            "languages": list(recipe.languages),
            "description": recipe.description,
            "roles": {"ear": ear},
            "golden": list(golden),
        },
    )


def _replace(partial: Path, output: Path) -> None:
    """Put a finished folder in the place of an old one, of which nothing is left."""
    old = output.with_name(output.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if output.exists():
        output.rename(old)
    partial.rename(output)
    shutil.rmtree(old, ignore_errors=True)
