"""What integers cost an ear or an eye: of networks trained in float, quantized by observers, and of networks
trained with their integers.

Every row is one graph in OpenVINO over all held-out clips or photos: its errors, how many more these are than
those of the float graph of the same weights and size on the same clips, how far its answers are from that
graph's, and busy time of a step against that graph's, measured in turns.

    python -m benchmarks.quantization ear --models RUN/model.pt QAT_RUN/model.pt --recipe EAR.pack.toml \\
        --data CORPORA --chunk-tokens 8 64
    python -m benchmarks.quantization eye --models RUN/model.pt QAT_RUN/model.pt --recipe EYE.pack.toml \\
        --data ALBUMS --observers min-max mse
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import common
from benchmarks.quantization_subjects import EarSubject, EyeSubject, Subject, Trained

OBSERVERS = ("min-max", "moving-average", "percentile", "mse", "entropy")
FLOAT, LEARNED = "float", "learned"


def plans(subject: Subject, trained: Trained, observers: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """(how the scales were found, plan) of a network: in training, or else by each observer.

    An ear's plan is made with its first graph and serves the others, as in packing.
    """
    from galago.quantize.learned import plan_of_learned
    from galago.quantize.quantize import plan_quantization

    config, graph = subject.recipe.quantization, next(iter(trained.graphs.values()))
    if trained.scales:
        yield LEARNED, plan_of_learned(graph, trained.scales, config)
        return
    for name in observers:
        observed = replace(config, activation_observer=name)
        yield name, plan_quantization(graph, trained.calibration, observed)


def measure(subject: Subject, trained: Trained, observers: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of a network: by size its float graph, and then those of integers."""
    from galago.quantize.integer_graph import quantize_graph
    from galago.quantize.timing import both_step_ms

    exact = {}
    for size, graph in trained.graphs.items():
        exact[size] = subject.errors(trained, graph)
        yield row(subject, trained, FLOAT, size, {"sets": exact[size].against(exact[size])})
    for name, plan in plans(subject, trained, observers):
        for size, graph in trained.graphs.items():
            quantized = quantize_graph(graph, plan)
            requests = [subject.request(trained, each) for each in (graph, quantized)]
            float_ms, int8_ms, ratio = both_step_ms(*requests)
            numbers = {
                "sets": subject.errors(trained, quantized).against(exact[size]),
                "kl_nats": round(subject.divergence(trained, size, quantized).kl_nats, 6),
                "num_int8_layers": len(plan.layers),
                "step_ms_p50": int8_ms,
                "float_step_ms_p50": float_ms,
                "step_ratio_p50": ratio,
            }
            yield row(subject, trained, name, size, numbers)


def row(
    subject: Subject, trained: Trained, scales: str, size: str, numbers: dict[str, Any]
) -> dict[str, Any]:
    """One graph's row."""
    recipe = subject.recipe
    parts = (recipe.role, scales, *(size.replace(" ", ""),) * bool(size), "of", trained.name)
    return common.make_row(
        "quantization",
        numbers,
        variant="-".join(parts),
        threads=1,
        warm_up="1 step",
        settings={
            "role": recipe.role,
            "recipe": recipe.name,
            "weights": trained.name,
            "scales": scales,
            "chunk": size,
            "calibration": trained.calibration.describe(recipe.calibration.num_held_out),
        },
    )


def open_subject(args: argparse.Namespace) -> Subject:
    """The role with its held-out clips or photos."""
    from galago.quantize.ear.recipe import EarPackRecipe
    from galago.quantize.eye.recipe import EyePackRecipe
    from galago.quantize.roles import load_pack_recipe

    recipe = load_pack_recipe(args.recipe)
    if recipe.role != args.role:
        raise SystemExit(f"{args.recipe}: a recipe of role {recipe.role!r}")
    if isinstance(recipe, EarPackRecipe):
        chunks = tuple(args.chunk_tokens or recipe.chunk_tokens)
        return EarSubject(recipe, args.data, chunks, args.limit)
    assert isinstance(recipe, EyePackRecipe)
    return EyeSubject(recipe, args.data, args.limit)


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("role", choices=("ear", "eye"))
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="model.pt of runs")
    parser.add_argument("--recipe", type=Path, required=True, help="packing recipe (NAME.pack.toml)")
    parser.add_argument("--data", type=Path, required=True, help="folder of imported corpora, or of albums")
    parser.add_argument("--chunk-tokens", type=int, nargs="+", help="an ear's graphs [the recipe's]")
    parser.add_argument(
        "--observers",
        nargs="*",
        choices=OBSERVERS,
        default=list(OBSERVERS),
        help="for networks that were trained in float [all]",
    )
    parser.add_argument("--limit", type=int, help="clips of each corpus, or photos")
    args = parser.parse_args()
    subject = open_subject(args)
    rows = []
    for path in args.models:
        trained = subject.open(path)
        for found in common.progress(measure(subject, trained, args.observers), trained.name):
            found["settings"]["limit"] = args.limit
            found["variant"] += "" if args.limit is None else f"-limit{args.limit}"
            rows.append(found)
    keys = ("errors_percent", "points_lost", "points_lost_low", "points_lost_high")
    more = ("kl_nats", "step_ratio_p50")
    lines = [
        [
            each["variant"],
            *(each["numbers"]["sets"]["all"][key] for key in keys),
            *(each["numbers"].get(key, "") for key in more),
        ]
        for each in rows
    ]
    print(common.table(["graph", *keys, *more], lines))
    common.finish(rows, args)


if __name__ == "__main__":
    main()
