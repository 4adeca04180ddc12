"""Packing: from a training run to a bundle, with everything measured on the way."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch

from galago.boards.profile import this_machine
from galago.models.conformer import SUBSAMPLING_FACTOR, Conformer
from galago.models.features import LogMelConfig
from galago.models.tokenizer import PHONES, TOKENS
from galago.models.training.corpus import SAMPLE_RATE_HZ, Corpus
from galago.models.training.trainer import load_model
from galago.quantize.accuracy_control import control_accuracy, divergence
from galago.quantize.calibrate import CalibrationSet, Stream, draw_streams, record
from galago.quantize.compile_openvino import Precision, convert_onnx, make_stateful
from galago.quantize.evaluate import Utterance, dev_utterances, whole_text, word_error_rate
from galago.quantize.export import GraphShape, export_onnx
from galago.quantize.golden import golden_samples, write_golden
from galago.quantize.model_card import model_card
from galago.quantize.oracle import Oracle
from galago.quantize.quantize import transfer
from galago.quantize.recipe import PackRecipe, RecipeError
from galago.quantize.report import write_report
from galago.quantize.shared_weights import save_graphs
from galago.runtime.bundle import check_files, read_manifest, write_manifest

__all__ = ["pack"]

_WEIGHTS = "ear/int8.bin"
_LEXICON = "lexicon.gz"
_NUM_TIMED_STEPS = 300


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
        FileNotFoundError: no checkpoint, or a recording of the recipe is missing.
        RecipeError: the recipe needs corpora and none are given, or a corpus is missing.
        ExportError, CalibrationError, QuantizationError: as their messages say.
    """
    checkpoint = run / "model.pt" if run.is_dir() else run
    if not checkpoint.is_file():
        raise FileNotFoundError(f"{checkpoint}: no checkpoint; train one, or name a run's folder")
    work = work or checkpoint.parent / "pack"
    shipped = [recipe_folder / name for name in recipe.files]
    for path in [*shipped, *(recipe_folder / name for name in recipe.golden.audio)]:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: named in the recipe, but not there")
    precision: Precision = "bf16" if recipe.inference_precision == "bf16" else "f32"
    model = load_model(checkpoint)
    opened = {
        name: _corpus(corpora, name) for name in (*recipe.calibration.corpora, *recipe.evaluation.corpora)
    }

    floats: dict[int, ov.Model] = {}
    shapes: dict[int, GraphShape] = {}
    for chunk_tokens in recipe.chunk_tokens:
        say(f"export: chunks of {chunk_tokens} tokens")
        path = work / f"float-chunk{chunk_tokens}.onnx"
        shapes[chunk_tokens] = export_onnx(model, chunk_tokens, path)
        floats[chunk_tokens] = convert_onnx(path)
    first = recipe.chunk_tokens[0]

    say("calibrate: recording streams with their caches")
    streams = _calibration_streams(recipe, opened)
    settings = recipe.calibration
    lookahead = model.config.lookahead_tokens
    calibration = record(
        floats[first],
        streams,
        num_samples=settings.num_samples + settings.num_held_out,
        seed=settings.seed,
        name=f"{recipe.name}-{recipe.version}",
        lookahead_tokens=lookahead,
    )
    calibration.save(work / "calibration.npz")
    priors = phone_log_priors(Oracle(floats[first], lookahead_tokens=lookahead), streams)

    say("quantize: int8, and what it costs")
    used, held_out = calibration.split(settings.num_held_out)
    controlled = control_accuracy(floats[first], used, held_out, recipe.quantization, recipe.accuracy)
    for revert in controlled.reverts:
        names = ", ".join(revert.layers)
        say(f"  back to float ({revert.cost_before:.5f} -> {revert.cost_after:.5f}): {names}")
    graphs = {
        n: controlled.graph if n == first else transfer(controlled.graph, floats[first], floats[n])
        for n in recipe.chunk_tokens
    }

    partial = output.with_name(output.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "ear").mkdir(parents=True)
    paths = {n: partial / f"ear/int8-chunk{n}.xml" for n in recipe.chunk_tokens}
    save_graphs({paths[n]: make_stateful(graphs[n]) for n in recipe.chunk_tokens}, partial / _WEIGHTS)
    oracles = {
        n: Oracle(paths[n], precision, weights=partial / _WEIGHTS, lookahead_tokens=lookahead)
        for n in recipe.chunk_tokens
    }
    board = this_machine().name
    targets = {}
    for n in recipe.chunk_tokens:
        samples = held_out.samples if n == first else _held_out(floats[n], streams, recipe, lookahead).samples
        row: dict[str, Any] = {
            "chunk_ms": 40 * n,
            "divergence": asdict(divergence(floats[n], graphs[n], samples)),
        }
        if measure_time:
            row["step_ms_p50"] = round(_step_ms(oracles[n]), 3)
            row["float_step_ms_p50"] = round(_step_ms(Oracle(floats[n], "f32")), 3)
        targets[_target_name(n)] = row
    report: dict[str, Any] = {
        "name": recipe.name,
        "version": recipe.version,
        "board": board,
        "checkpoint": {"sha256": _sha256(checkpoint), "step": _step_of(checkpoint)},
        "training_recipe": _training_recipe(checkpoint),
        "calibration": {
            "name": calibration.name,
            "sha256": calibration.sha256,
            "num_samples": len(used),
            "num_held_out": len(held_out),
        },
        "quantization": {**controlled.as_dict(), "config": recipe.quantization.as_dict()},
        "targets": targets,
    }
    if recipe.evaluation.corpora:
        report["word_error_rate"] = _word_error_rates(model, floats[first], oracles, recipe, opened, say)

    say("golden vectors, model card, manifest")
    recordings = [recipe_folder / name for name in recipe.golden.audio]
    golden = write_golden(
        partial,
        golden_samples(recordings),
        {_target_name(n): oracle for n, oracle in oracles.items()},
        tolerance=recipe.golden.tolerance,
    )
    for path in shipped:
        shutil.copyfile(path, partial / path.name)
    size_bytes = sum(path.stat().st_size for path in (partial / "ear").iterdir())
    card = model_card(recipe, model, report, size_bytes=size_bytes)
    (partial / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    entries = [
        _target(
            shapes[n],
            precision,
            {k: v for k, v in targets[_target_name(n)].items() if k == "step_ms_p50"},
            board,
        )
        for n in recipe.chunk_tokens
    ]
    write_manifest(
        partial,
        {
            "name": recipe.name,
            "version": recipe.version,
            "license": recipe.license,
            "languages": list(recipe.languages),
            "description": recipe.description,
            "roles": {
                "ear": _ear(recipe, priors, entries, _LEXICON if (partial / _LEXICON).is_file() else None)
            },
            "golden": golden,
        },
    )
    check_files(partial, read_manifest(partial))
    write_report(work, report)
    _replace(partial, output)
    say(f"{output}: {sum(p.stat().st_size for p in output.rglob('*') if p.is_file()) / 1e6:.1f} MB")
    return report


def phone_log_priors(oracle: Oracle, streams: Sequence[Stream]) -> list[float]:
    """Natural log of the mean posterior of each phone: what decoding divides by.

    The network's own mean is used, not the counts of an alignment: it is its own bias that is divided out.
    """
    total = np.sum(
        [np.exp(oracle.hear(s.samples).phone_log_probs.astype(np.float64)).sum(0) for s in streams], axis=0
    )
    mean = np.maximum(total / total.sum(), 1e-5)
    return [round(float(value), 4) for value in np.log(mean / mean.sum())]


def _corpus(folder: Path | None, name: str) -> Corpus:
    if folder is None:
        raise RecipeError(f"corpus {name!r}: the recipe needs a folder of imported corpora (--corpora)")
    return Corpus(folder, name)


def _calibration_streams(recipe: PackRecipe, opened: dict[str, Corpus]) -> list[Stream]:
    settings = recipe.calibration
    if settings.corpora:
        return list(
            draw_streams(
                [opened[name] for name in settings.corpora],
                splits=settings.splits,
                num_streams=settings.num_streams,
                stream_s=settings.stream_s,
                level_dbfs=settings.level_dbfs,
                seed=settings.seed,
            )
        )
    rng = np.random.default_rng(settings.seed)
    num_samples = int(settings.stream_s * SAMPLE_RATE_HZ)
    noise = (rng.normal(size=(settings.num_streams, num_samples)) * 0.05).astype(np.float32)
    return [Stream(samples, ("noise",)) for samples in noise]


def _held_out(
    graph: ov.Model, streams: Sequence[Stream], recipe: PackRecipe, lookahead: int
) -> CalibrationSet:
    """Steps of another chunk size, on which its quantized graph is compared with its float graph."""
    settings = recipe.calibration
    count = settings.num_held_out
    return record(
        graph,
        streams,
        num_samples=count,
        seed=settings.seed + 1,
        name=recipe.name,
        lookahead_tokens=lookahead,
    )


def _word_error_rates(
    model: Conformer,
    graph: ov.Model,
    oracles: dict[int, Oracle],
    recipe: PackRecipe,
    opened: dict[str, Corpus],
    say: Callable[[str], None],
) -> dict[str, Any]:
    settings = recipe.evaluation
    utterances: list[Utterance] = dev_utterances(
        [opened[name] for name in settings.corpora],
        splits=settings.splits,
        clips_per_corpus=settings.clips_per_corpus,
    )
    first = recipe.chunk_tokens[0]
    say(f"evaluate: {len(utterances)} clips")
    streaming = Oracle(graph, lookahead_tokens=model.config.lookahead_tokens)
    found = {
        "float, full context": whole_text(model, utterances),
        f"float, chunks of {40 * first} ms": word_error_rate(streaming, utterances),
        **{
            f"int8, chunks of {40 * n} ms": word_error_rate(oracle, utterances)
            for n, oracle in oracles.items()
        },
    }
    for name, row in found.items():
        say(f"  {name}: {row['all'].percent:.2f} %")
    return {name: {corpus: rate.as_dict() for corpus, rate in row.items()} for name, row in found.items()}


def _ear(
    recipe: PackRecipe, priors: Sequence[float], targets: Sequence[dict[str, Any]], lexicon: str | None
) -> dict[str, Any]:
    features = LogMelConfig()
    return {
        "type": "streaming_ctc",
        "features": {"type": "kaldi_log_mel", **asdict(features)},
        "subsampling_factor": SUBSAMPLING_FACTOR,
        "tokens": list(TOKENS),
        "phones": list(PHONES),
        "phone_log_priors": list(priors),
        **({"lexicon": lexicon} if lexicon is not None else {}),
        "targets": list(targets),
        "decoding": recipe.decoding,
        "voice_activity": recipe.voice_activity,
        "endpoint": recipe.endpoint,
        "grammar": recipe.grammar,
    }


def _target(shape: GraphShape, precision: Precision, times: dict[str, float], board: str) -> dict[str, Any]:
    return {
        "name": _target_name(shape.chunk_tokens),
        "engine": "openvino",
        "dtype": "int8",
        "model": f"ear/int8-chunk{shape.chunk_tokens}.xml",
        "weights": _WEIGHTS,
        "inference_precision": precision,
        "stateful": True,
        "chunk_tokens": shape.chunk_tokens,
        "chunk_frames": shape.chunk_frames,
        "left_context_tokens": shape.left_context_tokens,
        "lookahead_tokens": shape.lookahead_tokens,
        "inputs": {"features": "features", "keep": "keep"},
        "outputs": {"phone_log_probs": "phone_log_probs", "token_log_probs": "token_log_probs"},
        "states": [{"name": n, "shape": list(size), "dtype": "f32"} for n, size in shape.states.items()],
        "measured": {**times, "board": board} if times else {},
    }


def _target_name(chunk_tokens: int) -> str:
    return f"openvino-int8-chunk{chunk_tokens}"


def _step_ms(oracle: Oracle) -> float:
    """Median busy time of a step of the engine, in ms; what else runs on this machine does not count."""
    oracle.request.infer()
    times_ns = []
    for _ in range(_NUM_TIMED_STEPS):
        begin = time.process_time_ns()
        oracle.request.infer()
        times_ns.append(time.process_time_ns() - begin)
    return float(np.median(times_ns)) / 1e6


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _step_of(checkpoint: Path) -> int:
    stored = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return int(stored.get("step", 0))


def _training_recipe(checkpoint: Path) -> str | None:
    """Name of the recipe that the run beside the checkpoint belongs to, if it is there."""
    path = checkpoint.parent / "checkpoint.pt"
    if not path.is_file():
        return None
    stored = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    return str(json.loads(stored["identity"])["name"])


def _replace(partial: Path, output: Path) -> None:
    """Put a finished folder in the place of an old one, of which nothing is left."""
    old = output.with_name(output.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if output.exists():
        output.rename(old)
    partial.rename(output)
    shutil.rmtree(old, ignore_errors=True)
