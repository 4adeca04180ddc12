"""Ears and eyes as `benchmarks.quantization` sees them: float graphs of a run, and how wrong a graph is."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import openvino as ov

    from galago.models.ear import Ear
    from galago.models.fake_quantization import LearnedScales
    from galago.quantize.accuracy_control import Divergence
    from galago.quantize.calibration import Array, CalibrationSet
    from galago.quantize.ear.recipe import EarPackRecipe
    from galago.quantize.eye.recipe import EyePackRecipe

NUM_RESAMPLED = 2000  # draws of the bootstrap


@dataclass(frozen=True)
class Errors:
    """What one graph makes of every held-out clip or photo.

    Attributes:
        sets: of each, where it is from.
        totals: (N,) words of a clip; 1 for a photo.
        wrong: (N,) words substituted, left out and put in; 1 for a photo whose best label is wrong.
    """

    sets: tuple[str, ...]
    totals: NDArray[np.int64]
    wrong: NDArray[np.int64]

    def against(self, exact: Errors) -> dict[str, dict[str, Any]]:
        """By set, and of all together under "all": errors in percent, and points more than ``exact`` has.

        The interval is that of 95 % of the draws when as many clips are drawn from the set with replacement,
        the same ones for both graphs (paired bootstrap: Bisani and Ney 2004).
        """
        found = {}
        names = np.array(self.sets)
        for name in ("all", *sorted(set(self.sets))):
            chosen = np.full(len(names), True) if name == "all" else names == name
            totals, more = self.totals[chosen], (self.wrong - exact.wrong)[chosen]
            drawn = np.random.default_rng(1).integers(len(totals), size=(NUM_RESAMPLED, len(totals)))
            points = 100.0 * more[drawn].sum(axis=1) / np.maximum(1, totals[drawn].sum(axis=1))
            low, high = np.percentile(points, [2.5, 97.5])
            found[name] = {
                "num_items": int(chosen.sum()),
                "num_counted": int(totals.sum()),
                "errors_percent": round(100.0 * float(self.wrong[chosen].sum() / totals.sum()), 2),
                "float_errors_percent": round(100.0 * float(exact.wrong[chosen].sum() / totals.sum()), 2),
                "points_lost": round(100.0 * float(more.sum() / totals.sum()), 2),
                "points_lost_low": round(float(low), 2) + 0.0,
                "points_lost_high": round(float(high), 2) + 0.0,
            }
        return found


@dataclass(frozen=True)
class Trained:
    """A run's network as float graphs, and inputs that were recorded from these.

    Attributes:
        name: of the training recipe.
        graphs: by size: the milliseconds of an ear's chunks; an eye has one.
        calibration: steps of the first graph, which ranges are observed on.
        held_out: steps of each graph that no range has seen.
        scales: that training has found; none of a network that was trained in float.
    """

    name: str
    graphs: Mapping[str, ov.Model]
    calibration: CalibrationSet
    held_out: Mapping[str, CalibrationSet]
    scales: Mapping[str, LearnedScales]
    details: Any


class Subject(ABC):
    """A role: how its runs become graphs, and how these are judged."""

    recipe: EarPackRecipe | EyePackRecipe

    @abstractmethod
    def open(self, checkpoint: Path) -> Trained:
        """The float graphs of a ``model.pt``."""

    @abstractmethod
    def errors(self, trained: Trained, graph: ov.Model) -> Errors:
        """Of a graph, float or int8, of ``trained``."""

    @abstractmethod
    def request(self, trained: Trained, graph: ov.Model) -> Any:
        """An infer request with set inputs, as it runs in a session."""

    @abstractmethod
    def divergence(self, trained: Trained, size: str, graph: ov.Model) -> Divergence:
        """From the float graph of that size."""


def training_name(checkpoint: Path) -> str:
    """The training recipe's name in a ``model.pt``."""
    from galago.quantize.provenance import provenance

    return str(provenance(checkpoint)["recipe"]["name"])


