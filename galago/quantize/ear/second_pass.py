"""A new second pass for an ear that is packed: its first network stays as it is, byte by byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galago.boards.profile import this_machine
from galago.models.training.checkpoints import CheckpointError
from galago.models.training.toml_tables import RecipeError
from galago.quantize.ear.golden import golden_samples, write_golden
from galago.quantize.ear.measure import word_error_rates
from galago.quantize.ear.model_card import with_second_pass
from galago.quantize.ear.network import check_chunks, load_ear
from galago.quantize.ear.pack import open_corpora, precision_of
from galago.quantize.ear.packed_network import Network, pack_network
from galago.quantize.ear.recipe import EarPackRecipe
from galago.quantize.ear.report import SECOND_PASS_LABEL, report_tables
from galago.quantize.packer import Job
from galago.quantize.report import write_report
from galago.quantize.role_quantization import provenance_entry

__all__ = ["PackedSecondPass", "SecondPassPacker"]


@dataclass(frozen=True)
class PackedSecondPass:
    """What a bundle's ear becomes.

    Attributes:
        entry: of the manifest's "roles".
        golden: entries of the manifest's "golden", of the second pass alone.
        card: the ear's part.
        report: of the second pass, as :class:`galago.quantize.ear.pack.EarPacker` makes it.
    """

    entry: dict[str, Any]
    golden: tuple[dict[str, Any], ...]
    card: str
    report: dict[str, Any]


class SecondPassPacker:
    """Packs the network of a second pass beside a first one of which only the bundle is left.

    Args:
        recipe: of the ear.
        job: ``checkpoint`` is that of the second pass.
        token_samples, tokens, phones: of the bundle's ear.

    Raises:
        FileNotFoundError: a recording that the recipe names is missing.
        RecipeError: the recipe has no second pass, needs corpora and none are given, or its chunks are none
            of the network's.
        CheckpointError: the network does not fit the bundle's ear, or its file is damaged.
        CorpusError: a corpus is missing.
    """

    def __init__(
        self,
        recipe: EarPackRecipe,
        job: Job,
        *,
        token_samples: int,
        tokens: Sequence[str],
        phones: Sequence[str],
    ) -> None:
        settings = recipe.second_pass_recipe
        if settings is None:
            raise RecipeError(f"{job.checkpoint}: a second pass, and the recipe has no [second_pass]")
        self._recordings = [job.recipe_folder / name for name in recipe.golden.audio]
        for path in self._recordings:
            if not path.is_file():
                raise FileNotFoundError(f"{path}: named in the recipe, but not there")
        model = load_ear(job.checkpoint)
        check_chunks(model, settings.chunk_tokens, job.checkpoint)
        if model.front_end.token_samples != token_samples:
            raise CheckpointError(
                f"{job.checkpoint}: a token has {model.front_end.token_samples} samples, and "
                f"{token_samples} in the bundle: it cannot be its second pass"
            )
        if (model.tokens, model.phones) != (tuple(tokens), tuple(phones)):
            raise CheckpointError(
                f"{job.checkpoint}: has other tokens or phones than the bundle: it cannot be its second pass"
            )
        self.recipe, self._job = recipe, job
        self._corpora = open_corpora(job.corpora, recipe)
        self._network = Network(model, job.checkpoint, settings, precision_of(recipe))

    def pack(self, folder: Path, entry: Mapping[str, Any], card: str) -> PackedSecondPass:
        """Write graphs, weights and golden vectors below ``folder``, and the report where the job says.

        Args:
            folder: the bundle in the making, without its old second pass.
            entry: of the manifest's "roles", and ``card`` its part, as they were.

        Raises:
            CorpusError, ExportError, CalibrationError, QuantizationError: as their messages say.
        """
        recipe, job, board = self.recipe, self._job, this_machine().name
        packed = pack_network(self._network, self._corpora, job, folder, board=board)
        report: dict[str, Any] = {
            "name": recipe.name,
            "version": recipe.version,
            "board": board,
            **packed.report,
        }
        if recipe.evaluation.corpora:
            report["word_error_rate"] = word_error_rates(
                packed.network.model,
                packed.streaming,
                list(packed.oracles.values()),
                self._corpora,
                recipe.evaluation,
                job.say,
                label=SECOND_PASS_LABEL,
            )
        job.say("golden vectors, model card")
        golden = write_golden(
            folder,
            golden_samples(self._recordings),
            packed.targets,
            mark=packed.network.recipe.mark,
            tolerance=recipe.golden.tolerance,
        )
        write_report(job.work, report, report_tables(report))
        made = {**entry.get("quantization", {}), "second_pass": provenance_entry(packed.report)}
        settings = {
            "decoding": recipe.decoding,
            "voice_activity": recipe.voice_activity,
            "endpoint": recipe.endpoint,
            "grammar": recipe.grammar,
        }
        return PackedSecondPass(
            entry={**entry, "second_pass": packed.entry, **settings, "quantization": made},
            golden=tuple(golden),
            card=with_second_pass(card, recipe, report, packed),
            report=report,
        )
