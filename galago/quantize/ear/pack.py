"""Packing an ear: its network, and that of its second pass; golden vectors, report and card of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from galago.boards.profile import this_machine
from galago.models.training.ear.corpus import Corpus
from galago.models.training.toml_tables import RecipeError
from galago.quantize.compile_openvino import Precision
from galago.quantize.ear.entries import LEXICON, role_entry
from galago.quantize.ear.golden import golden_samples, write_golden
from galago.quantize.ear.measure import word_error_rates
from galago.quantize.ear.model_card import model_card
from galago.quantize.ear.network import check_chunks, check_second_pass, load_ear
from galago.quantize.ear.packed_network import Network, PackedNetwork, pack_network
from galago.quantize.ear.recipe import EarPackRecipe
from galago.quantize.ear.report import SECOND_PASS_LABEL, report_tables
from galago.quantize.packer import Job, PackedRole
from galago.quantize.report import write_report
from galago.quantize.role_quantization import provenance_entry

__all__ = ["EarPacker", "open_corpora", "precision_of"]


class EarPacker:
    """Packs a trained ear, see :class:`galago.quantize.packer.Packer`.

    Raises:
        FileNotFoundError: a recording that the recipe names is missing, or the checkpoint of the second pass.
        RecipeError: the recipe needs corpora, or a network for its second pass, and none are given; a network
            that it does not ask for; chunks that a network does not have.
        CheckpointError: the network of the second pass does not fit that of the first.
        CorpusError, CheckpointError: as their messages say.
    """

    def __init__(self, recipe: EarPackRecipe, job: Job) -> None:
        self.recipe, self._job = recipe, job
        self._recordings = [job.recipe_folder / name for name in recipe.golden.audio]
        for path in self._recordings:
            if not path.is_file():
                raise FileNotFoundError(f"{path}: named in the recipe, but not there")
        self._corpora = open_corpora(job.corpora, recipe)
        self._networks = _networks(recipe, job)

    def pack(self, folder: Path) -> PackedRole:
        """Write graphs, weights and golden vectors below ``folder``, and the report where the job says.

        Raises:
            CorpusError, ExportError, CalibrationError, QuantizationError: as their messages say.
        """
        recipe, job = self.recipe, self._job
        board = this_machine().name
        networks = [pack_network(each, self._corpora, job, folder, board=board) for each in self._networks]
        first, *others = networks
        second = others[0] if others else None
        report: dict[str, Any] = {
            "name": recipe.name,
            "version": recipe.version,
            "board": board,
            **first.report,
            **({} if second is None else {"second_pass": second.report}),
        }
        if recipe.evaluation.corpora:
            report["word_error_rate"] = self._word_error_rates(networks)
        job.say("golden vectors, model card")
        samples = golden_samples(self._recordings)
        golden = [
            entry
            for packed in networks
            for entry in write_golden(
                folder,
                samples,
                packed.targets,
                mark=packed.network.recipe.mark,
                tolerance=recipe.golden.tolerance,
            )
        ]
        write_report(job.work, report, report_tables(report))
        return PackedRole(
            entry=self._entry(first, second),
            golden=tuple(golden),
            card=model_card(recipe, report, first, second),
            report=report,
        )

    def _word_error_rates(self, networks: list[PackedNetwork]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for packed in networks:
            found |= word_error_rates(
                packed.network.model,
                packed.streaming,
                list(packed.oracles.values()),
                self._corpora,
                self.recipe.evaluation,
                self._job.say,
                label=SECOND_PASS_LABEL if packed.network.recipe.mark else "",
            )
        return found

    def _entry(self, first: PackedNetwork, second: PackedNetwork | None) -> dict[str, Any]:
        lexicon = any(Path(name).name == LEXICON for name in self.recipe.files)
        made = provenance_entry(first.report)
        if second is not None:
            made["second_pass"] = provenance_entry(second.report)
        entry = role_entry(
            self.recipe,
            first.network.model,
            first.entry,
            None if second is None else second.entry,
            lexicon=lexicon,
        )
        return {**entry, "quantization": made}


def _networks(recipe: EarPackRecipe, job: Job) -> list[Network]:
    """The ear's network, and behind it that of its second pass where it has one."""
    precision = precision_of(recipe)
    first = load_ear(job.checkpoint)
    check_chunks(first, recipe.chunk_tokens, job.checkpoint)
    networks = [Network(first, job.checkpoint, recipe.first_pass_recipe, precision)]
    settings = recipe.second_pass_recipe
    if settings is None:
        if job.second_pass is not None:
            raise RecipeError(f"{job.second_pass}: a second pass, and the recipe has no [second_pass]")
        return networks
    if job.second_pass is None:
        raise RecipeError("the recipe has a [second_pass]: name the run of its network (--second-pass)")
    checkpoint = job.second_pass / "model.pt" if job.second_pass.is_dir() else job.second_pass
    if not checkpoint.is_file():
        raise FileNotFoundError(f"{checkpoint}: no checkpoint for the second pass")
    second = load_ear(checkpoint)
    check_second_pass(first, second, job.checkpoint, checkpoint)
    check_chunks(second, settings.chunk_tokens, checkpoint)
    return [*networks, Network(second, checkpoint, settings, precision)]


def precision_of(recipe: EarPackRecipe) -> Precision:
    """Of everything that is not int8."""
    return "bf16" if recipe.inference_precision == "bf16" else "f32"


def open_corpora(folder: Path | None, recipe: EarPackRecipe) -> dict[str, Corpus]:
    """Those that a recipe names, by name.

    Raises:
        RecipeError: it names some, and there is no folder of them.
        CorpusError: one is missing or damaged.
    """
    settings = recipe.calibration
    names = dict.fromkeys((*settings.corpora, *settings.noise, *recipe.evaluation.corpora))
    if names and folder is None:
        raise RecipeError(f"the recipe needs corpora ({', '.join(names)}): name their folder (--corpora)")
    return {name: Corpus(folder, name) for name in names if folder is not None}
