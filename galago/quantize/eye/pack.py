"""Packing an eye: export, int8 with its cost under control, accuracies, a golden picture."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import openvino as ov

from galago.boards.profile import this_machine
from galago.models.training.checkpoints import CheckpointError
from galago.models.training.eye.album import Photo
from galago.models.training.eye.trainer import load_eye
from galago.quantize.accuracy_control import Controlled, Divergence, divergence
from galago.quantize.calibration import CalibrationSet
from galago.quantize.compile_openvino import Precision, convert_onnx
from galago.quantize.dtype_choice import StepTimes, choose_dtype
from galago.quantize.eye.entries import graph_name, role_entry, target_name, weights_name
from galago.quantize.eye.evaluate import accuracies
from galago.quantize.eye.export import OUTPUT, export_onnx
from galago.quantize.eye.golden import write_golden
from galago.quantize.eye.model_card import model_card
from galago.quantize.eye.oracle import EyeOracle, Pixels
from galago.quantize.eye.photos import album_photos, calibration_set, read_images
from galago.quantize.eye.recipe import EyePackRecipe
from galago.quantize.eye.report import report_tables
from galago.quantize.learned import checkpoint_scales
from galago.quantize.packer import Job, PackedRole
from galago.quantize.provenance import provenance
from galago.quantize.report import write_report
from galago.quantize.role_quantization import provenance_entry, quantization_report, quantize_role
from galago.quantize.shared_weights import save_graphs
from galago.quantize.timing import both_step_ms

__all__ = ["EyePacker"]


class EyePacker:
    """Packs a trained eye, see :class:`galago.quantize.packer.Packer`.

    Raises:
        RecipeError: the recipe needs albums and none are given, or the checkpoint does not name any.
        CalibrationError: an image that the recipe names is missing or none.
        CorpusError, CheckpointError: as their messages say.
    """

    def __init__(self, recipe: EyePackRecipe, job: Job) -> None:
        self.recipe, self._job = recipe, job
        self._model, self._description = load_eye(job.checkpoint)
        names = [label.name for label in self._description.labels]
        twice = {name for name in names if names.count(name) > 1}
        if twice or len(names) < 2:
            problem = f"two labels are called {min(twice)!r}" if twice else "it has one label"
            raise CheckpointError(
                f"{job.checkpoint}: {problem}; a bundle needs two labels at least, each once"
            )
        self._provenance = provenance(job.checkpoint)
        self._images = self._calibration_images()
        self._held_out_photos = self._photos(recipe.evaluation.splits)

    def _photos(self, splits: tuple[str, ...]) -> list[Photo]:
        return album_photos(self._provenance["recipe"], self._job.albums, splits) if splits else []

    def _calibration_images(self) -> list[tuple[str, Pixels]]:
        settings = self.recipe.calibration
        if settings.images:
            paths = [self._job.recipe_folder / name for name in settings.images]
            return list(zip(settings.images, read_images(paths), strict=True))
        return [(f"{p.label.group}:{p.id}", p.pixels) for p in self._photos(settings.splits)]

    def pack(self, folder: Path) -> PackedRole:
        """Write graph, weights and golden picture below ``folder``, and the report where the job says.

        Raises:
            CorpusError, ExportError, CalibrationError, QuantizationError: as their messages say.
        """
        recipe, job, description = self.recipe, self._job, self._description
        graph, controlled, calibration, held_out = self._quantize()
        image, precision = description.image, self._precision
        times = {}
        if job.measure_time:
            pair = [EyeOracle(each, image, precision).request for each in (graph, controlled.graph)]
            times[1] = StepTimes(*both_step_ms(*pair))
        choice = choose_dtype(controlled, recipe.accuracy, times, what="diverges by {:.5f} nats from float")
        job.say(f"  {choice.sentence()}")
        dtype = choice.dtype
        chosen = controlled.graph if dtype == "int8" else graph
        save_graphs({folder / graph_name(dtype): chosen}, folder / weights_name(dtype), "eye")
        exact = EyeOracle(graph, image)
        packed = EyeOracle(folder / graph_name(dtype), image, precision)

        row = {"divergence": asdict(self._divergence(graph, chosen, held_out)), **choice.row(1)}
        report: dict[str, Any] = {
            "checkpoint": self._provenance,
            "name": recipe.name,
            "version": recipe.version,
            "board": this_machine().name,
            "calibration": calibration.describe(len(held_out)),
            "quantization": quantization_report(controlled, recipe.quantization, choice),
            "targets": {target_name(dtype): row},
        }
        if self._held_out_photos:
            report["accuracy"] = accuracies(
                {"float": exact, "packed": packed},
                self._held_out_photos,
                description,
                recipe.evaluation,
                job.say,
            )
        job.say("golden picture, model card")
        golden = write_golden(
            folder, target_name(dtype), packed, description, tolerance=recipe.golden.tolerance
        )
        size_bytes = sum(path.stat().st_size for path in (folder / "eye").iterdir())
        write_report(job.work, report, report_tables(report))
        timed = {"step_ms_p50": row["step_ms_p50"], "board": report["board"]} if job.measure_time else {}
        entry = role_entry(recipe, description, dtype, timed)
        return PackedRole(
            entry={**entry, "quantization": provenance_entry(report)},
            golden=(golden,),
            card=model_card(recipe, self._model, description, report, size_bytes=size_bytes),
            report=report,
        )

    @property
    def _precision(self) -> Precision:
        return "bf16" if self.recipe.inference_precision == "bf16" else "f32"

    def _quantize(self) -> tuple[ov.Model, Controlled, CalibrationSet, CalibrationSet]:
        """(float graph, what became of it, the samples of the ranges, samples that no range has seen)."""
        recipe, job = self.recipe, self._job
        job.say("export: the eye")
        path = job.work / "float-eye.onnx"
        export_onnx(self._model, path)
        graph = convert_onnx(path)
        name = f"{recipe.name}-{recipe.version}-eye"
        recorded = calibration_set(name, recipe.calibration, self._description.image, self._images)
        recorded.check(recipe.calibration.sha256)
        recorded.save(job.work / "calibration.npz")
        calibration, held_out = recorded.split(recipe.calibration.num_held_out)
        job.say("quantize: int8, and what it costs")
        controlled = quantize_role(
            graph,
            calibration,
            held_out,
            recipe.quantization,
            recipe.accuracy,
            lambda quantized: self._divergence(graph, quantized, held_out).kl_nats,
            precision=self._precision,
            learned=checkpoint_scales(job.checkpoint),
            measure_time=job.measure_time,
            say=job.say,
        )
        return graph, controlled, calibration, held_out

    def _divergence(self, graph: ov.Model, quantized: ov.Model, samples: CalibrationSet) -> Divergence:
        return divergence(
            graph, quantized, samples.samples, [OUTPUT], temperature=self._description.temperature
        )
