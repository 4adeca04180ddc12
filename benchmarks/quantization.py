"""What integers cost an ear or an eye: in float, quantized by each observer, and trained with its integers.

Every row is one graph in OpenVINO over the same held-out clips or photos: errors, how far its answers are
from the float graph's, and busy time of a step against the float graph's, measured in turns.

    python -m benchmarks.quantization ear --model RUN/model.pt --data CORPORA --recipe EAR.pack.toml
    python -m benchmarks.quantization eye --model RUN/model.pt --data ALBUMS --recipe EYE.pack.toml \\
        --qat QAT_RUN/model.pt
"""

from __future__ import annotations

import argparse
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import common

if TYPE_CHECKING:
    import openvino as ov

    from galago.quantize.accuracy_control import Divergence
    from galago.quantize.calibration import CalibrationSet
    from galago.quantize.ear.recipe import EarPackRecipe
    from galago.quantize.eye.recipe import EyePackRecipe

OBSERVERS = ("min-max", "moving-average", "percentile", "mse", "entropy")


@dataclass(frozen=True)
class Method:
    """How a graph became one of integers; with neither, it is the float graph.

    Attributes:
        observer: of the activations' ranges.
        checkpoint: of a network that was trained with its integers.
    """

    name: str
    observer: str | None = None
    checkpoint: Path | None = None


class Subject(ABC):
    """An ear or an eye: its graph, what ranges are observed on, and how its errors are counted."""

    recipe: EarPackRecipe | EyePackRecipe
    float_graph: ov.Model
    recorded: CalibrationSet

    @abstractmethod
    def export(self, checkpoint: Path) -> ov.Model:
        """The float graph of a checkpoint."""

    @abstractmethod
    def errors_percent(self, graph: ov.Model) -> float:
        """Word error rate, or the share of photos whose best label is wrong."""

    @abstractmethod
    def request(self, graph: ov.Model) -> Any:
        """An infer request with set inputs, as it runs in a session."""

    @abstractmethod
    def divergence(self, graph: ov.Model, samples: CalibrationSet) -> Divergence:
        """From the float graph."""

    def measure(self, method: Method) -> dict[str, Any]:
        """The numbers of one row."""
        from galago.quantize.integer_graph import quantize_graph
        from galago.quantize.learned import checkpoint_scales, plan_of_learned
        from galago.quantize.quantize import plan_quantization
        from galago.quantize.timing import both_step_ms

        used, held_out = self.recorded.split(self.recipe.calibration.num_held_out)
        if method.checkpoint is not None:
            exact = self.export(method.checkpoint)
            scales = checkpoint_scales(method.checkpoint)
            if not scales:
                raise SystemExit(f"{method.checkpoint}: was not trained with its integers")
            plan = plan_of_learned(exact, scales, self.recipe.quantization)
            graph = quantize_graph(exact, plan)
        elif method.observer is not None:
            config = replace(self.recipe.quantization, activation_observer=method.observer)
            plan = plan_quantization(self.float_graph, used, config)
            graph = quantize_graph(self.float_graph, plan)
        else:
            return {"errors_percent": self.errors_percent(self.float_graph), "num_int8_layers": 0}
        float_ms, int8_ms, ratio = both_step_ms(self.request(self.float_graph), self.request(graph))
        return {
            "errors_percent": self.errors_percent(graph),
            "kl_nats": round(self.divergence(graph, held_out).kl_nats, 6),
            "num_int8_layers": len(plan.layers),
            "step_ms_p50": int8_ms,
            "float_step_ms_p50": float_ms,
            "step_ratio_p50": ratio,
        }


class EarSubject(Subject):
    """Greedy word error rate over the clips of the packing recipe's ``[evaluation]``, chunk by chunk."""

    def __init__(self, model: Path, recipe: EarPackRecipe, corpora: Path, limit: int | None) -> None:
        from galago.models.training.ear.corpus import Corpus
        from galago.models.training.ear.trainer import load_model
        from galago.quantize.ear.calibrate import recipe_streams, record
        from galago.quantize.ear.evaluate import dev_utterances

        settings, evaluation = recipe.calibration, recipe.evaluation
        names = dict.fromkeys((*settings.corpora, *settings.noise, *evaluation.corpora))
        opened = {name: Corpus(corpora, name) for name in names}
        self.recipe, self.model = recipe, load_model(model)
        self.chunk_tokens = recipe.chunk_tokens[0]
        self.float_graph = self.export(model)
        speech, noise = recipe_streams(settings, opened)
        self.recorded = record(
            self.float_graph,
            [*speech, *noise],
            num_samples=settings.num_samples + settings.num_held_out,
            seed=settings.seed,
            name=f"{recipe.name}-{recipe.version}",
            lookahead_tokens=self.model.config.lookahead_tokens,
            front_end=self.model.front_end,
        )
        self.utterances = dev_utterances(
            [opened[name] for name in evaluation.corpora],
            splits=evaluation.splits,
            clips_per_corpus=limit or evaluation.clips_per_corpus,
        )

    def export(self, checkpoint: Path) -> ov.Model:
        from galago.models.training.ear.trainer import load_model
        from galago.quantize.compile_openvino import convert_onnx
        from galago.quantize.ear.export import export_onnx

        with tempfile.TemporaryDirectory() as folder:
            export_onnx(load_model(checkpoint), self.chunk_tokens, Path(folder) / "ear.onnx")
            return convert_onnx(Path(folder) / "ear.onnx")

    def errors_percent(self, graph: ov.Model) -> float:
        from galago.quantize.ear.evaluate import word_error_rate
        from galago.quantize.ear.oracle import Oracle

        return round(word_error_rate(Oracle(graph, model=self.model), self.utterances)["all"].percent, 2)

    def request(self, graph: ov.Model) -> Any:
        from galago.quantize.ear.oracle import Oracle

        return Oracle(graph, model=self.model).request

    def divergence(self, graph: ov.Model, samples: CalibrationSet) -> Divergence:
        from galago.quantize.accuracy_control import divergence
        from galago.quantize.ear.measure import HEADS

        return divergence(self.float_graph, graph, samples.samples, HEADS)


