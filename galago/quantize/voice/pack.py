"""Packing a voice: readers and speaker to int8, dictionary, letters to phones, a golden sentence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galago.boards.profile import this_machine
from galago.models.g2p import G2p
from galago.models.training.g2p import load_g2p
from galago.models.training.toml_tables import RecipeError
from galago.models.training.voice.checkpoint import load_fastspeech, load_vocoder
from galago.quantize.compile_openvino import Precision, make_stateful
from galago.quantize.g2p import pack_g2p
from galago.quantize.packer import Job, PackedRole
from galago.quantize.provenance import provenance
from galago.quantize.report import write_report
from galago.quantize.role_quantization import provenance_entry
from galago.quantize.shared_weights import save_graphs
from galago.quantize.voice.entries import (
    G2P,
    PRONUNCIATIONS,
    READER_WEIGHTS,
    SPEAKER,
    SPEAKER_WEIGHTS,
    reader_graph,
    reader_name,
    role_entry,
    speaker_name,
)
from galago.quantize.voice.evaluate import sound_costs
from galago.quantize.voice.export import SpeakerShape
from galago.quantize.voice.golden import write_golden
from galago.quantize.voice.model_card import model_card
from galago.quantize.voice.oracle import Reader, Speaker, VoiceOracle
from galago.quantize.voice.parts import Part, quantize_readers, quantize_speaker
from galago.quantize.voice.recipe import VoicePackRecipe
from galago.quantize.voice.report import merged_quantization, report_tables, speed
from galago.quantize.voice.sentences import Sentence, SpokenCorpora, phones_of_text, random_sentences
from galago.runtime.language.cmudict import find_stressed_cmudict
from galago.runtime.language.pronunciations import build_pronunciations, voice_words

__all__ = ["VoicePacker"]


class VoicePacker:
    """Packs a trained voice, see :class:`galago.quantize.packer.Packer`.

    The job's checkpoint is ``acoustic/model.pt`` of a voice's run; ``vocoder/model.pt`` stands beside it.

    Raises:
        FileNotFoundError: the vocoder or the dictionary is missing.
        RecipeError: the recipe needs corpora or a letter-to-phone network and none is given, or its golden
            text has words that the dictionary has not.
        CorpusError, CheckpointError: as their messages say.
        PronunciationsError: the dictionary is none.
    """

    def __init__(self, recipe: VoicePackRecipe, job: Job) -> None:
        self.recipe, self._job = recipe, job
        vocoder = job.checkpoint.parent.parent / "vocoder" / "model.pt"
        if not vocoder.is_file():
            raise FileNotFoundError(
                f"{vocoder}: no checkpoint; a voice's run has one beside its acoustic network"
            )
        self._model, self._vocoder = load_fastspeech(job.checkpoint), load_vocoder(vocoder)
        self._networks = {"acoustic": provenance(job.checkpoint), "vocoder": provenance(vocoder)}
        self._g2p: tuple[G2p, tuple[str, ...]] | None = None
        if recipe.g2p:
            if job.g2p is None:
                raise RecipeError(
                    "the recipe packs a letter-to-phone network: name its run (--g2p), or say g2p = false"
                )
            path = job.g2p / "model.pt" if job.g2p.is_dir() else job.g2p
            self._g2p = load_g2p(path)
            self._networks["g2p"] = provenance(path)
        dictionary = None if recipe.dictionary is None else job.recipe_folder / recipe.dictionary
        self._words = voice_words(dictionary or find_stressed_cmudict())
        self._golden_phones = phones_of_text(recipe.golden.text, self._words)
        self._corpora = self._open_corpora()

    def _open_corpora(self) -> SpokenCorpora | None:
        names = tuple(dict.fromkeys((*self.recipe.calibration.corpora, *self.recipe.evaluation.corpora)))
        if not names:
            return None
        if self._job.corpora is None:
            raise RecipeError(f"the recipe needs corpora ({', '.join(names)}): name their folder (--corpora)")
        return SpokenCorpora(self._job.corpora, names)

    def pack(self, folder: Path) -> PackedRole:
        """Write graphs, dictionary and golden sentence below ``folder``, the report where the job says.

        Raises:
            ExportError, CalibrationError, QuantizationError: as their messages say.
        """
        recipe, job = self.recipe, self._job
        parts, shape = self._quantize()
        self._write(folder, parts)
        dtypes = {name: part.dtype for name, part in parts.items()}
        exact = self._voice(parts["reader"].floats, parts["speaker"].floats[recipe.chunk_frames], shape)
        packed = VoiceOracle(
            Reader(
                {size: folder / reader_graph(size) for size in recipe.num_phones},
                self._precision,
                weights=folder / READER_WEIGHTS,
            ),
            Speaker(
                folder / SPEAKER,
                shape,
                self._precision,
                weights=folder / SPEAKER_WEIGHTS,
                noise_seed=recipe.noise_seed,
            ),
        )
        report = self._report(parts, shape, exact, packed)
        job.say("golden sentence, model card")
        golden = write_golden(
            folder, speaker_name(dtypes["speaker"]), packed, recipe.golden, self._golden_phones
        )
        size_bytes = sum(path.stat().st_size for path in (folder / "voice").iterdir())
        write_report(job.work, report, report_tables(report))
        modules = {
            "acoustic": self._model,
            "vocoder": self._vocoder,
            **({"g2p": self._g2p[0]} if self._g2p else {}),
        }
        counts = {name: sum(p.numel() for p in module.parameters()) for name, module in modules.items()}
        entry = role_entry(
            recipe, shape, dtypes, self._shifts(), _measured(report), has_g2p=self._g2p is not None
        )
        return PackedRole(
            entry={**entry, "quantization": provenance_entry(report)},
            golden=(golden,),
            card=model_card(recipe, shape, report, counts, num_words=len(self._words), size_bytes=size_bytes),
            report=report,
        )

    @property
    def _precision(self) -> Precision:
        return "bf16" if self.recipe.inference_precision == "bf16" else "f32"

    def _sentences(self) -> list[Sentence]:
        settings = self.recipe.calibration
        if self._corpora is None or not settings.corpora:
            count = settings.num_sentences + settings.num_held_out_sentences
            return random_sentences(count, self.recipe.num_phones[0], settings.seed)
        return self._corpora.sentences(settings.corpora, settings.splits)

    def _shifts(self) -> tuple[float, float]:
        """What a unit of a pitch shift is, in octaves, and of an energy shift, in nats."""
        if self._corpora is None:  # then the deviation between frames, which is much alike
            return float(self._model.decoder.std[-2]), 0.0
        statistics = self._corpora.statistics()
        return statistics.phone_pitch[1], statistics.phone_energy[1]

    def _quantize(self) -> tuple[dict[str, Part], SpeakerShape]:
        recipe, job = self.recipe, self._job
        sentences = self._sentences()
        readers = quantize_readers(
            self._model, recipe, sentences, job.work, job.say, measure_time=job.measure_time
        )
        speaker, shape = quantize_speaker(
            self._model,
            self._vocoder,
            recipe,
            Reader(readers.floats),
            sentences,
            job.work,
            job.say,
            measure_time=job.measure_time,
        )
        for part in (readers, speaker):
            job.say(f"  the {part.name}: {part.choice.sentence()}")
        return {"reader": readers, "speaker": speaker}, shape

    def _write(self, folder: Path, parts: Mapping[str, Part]) -> None:
        (folder / "voice").mkdir(parents=True, exist_ok=True)
        graphs = {folder / reader_graph(size): graph for size, graph in parts["reader"].graphs.items()}
        save_graphs(graphs, folder / READER_WEIGHTS, "reader")
        speaker = make_stateful(parts["speaker"].graphs[self.recipe.chunk_frames])
        save_graphs({folder / SPEAKER: speaker}, folder / SPEAKER_WEIGHTS, "speaker")
        (folder / PRONUNCIATIONS).write_bytes(build_pronunciations(self._words))
        if self._g2p is not None:
            (folder / G2P).write_bytes(pack_g2p(*self._g2p))

    def _voice(self, readers: Mapping[int, Any], speaker: Any, shape: SpeakerShape) -> VoiceOracle:
        return VoiceOracle(Reader(readers), Speaker(speaker, shape, noise_seed=self.recipe.noise_seed))

    def _report(
        self, parts: Mapping[str, Part], shape: SpeakerShape, exact: VoiceOracle, packed: VoiceOracle
    ) -> dict[str, Any]:
        recipe, job = self.recipe, self._job
        reader, speaker = parts["reader"], parts["speaker"]
        rows = {
            **{reader_name(s, reader.dtype): (reader, s) for s in recipe.num_phones},
            speaker_name(speaker.dtype): (speaker, recipe.chunk_frames),
        }
        report: dict[str, Any] = {
            "checkpoint": self._networks["acoustic"],
            "networks": self._networks,
            "name": recipe.name,
            "version": recipe.version,
            "board": this_machine().name,
            "calibration": reader.report()["calibration"],
            "quantization": merged_quantization(parts),
            "targets": {
                name: {**part.row(size), "int8_cost": part.controlled.cost, "dtype": part.dtype}
                for name, (part, size) in rows.items()
            },
            "speed": speed(parts, shape),
            "sound": {},
        }
        settings = recipe.evaluation
        if self._corpora is not None and settings.corpora:
            job.say("evaluate: held-out sentences")
            found = self._corpora.sentences(settings.corpora, settings.splits)
            fitting = [sentence for sentence in found if len(sentence.phones) <= max(recipe.num_phones)]
            voices = {"float": exact, "packed": packed}
            report["sound"] = sound_costs(
                voices, fitting[: settings.max_sentences], self._vocoder.config.features(), job.say
            )
        return report


def _measured(report: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What the manifest tells of each target that was timed."""
    found = {}
    for name, row in report["targets"].items():
        key = "int8_step_ms_p50" if row["dtype"] == "int8" else "float_step_ms_p50"
        if key in row:
            found[name] = {"step_ms_p50": row[key], "board": report["board"]}
    return found
