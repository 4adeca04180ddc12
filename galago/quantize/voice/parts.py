"""The two kinds of graphs of a voice, each quantized, or kept in float where int8 does not pay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openvino as ov

from galago.models.fastspeech import FastSpeech
from galago.models.vocoder import Vocoder
from galago.models.voice_graphs import FrameSpeaker, SentenceReader
from galago.quantize.accuracy_control import Controlled
from galago.quantize.calibration import CalibrationSet
from galago.quantize.compile_openvino import Precision, convert_onnx
from galago.quantize.dtype_choice import DtypeChoice, StepTimes, choose_dtype
from galago.quantize.integer_graph import quantize_graph
from galago.quantize.quantize import QuantizationConfig
from galago.quantize.role_quantization import quantization_report, quantize_role
from galago.quantize.timing import both_step_ms
from galago.quantize.voice.calibrate import reader_set, speaker_set
from galago.quantize.voice.evaluate import ReaderCost, SpeakerCost
from galago.quantize.voice.export import SpeakerShape, export_reader, export_speaker
from galago.quantize.voice.oracle import Reader, Speaker
from galago.quantize.voice.recipe import VoicePackRecipe
from galago.quantize.voice.sentences import Sentence, chosen

__all__ = ["Part", "quantize_readers", "quantize_speaker"]

Say = Callable[[str], None]
_WHAT = "moves the sound by {:.3f} nats of log-mel"


@dataclass(frozen=True)
class Part:
    """Readers by their number of phones, or the speaker by its frames a chunk; explicit states."""

    name: str  # "reader" or "speaker"
    floats: dict[int, ov.Model] = field(repr=False)
    quantized: dict[int, ov.Model] = field(repr=False)
    controlled: Controlled
    calibration: CalibrationSet
    held_out: CalibrationSet
    config: QuantizationConfig
    choice: DtypeChoice  # with the times of a run in float and in int8

    @property
    def dtype(self) -> str:
        return self.choice.dtype

    @property
    def graphs(self) -> dict[int, ov.Model]:
        """What is packed."""
        return self.quantized if self.dtype == "int8" else self.floats

    def report(self) -> dict[str, Any]:
        """What quantizing it cost and gave."""
        return {
            **quantization_report(self.controlled, self.config, self.choice),
            "calibration": self.calibration.describe(len(self.held_out)),
        }

    def row(self, size: int) -> dict[str, Any]:
        """The report's row of the graph of ``size``."""
        return self.choice.row(size)


def quantize_readers(
    model: FastSpeech,
    recipe: VoicePackRecipe,
    sentences: Sequence[Sentence],
    work: Path,
    say: Say,
    *,
    measure_time: bool,
) -> Part:
    """Export a reader for each number of phones, quantize the first, lay its quantization over the others.

    Raises:
        CalibrationError: fewer sentences than the recipe wants.
        ExportError, QuantizationError: as their messages say.
    """
    floats: dict[int, ov.Model] = {}
    for size in recipe.num_phones:
        say(f"export: the reader of {size} phones")
        path = work / f"float-reader-{size}.onnx"
        export_reader(SentenceReader(model), size, path)
        floats[size] = convert_onnx(path)
    first, settings = recipe.num_phones[0], recipe.calibration
    total = settings.num_sentences + settings.num_held_out_sentences
    name = f"{recipe.name}-{recipe.version}-reader"
    recorded = reader_set(name, chosen(sentences, total, first, settings.seed), first, settings.seed)
    recorded.save(work / "calibration-reader.npz")
    calibration, held_out = recorded.split(settings.num_held_out_sentences)
    controlled = _control(
        "reader", floats[first], calibration, held_out, recipe.reader, recipe,
        ReaderCost(floats[first], model, held_out), say, measure_time=measure_time,
    )  # fmt: skip
    quantized = {size: quantize_graph(graph, controlled.plan) for size, graph in floats.items()}
    times = {}
    if measure_time:
        precision = _precision(recipe)
        for size in floats:
            pair = [Reader({size: graphs[size]}, precision).requests[size] for graphs in (floats, quantized)]
            times[size] = StepTimes(*both_step_ms(*pair))
    choice = choose_dtype(controlled, recipe.accuracy, times, what=_WHAT)
    return Part("reader", floats, quantized, controlled, calibration, held_out, recipe.reader, choice)


def quantize_speaker(
    model: FastSpeech,
    vocoder: Vocoder,
    recipe: VoicePackRecipe,
    reader: Reader,
    sentences: Sequence[Sentence],
    work: Path,
    say: Say,
    *,
    measure_time: bool,
) -> tuple[Part, SpeakerShape]:
    """Export the speaker and quantize it.

    Args:
        reader: of float graphs, whose rows it is calibrated on.

    Raises:
        CalibrationError: fewer sentences or chunks than the recipe wants.
        ExportError, QuantizationError: as their messages say.
    """
    size, settings = recipe.chunk_frames, recipe.calibration
    say(f"export: the speaker, {size} frames a chunk")
    path = work / "float-speaker.onnx"
    shape = export_speaker(FrameSpeaker(model, vocoder).eval(), size, path)
    graph = convert_onnx(path)
    say("calibrate: recording chunks with their states")
    recorded = speaker_set(
        f"{recipe.name}-{recipe.version}-speaker",
        graph,
        shape,
        reader,
        chosen(sentences, settings.num_sentences, max(recipe.num_phones), settings.seed),
        num_samples=settings.num_chunks + settings.num_held_out_chunks,
        seed=settings.seed,
    )
    recorded.save(work / "calibration-speaker.npz")
    calibration, held_out = recorded.split(settings.num_held_out_chunks)
    cost = SpeakerCost(graph, vocoder.config.features(), held_out)
    controlled = _control(
        "speaker", graph, calibration, held_out, recipe.speaker, recipe, cost, say,
        measure_time=measure_time,
    )  # fmt: skip
    times = {}
    if measure_time:
        precision = _precision(recipe)
        pair = [Speaker(each, shape, precision).request for each in (graph, controlled.graph)]
        times[size] = StepTimes(*both_step_ms(*pair))
    choice = choose_dtype(controlled, recipe.accuracy, times, what=_WHAT)
    part = Part(
        "speaker", {size: graph}, {size: controlled.graph}, controlled, calibration, held_out,
        recipe.speaker, choice,
    )  # fmt: skip
    return part, shape


def _precision(recipe: VoicePackRecipe) -> Precision:
    return "bf16" if recipe.inference_precision == "bf16" else "f32"


def _control(
    name: str,
    graph: ov.Model,
    calibration: CalibrationSet,
    held_out: CalibrationSet,
    config: QuantizationConfig,
    recipe: VoicePackRecipe,
    cost_of: Callable[[ov.Model], float],
    say: Say,
    *,
    measure_time: bool,
) -> Controlled:
    say(f"quantize: the {name} to int8, and what it costs")
    controlled = quantize_role(
        graph,
        calibration,
        held_out,
        config,
        recipe.accuracy,
        cost_of,
        precision=_precision(recipe),
        measure_time=measure_time,
        say=say,
    )
    say(f"  {controlled.cost:.4f} nats of log-mel from float")
    return controlled