class EyeSubject(Subject):
    """Share of the photos of the packing recipe's ``[evaluation]`` whose best label is wrong."""

    def __init__(self, model: Path, recipe: EyePackRecipe, albums: Path, limit: int | None) -> None:
        from galago.models.training.eye.trainer import load_eye
        from galago.quantize.eye.photos import album_photos, calibration_set
        from galago.quantize.provenance import provenance

        self.recipe, (_, self.description) = recipe, load_eye(model)
        self.float_graph = self.export(model)
        training = provenance(model)["recipe"]
        found = album_photos(training, albums, recipe.calibration.splits)
        self.recorded = calibration_set(
            f"{recipe.name}-{recipe.version}",
            recipe.calibration,
            self.description.image,
            [(f"{photo.label.group}:{photo.id}", photo.pixels) for photo in found],
        )
        photos = album_photos(training, albums, recipe.evaluation.splits)
        count = min(limit or recipe.evaluation.max_photos, len(photos))
        self.photos = [photos[i * len(photos) // count] for i in range(count)]

    def export(self, checkpoint: Path) -> ov.Model:
        from galago.models.training.eye.trainer import load_eye
        from galago.quantize.compile_openvino import convert_onnx
        from galago.quantize.eye.export import export_onnx

        with tempfile.TemporaryDirectory() as folder:
            export_onnx(load_eye(checkpoint)[0], Path(folder) / "eye.onnx")
            return convert_onnx(Path(folder) / "eye.onnx")

    def errors_percent(self, graph: ov.Model) -> float:
        from galago.quantize.eye.oracle import EyeOracle

        oracle, labels = EyeOracle(graph, self.description.image), self.description.labels
        wrong = sum(labels[int(oracle.logits(p.pixels).argmax())] != p.label for p in self.photos)
        return round(100.0 * wrong / len(self.photos), 2)

    def request(self, graph: ov.Model) -> Any:
        from galago.quantize.eye.oracle import EyeOracle

        return EyeOracle(graph, self.description.image).request

    def divergence(self, graph: ov.Model, samples: CalibrationSet) -> Divergence:
        from galago.quantize.accuracy_control import divergence
        from galago.quantize.eye.export import OUTPUT

        return divergence(
            self.float_graph, graph, samples.samples, [OUTPUT], temperature=self.description.temperature
        )


def methods(args: argparse.Namespace) -> Iterator[Method]:
    """In the order of the table: the float graph first, which the others are compared with."""
    yield Method("float")
    for name in args.observers:
        yield Method(f"ptq-{name}", observer=name)
    for path in args.qat:
        yield Method("qat" if len(args.qat) == 1 else f"qat-{path.parent.name}", checkpoint=path)


def main() -> None:
    from galago.quantize.ear.recipe import EarPackRecipe
    from galago.quantize.eye.recipe import EyePackRecipe
    from galago.quantize.roles import load_pack_recipe

    parser = common.parser(__doc__)
    parser.add_argument("role", choices=("ear", "eye"))
    parser.add_argument("--model", type=Path, required=True, help="model.pt that was trained in float")
    parser.add_argument("--qat", type=Path, nargs="*", default=[], help="model.pt trained with integers")
    parser.add_argument("--recipe", type=Path, required=True, help="packing recipe (NAME.pack.toml)")
    parser.add_argument("--data", type=Path, required=True, help="folder of imported corpora, or of albums")
    parser.add_argument("--observers", nargs="*", choices=OBSERVERS, default=list(OBSERVERS))
    parser.add_argument("--limit", type=int, help="clips of each corpus, or photos")
    args = parser.parse_args()
    recipe = load_pack_recipe(args.recipe)
    if recipe.role != args.role:
        parser.error(f"{args.recipe}: a recipe of role {recipe.role!r}")
    subject: Subject
    if isinstance(recipe, EarPackRecipe):
        subject = EarSubject(args.model, recipe, args.data, args.limit)
    else:
        assert isinstance(recipe, EyePackRecipe)
        subject = EyeSubject(args.model, recipe, args.data, args.limit)
    found: dict[str, dict[str, Any]] = {}
    for method in common.progress(list(methods(args)), "graphs"):
        numbers = subject.measure(method)
        first = next(iter(found.values()), numbers)
        found[method.name] = {
            **numbers,
            "points_lost": round(numbers["errors_percent"] - first["errors_percent"], 2),
        }
    limited = "" if args.limit is None else f"-limit{args.limit}"
    rows = [
        common.make_row(
            "quantization",
            numbers,
            variant=f"{args.role}-{name}{limited}",
            threads=1,
            warm_up="1 step",
            settings={
                "role": args.role,
                "recipe": args.recipe.name,
                "limit": args.limit,
                "calibration": subject.recorded.describe(recipe.calibration.num_held_out),
            },
        )
        for name, numbers in found.items()
    ]
    keys = ("errors_percent", "points_lost", "kl_nats", "num_int8_layers", "step_ms_p50", "float_step_ms_p50")
    print(common.table(["graph", *keys], ([n, *(row.get(k, "") for k in keys)] for n, row in found.items())))
    common.finish(rows, args)


if __name__ == "__main__":
    main()