class EarSubject(Subject):
    """Greedy words of the clips of the packing recipe's ``[evaluation]``, chunk by chunk, each a stream.

    Args:
        chunk_tokens: sizes of the graphs; ranges are observed on the first.
        limit: clips of each corpus; None: all.
    """

    recipe: EarPackRecipe

    def __init__(
        self, recipe: EarPackRecipe, corpora: Path, chunk_tokens: tuple[int, ...], limit: int | None
    ) -> None:
        from galago.models.training.ear.corpus import Corpus
        from galago.quantize.ear.calibrate import recipe_streams
        from galago.quantize.ear.evaluate import dev_utterances

        settings, evaluation = recipe.calibration, recipe.evaluation
        names = dict.fromkeys((*settings.corpora, *settings.noise, *evaluation.corpora))
        opened = {name: Corpus(corpora, name) for name in names}
        self.recipe, self.chunk_tokens = recipe, chunk_tokens
        self.frames: dict[int, list[tuple[Array, int]]] = {}
        speech, noise = recipe_streams(settings, opened)
        self.streams = [*speech, *noise]
        self.utterances = [
            utterance
            for name in evaluation.corpora
            for utterance in dev_utterances(
                [opened[name]],
                splits=evaluation.splits,
                clips_per_corpus=limit or len(opened[name].split(*evaluation.splits)),
            )
        ]

    def open(self, checkpoint: Path) -> Trained:
        from galago.models.training.ear.trainer import load_model
        from galago.quantize.compile_openvino import convert_onnx
        from galago.quantize.ear.calibrate import record
        from galago.quantize.ear.export import export_onnx
        from galago.quantize.learned import checkpoint_scales

        model, settings = load_model(checkpoint), self.recipe.calibration
        graphs, recorded = {}, {}
        for n in self.chunk_tokens:
            size = f"{n * model.front_end.token_ms} ms"
            with tempfile.TemporaryDirectory() as folder:
                export_onnx(model, n, Path(folder) / "ear.onnx")
                graphs[size] = convert_onnx(Path(folder) / "ear.onnx")
            is_first = n == self.chunk_tokens[0]
            recorded[size] = record(
                graphs[size],
                self.streams,
                num_samples=settings.num_held_out + (settings.num_samples if is_first else 0),
                seed=settings.seed + (0 if is_first else 1),
                name=f"{self.recipe.name}-{self.recipe.version}",
                lookahead_tokens=model.config.lookahead_tokens,
                front_end=model.front_end,
            )
        first = next(iter(graphs))
        calibration, recorded[first] = recorded[first].split(settings.num_held_out)
        scales = checkpoint_scales(checkpoint)
        return Trained(training_name(checkpoint), graphs, calibration, recorded, scales, model)

    def errors(self, trained: Trained, graph: ov.Model) -> Errors:
        from galago.quantize.ear.evaluate import edit_distance
        from galago.quantize.ear.oracle import Oracle

        oracle = Oracle(graph, model=trained.details)
        frames = self._frames(trained.details, oracle.chunk_tokens)
        texts = [oracle.hear_features(*each).text for each in frames]
        wrong = [edit_distance(u.words, t.split()) for u, t in zip(self.utterances, texts, strict=True)]
        return Errors(
            tuple(utterance.corpus for utterance in self.utterances),
            np.array([len(utterance.words) for utterance in self.utterances]),
            np.array(wrong),
        )

    def _frames(self, model: Ear, chunk_tokens: int) -> list[tuple[Array, int]]:
        """Of each clip the frames in chunks, and its tokens; made once, as every graph hears the same."""
        from galago.quantize.ear.oracle import chunk_features

        if chunk_tokens not in self.frames:
            delay, front_end = model.config.lookahead_tokens, model.front_end
            self.frames[chunk_tokens] = [
                (
                    chunk_features(u.samples, chunk_tokens, lookahead_tokens=delay, front_end=front_end),
                    -(-len(u.samples) // front_end.token_samples),
                )
                for u in self.utterances
            ]
        return self.frames[chunk_tokens]

    def request(self, trained: Trained, graph: ov.Model) -> Any:
        from galago.quantize.ear.oracle import Oracle

        return Oracle(graph, model=trained.details).request

    def divergence(self, trained: Trained, size: str, graph: ov.Model) -> Divergence:
        from galago.quantize.accuracy_control import divergence
        from galago.quantize.ear.measure import HEADS

        return divergence(trained.graphs[size], graph, trained.held_out[size].samples, HEADS)


class EyeSubject(Subject):
    """The best label of every photo of the packing recipe's ``[evaluation]``.

    Args:
        limit: photos, spread evenly; None: the recipe's number.
    """

    recipe: EyePackRecipe

    def __init__(self, recipe: EyePackRecipe, albums: Path, limit: int | None) -> None:
        self.recipe, self.albums, self.limit = recipe, albums, limit

    def open(self, checkpoint: Path) -> Trained:
        from galago.models.training.eye.album import cover
        from galago.models.training.eye.trainer import load_eye
        from galago.quantize.compile_openvino import convert_onnx
        from galago.quantize.eye.export import export_onnx
        from galago.quantize.eye.photos import album_photos, calibration_set
        from galago.quantize.learned import checkpoint_scales
        from galago.quantize.provenance import provenance

        model, description = load_eye(checkpoint)
        with tempfile.TemporaryDirectory() as folder:
            export_onnx(model, Path(folder) / "eye.onnx")
            graph = convert_onnx(Path(folder) / "eye.onnx")
        training, settings = provenance(checkpoint)["recipe"], self.recipe.calibration
        found = album_photos(training, self.albums, settings.splits)
        calibration, held_out = calibration_set(
            f"{self.recipe.name}-{self.recipe.version}",
            settings,
            description.image,
            [(f"{photo.label.group}:{photo.id}", photo.pixels) for photo in found],
        ).split(settings.num_held_out)
        photos = album_photos(training, self.albums, self.recipe.evaluation.splits)
        count = min(self.limit or self.recipe.evaluation.max_photos, len(photos))
        chosen = [photos[i * len(photos) // count] for i in range(count)]
        image = description.image
        seen = [(photo.label, cover(photo.pixels, image.height, image.width)) for photo in chosen]
        scales = checkpoint_scales(checkpoint)
        return Trained(
            training["name"], {"": graph}, calibration, {"": held_out}, scales, (description, seen)
        )

    def errors(self, trained: Trained, graph: ov.Model) -> Errors:
        from galago.quantize.eye.oracle import EyeOracle

        description, seen = trained.details
        oracle, labels = EyeOracle(graph, description.image), description.labels
        wrong = [labels[int(oracle.logits(pixels).argmax())] != label for label, pixels in seen]
        return Errors(
            tuple(label.group for label, _ in seen),
            np.ones(len(seen), np.int64),
            np.array(wrong, np.int64),
        )

    def request(self, trained: Trained, graph: ov.Model) -> Any:
        from galago.quantize.eye.oracle import EyeOracle

        return EyeOracle(graph, trained.details[0].image).request

    def divergence(self, trained: Trained, size: str, graph: ov.Model) -> Divergence:
        from galago.quantize.accuracy_control import divergence
        from galago.quantize.eye.export import OUTPUT

        samples, temperature = trained.held_out[size].samples, trained.details[0].temperature
        return divergence(trained.graphs[size], graph, samples, [OUTPUT], temperature=temperature)
