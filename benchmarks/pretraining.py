"""What pre-training is worth where few recordings are transcribed: finished runs of one recipe, in pairs.

Each pair learned from as many minutes of labels (``label_minutes``), one run from random weights and one from
a pre-trained network (``initial_weights``); they differ in nothing else. All are heard greedily in chunks of
320 ms on the ``dev`` clips of their corpora, by word, by character, by phone and by frame: with few labels
nearly every word is wrong, and words alone would tell nothing.

    python -m benchmarks.pretraining runs/raw-* --pretraining runs/pretraining-small --cache runs/corpora
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import common
from benchmarks.corpora import data_dir
from benchmarks.distillation import checkpoint
from benchmarks.scoring import count_errors

if TYPE_CHECKING:
    from galago.models.ear import Ear
    from galago.models.training.ear.batches import Batch, BatchMaker

CHUNK_MS = 320
CLIPS_PER_BATCH = 16
PHONE_MS = 80  # what a phone lasts on average
PICTURE = common.ROOT / "docs" / "pretraining.png"

#: Keys of a recipe in which runs may differ and still be compared.
FREE = ("name", "label_minutes", "initial_weights")
#: A key of the schedule that has no meaning without ``initial_weights``.
IDLE = "head_steps"
WAYS = ("without", "with")
MEASURES = {
    "wer_percent": "word errors",
    "cer_percent": "character errors",
    "per_percent": "phone errors",
    "frames_wrong_percent": "frames of phones wrong",
}


@dataclass(frozen=True)
class Trained:
    """A finished run: minutes of labels (None: all), and whether it began with a pre-trained network."""

    path: Path
    label_minutes: float | None
    is_pretrained: bool
    step: int
    recipe: dict[str, Any]

    @property
    def way(self) -> str:
        return WAYS[self.is_pretrained]


def trained(path: Path, stored: Mapping[str, Any]) -> Trained:
    """A run from what its ``model.pt`` holds."""
    recipe = json.loads(stored["recipe"])
    return Trained(
        path, recipe["label_minutes"], recipe["initial_weights"] is not None, stored["step"], recipe
    )


def faults(runs: Sequence[Trained]) -> list[str]:
    """Why runs cannot be compared; nothing where they can."""
    found = []
    first = runs[0]
    told = [{**run.recipe, "schedule": {**run.recipe["schedule"], IDLE: None}} for run in runs]
    for run, recipe in zip(runs[1:], told[1:], strict=True):
        keys = sorted((set(recipe) | set(told[0])) - set(FREE))
        found += [
            f"{run.path}: recipe.{key} is not that of {first.path}"
            for key in keys
            if told[0].get(key) != recipe.get(key)
        ]
        if run.step != first.step:
            found.append(f"{run.path}: {run.step} steps and not {first.step}")
    places = [(run.label_minutes, run.is_pretrained) for run in runs]
    found += [f"{run.path}: a second run of its kind" for run, p in zip(runs, places, strict=True)
              if places.count(p) > 1]  # fmt: skip
    for minutes in {minutes for minutes, _ in places}:
        if len({way for m, way in places if m == minutes}) < 2:
            found.append(f"{labels_name(minutes)}: needs a run with pre-training and one without")
    return found


def labels_name(minutes: float | None) -> str:
    """How a table calls an amount of labels."""
    if minutes is None:
        return "all"
    return f"{minutes:g} min" if minutes < 60 else f"{minutes / 60:g} h"


def dev_batches(data: BatchMaker) -> Iterator[tuple[str, list[list[str]], Batch]]:
    """Held-out clips as (corpus, words, batch), those of like length together."""
    for part in data.parts:
        clips = sorted((c for c in part.corpus.split("dev") if c.words), key=lambda clip: clip.num_samples)
        for begin in range(0, len(clips), CLIPS_PER_BATCH):
            some = clips[begin : begin + CLIPS_PER_BATCH]
            batch = data.collate([data.plain_example(part.source(clip)) for clip in some])
            yield part.corpus.name, [clip.words or [] for clip in some], batch


def phones_of(log_probs: NDArray[np.float32], token_ms: int) -> list[str]:
    """The likeliest phones, silence (0) left out, by Viterbi over states that last 80 ms on average.

    Phones that were learned frame by frame flicker where the network is unsure: the best of each row alone
    would count every flicker as an inserted phone.

    Args:
        log_probs: (T, P) of phones.
    """
    from galago.models.tokenizer import PHONES

    num_phones = log_probs.shape[1]
    leaving = token_ms / PHONE_MS
    stay, switch = np.log(1.0 - leaving), np.log(leaving / (num_phones - 1))
    score = np.zeros(num_phones, dtype=np.float64)
    came_from = np.empty(log_probs.shape, dtype=np.int64)
    for t, row in enumerate(log_probs):
        best = int(score.argmax())
        is_switched = score[best] + switch > score + stay
        came_from[t] = np.where(is_switched, best, np.arange(num_phones))
        score = np.where(is_switched, score[best] + switch, score + stay) + row
    path = [int(score.argmax())] if len(log_probs) else []
    for row in came_from[:0:-1]:
        path.append(int(row[path[-1]]))
    path.reverse()
    return [PHONES[phone] for before, phone in pairwise([0, *path]) if phone not in (0, before)]


def heard(model: Ear, data: BatchMaker) -> dict[str, dict[str, float]]:
    """The measures by set, and over all sets together ("all sets")."""
    import torch

    from galago.models.tokenizer import PHONES, greedy_text
    from galago.runtime.language.letter_to_sound import edit_distance

    chunk_tokens = CHUNK_MS // data.front_end.token_ms
    pairs: dict[str, list[tuple[list[str], str]]] = {}
    counts: dict[str, list[int]] = {}  # phone errors, phones, frames right, frames
    for name, words, batch in dev_batches(data):
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            out = model(batch.features, batch.num_frames, chunk_tokens=chunk_tokens)
        phones, known = out.phone_logits.argmax(-1), batch.phone_frames > 0  # neither silence nor unknown
        right = (phones == batch.phone_frames) & known
        log_probs = out.phone_logits.float().log_softmax(-1)
        texts = out.token_logits.argmax(-1)
        ends = batch.num_phones.cumsum(0)
        for i, spoken in enumerate(words):
            length = int(out.num_tokens[i])
            text = greedy_text(texts[i, :length].tolist())
            said = [PHONES[phone] for phone in batch.phones[ends[i] - batch.num_phones[i] : ends[i]].tolist()]
            told = phones_of(log_probs[i, :length].numpy(), data.front_end.token_ms)
            wrong = edit_distance(said, told) if said else 0
            for group in (name, "all sets"):
                pairs.setdefault(group, []).append((spoken, text))
                count = counts.setdefault(group, [0, 0, 0, 0])
                for place, value in enumerate((wrong, len(said), int(right[i].sum()), int(known[i].sum()))):
                    count[place] += value
    found = {}
    for group, (errors, total, frames_right, frames) in counts.items():
        letters = sum(len(" ".join(spoken)) for spoken, _ in pairs[group])
        mistaken = sum(edit_distance(" ".join(spoken), text) for spoken, text in pairs[group])
        found[group] = {
            "wer_percent": round(count_errors(pairs[group]).wer, 2),
            "cer_percent": round(100.0 * mistaken / letters, 2),
            "per_percent": round(100.0 * errors / total, 2),
            "frames_wrong_percent": round(100.0 * (1.0 - frames_right / frames), 2),
        }
    return found


def lines_of(measured: Mapping[tuple[float | None, str], Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The lines of the table, fewest labels first: amount and set, then every measure without and with."""
    amounts = sorted({m for m, _ in measured}, key=lambda m: float("inf") if m is None else m)
    lines = {}
    for minutes in amounts:
        for group in measured[minutes, "without"]:
            values = {way: dict(measured[minutes, way][group]) for way in WAYS}
            lines[f"{labels_name(minutes)}, {group}"] = {
                "labels": labels_name(minutes),
                "set": group,
                **values,
            }
    return lines


