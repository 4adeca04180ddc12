"""One of an ear's networks on its way into a bundle: exported, calibrated, quantized, written, measured.

An ear has one network, or two where its second pass has a larger one of its own; both go this way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openvino as ov

from galago.models.ear import Ear
from galago.models.moonshine_ear import MoonshineEar
from galago.models.training.ear.corpus import Corpus
from galago.quantize.accuracy_control import Controlled, divergence
from galago.quantize.calibration import CalibrationSet
from galago.quantize.compile_openvino import Precision, convert_onnx, make_stateful
from galago.quantize.dtype_choice import DtypeChoice, StepTimes, choose_dtype
from galago.quantize.ear.calibrate import Stream, recipe_streams, record
from galago.quantize.ear.decoder_file import write_decoder
from galago.quantize.ear.entries import Names, network_entry, target_entry
from galago.quantize.ear.export import GraphShape, export_onnx
from galago.quantize.ear.measure import HEADS, measure_target, phone_log_priors
from galago.quantize.ear.oracle import Oracle
from galago.quantize.ear.recipe import PassRecipe
from galago.quantize.integer_graph import quantize_graph
from galago.quantize.learned import checkpoint_scales
from galago.quantize.packer import Job
from galago.quantize.provenance import provenance
from galago.quantize.role_quantization import quantization_report, quantize_role
from galago.quantize.shared_weights import save_graphs
from galago.quantize.timing import both_step_ms

__all__ = ["Network", "PackedNetwork", "pack_network"]


@dataclass(frozen=True)
class Network:
    """What is packed, and how."""

    model: Ear
    checkpoint: Path
    recipe: PassRecipe
    precision: Precision  # of everything that is not int8


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


@dataclass(frozen=True)
class PackedNetwork:
    """A network whose graphs are in the bundle.

    Attributes:
        streaming: the float graph with the chunks of the first of the packed ones.
        oracles: over the very files of the bundle, by chunk_tokens.
        entry: of the manifest; see :func:`galago.quantize.ear.entries.network_entry`.
        report: checkpoint, calibration, quantization, and a row a target.
    """

    network: Network
    names: Names
    streaming: Oracle = field(repr=False)
    oracles: dict[int, Oracle] = field(repr=False)
    entry: dict[str, Any]
    report: dict[str, Any]
    size_bytes: int  # of graphs and weights

    @property
    def targets(self) -> dict[str, Oracle]:
        return {self.names.target(n): oracle for n, oracle in self.oracles.items()}


def pack_network(
    network: Network, opened: Mapping[str, Corpus], job: Job, folder: Path, *, board: str
) -> PackedNetwork:
    """Write graphs and weights below ``folder``, and measure what was written.

    Args:
        opened: the corpora that the recipe names.
        board: this machine, as measured times name it.

    Raises:
        CorpusError, ExportError, CalibrationError, QuantizationError: as their messages say.
    """
    graphs = _quantize(network, opened, job)
    streaming = Oracle(next(iter(graphs.floats.values())), model=network.model)
    priors = phone_log_priors(streaming, graphs.speech)
    names = Names(graphs.choice.dtype, network.recipe.mark)
    paths = {n: folder / names.graph(n) for n in network.recipe.chunk_tokens}
    weights = folder / names.weights
    save_graphs({paths[n]: make_stateful(graphs.packed[n]) for n in paths}, weights, "ear")
    oracles = {
        n: Oracle(path, network.precision, weights=weights, model=network.model) for n, path in paths.items()
    }
    decoder = None
    if isinstance(network.model, MoonshineEar) and network.model.decoder is not None:
        decoder = folder / names.decoder
        write_decoder(decoder, network.model.decoder, network.model.pieces)
    rows = _measured(network, graphs, oracles)
    targets = []
    for n, row in rows.items():
        timed = {"step_ms_p50": row["step_ms_p50"], "board": board} if "step_ms_p50" in row else {}
        targets.append(target_entry(graphs.shapes[n], names, network.precision, timed))
    return PackedNetwork(
        network=network,
        names=names,
        streaming=streaming,
        oracles=oracles,
        entry=network_entry(network.model, priors, targets, None if decoder is None else names.decoder),
        report={
            "checkpoint": provenance(network.checkpoint),
            "calibration": graphs.calibration.describe(len(graphs.held_out)),
            "quantization": quantization_report(
                graphs.controlled, network.recipe.quantization, graphs.choice
            ),
            "targets": {names.target(n): row for n, row in rows.items()},
        },
        size_bytes=sum(
            path.stat().st_size for path in (*paths.values(), weights, *([decoder] if decoder else []))
        ),
    )


def _quantize(network: Network, opened: Mapping[str, Corpus], job: Job) -> _Graphs:
    """Export every chunk size, calibrate and quantize the first, lay its quantization over the others."""
    model, recipe = network.model, network.recipe
    floats: dict[int, ov.Model] = {}
    shapes: dict[int, GraphShape] = {}
    work, say = job.work, job.say
    for n in recipe.chunk_tokens:
        say(f"export: {model.family}, chunks of {n} tokens")
        path = work / f"{recipe.mark}float-chunk{n}.onnx"
        shapes[n] = export_onnx(model, n, path)
        floats[n] = convert_onnx(path)
    first = recipe.chunk_tokens[0]

    say("calibrate: recording streams with their caches")
    settings = recipe.calibration
    speech, noise = recipe_streams(settings, opened)
    recorded = record(
        floats[first],
        [*speech, *noise],
        num_samples=settings.num_samples + settings.num_held_out,
        seed=settings.seed,
        name=recipe.set_name,
        lookahead_tokens=model.config.lookahead_tokens,
        front_end=model.front_end,
    )
    recorded.check(settings.sha256)
    recorded.save(work / f"{recipe.mark}calibration.npz")
    calibration, held_out = recorded.split(settings.num_held_out)

    say("quantize: int8, and what it costs")
    controlled = quantize_role(
        floats[first],
        calibration,
        held_out,
        recipe.quantization,
        recipe.accuracy,
        lambda graph: divergence(floats[first], graph, held_out.samples, HEADS).kl_nats,
        precision=network.precision,
        learned=checkpoint_scales(network.checkpoint),
        measure_time=job.measure_time,
        say=say,
    )
    quantized = {n: quantize_graph(floats[n], controlled.plan) for n in recipe.chunk_tokens}
    times = {}
    for n in recipe.chunk_tokens if job.measure_time else ():
        pair = [Oracle(graphs[n], network.precision, model=model).request for graphs in (floats, quantized)]
        times[n] = StepTimes(*both_step_ms(*pair))
    choice = choose_dtype(controlled, recipe.accuracy, times, what="diverges by {:.5f} nats from float")
    say(f"  {choice.sentence()}")
    return _Graphs(shapes, floats, quantized, controlled, choice, calibration, held_out, speech, noise)


def _measured(network: Network, graphs: _Graphs, oracles: Mapping[int, Oracle]) -> dict[int, dict[str, Any]]:
    """The report's row of each chunk size."""
    recipe, config = network.recipe, network.model.config
    first, *others = recipe.chunk_tokens
    held_out = {first: graphs.held_out.samples}
    for n in others:
        held_out[n] = record(
            graphs.floats[n],
            [*graphs.speech, *graphs.noise],
            num_samples=recipe.calibration.num_held_out,
            seed=recipe.calibration.seed + 1,
            name=recipe.set_name,
            lookahead_tokens=config.lookahead_tokens,
            front_end=network.model.front_end,
        ).samples
    return {
        n: measure_target(graphs.floats[n], graphs.packed[n], oracles[n], held_out[n], graphs.choice.row(n))
        for n in recipe.chunk_tokens
    }