def draw(lines: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """The measures over all sets together against the labels, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    whole = [line for line in lines.values() if line["set"] == "all sets"]
    figure = Figure(figsize=(11.2, 2.9), layout="constrained")
    FigureCanvasAgg(figure)
    places = range(len(whole))
    for number, measure in enumerate(MEASURES, 1):
        axes = figure.add_subplot(1, len(MEASURES), number)
        for way, color, style in zip(WAYS, ("#5d756e", "#1f7a5c"), ("--", "-"), strict=True):
            axes.plot(
                places,
                [line[way][measure] for line in whole],
                style,
                color=color,
                marker="o",
                markersize=4,
                label=f"{way} pre-training",
            )
        axes.set_title(f"{MEASURES[measure]}, %", fontsize=10)
        axes.set_xticks(list(places), [line["labels"] for line in whole])
        axes.set_xlabel("labels")
        axes.set_ylim(0, 105)
        axes.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=8, loc="lower left")
    figure.savefig(path, dpi=100)


def main() -> None:
    import torch

    from galago.models.training.checkpoints import load
    from galago.models.training.ear.batches import BatchMaker
    from galago.models.training.ear.checkpoint import load_model
    from galago.models.training.ear.recipe import Recipe
    from galago.models.training.toml_tables import build

    parser = common.parser(__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished runs, or their model.pt")
    parser.add_argument("--pretraining", type=Path, required=True, help="the run that the others began with")
    parser.add_argument("--cache", type=Path, required=True, help="decoded corpora of the runs")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="PNG [docs/pretraining.png]")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    paths = [checkpoint(path) for path in args.runs]
    runs = [trained(path, load(path)) for path in paths]
    wrong = faults(runs)
    if wrong:
        parser.error(f"these runs cannot be compared: {'; '.join(wrong)}")
    recipe: Recipe = build(Recipe, without_defaults(runs[0].recipe), str(runs[0].path))
    data = BatchMaker(recipe, data_dir(), args.cache)
    measured = {
        (run.label_minutes, run.way): heard(load_model(run.path), data)
        for run in common.progress(runs, "runs")
    }
    lines = lines_of(measured)
    before = load(checkpoint(args.pretraining))
    row = common.make_row(
        "pretraining",
        {"lines": lines},
        variant="ear",
        threads=args.threads,
        settings={
            "chunk_ms": CHUNK_MS,
            "steps": runs[0].step,
            "pretraining": {"step": before["step"], **pretraining_settings(json.loads(before["recipe"]))},
        },
    )
    draw(lines, args.picture)
    columns = [(measure, way) for measure in MEASURES for way in WAYS]
    header = ["labels", "set", *(f"{measure} {way}" for measure, way in columns)]
    told = ([v["labels"], v["set"], *(v[way][m] for m, way in columns)] for v in lines.values())
    print(common.table(header, told))
    common.finish([row], args)


def without_defaults(value: Any) -> Any:
    """A stored recipe as a file would say it: what is None was not said."""
    if isinstance(value, dict):
        return {key: without_defaults(item) for key, item in value.items() if item is not None}
    return [without_defaults(item) for item in value] if isinstance(value, list) else value


def pretraining_settings(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What of a pre-training's recipe a reader of the table asks for."""
    return {
        "objective": recipe["objective"],
        "schedule": recipe["schedule"],
        "corpora": [entry["path"] for entry in recipe["corpora"]],
    }


if __name__ == "__main__":
    main()
