"""Settings of a bundle's "grammar" section, chosen on grammars, voices and noises that the test has not.

Three numbers: ``prior_scale`` (how much phone priors are divided out), ``accept_mean`` and
``accept_worst_word`` (the log-likelihood ratios, a speech row, below which a sentence is rejected).

1. With rejection off, the prior scale under which most commands are right.
2. With that scale, every pair of thresholds: among those that reject at least ``MIN_REJECTED`` of the
   foreign sentences, the pair that leaves most commands right.

The library applies a threshold, not this program: a bundle with other settings is written to a scratch
folder and opened. The mean ratio is read from the confidence of an intent, so only the other threshold
needs runs of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import galago
from benchmarks import common, hearing
from benchmarks.grammar_accuracy import Trial, percent, trials_of
from benchmarks.spoken_commands import (
    TUNING_ESC10_FOLDS,
    TUNING_NOISE_FILES,
    TUNING_VOICES,
    CommandGrammar,
    Noise,
    clip_of,
)
from galago.runtime.bundle import find_bundle

GRAMMARS = tuple(sorted((Path(__file__).resolve().parents[1] / "examples" / "grammars").glob("*.yaml")))
NUM_SENTENCES = 36  # of each grammar
NUM_FOREIGN = 60

PRIOR_SCALES = (0.0, 0.15, 0.3, 0.45, 0.6)
WORST_WORDS = (-1.0, -1.5, -2.0, -2.5, -3.0, -4.0, -5.0, -7.0)
MEANS = tuple(-step / 20 for step in range(2, 61, 2))  # -0.1 to -3.0
ANYTHING = -100.0  # a threshold that rejects nothing; the lowest that a manifest may hold
MIN_REJECTED = 97.0  # percent of the foreign sentences


@dataclass(frozen=True)
class Outcome:
    """One clip under one setting: what it was, whether its meaning was right, and the mean ratio."""

    is_command: bool
    is_right: bool  # a command: understood; a foreign sentence: never
    mean_ratio: float  # -infinity where nothing was heard


def outcomes(bundle: Path, settings: Mapping[str, float], args: argparse.Namespace,
             trials: Mapping[str, Sequence[Trial]], noise: Noise) -> list[Outcome]:  # fmt: skip
    """Play all trials to a bundle with these settings."""
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = with_settings(bundle, settings, Path(scratch) / "bundle")
        chosen = argparse.Namespace(**{**vars(args), "bundle": folder})
        with hearing.opened(chosen) as opened, opened.session(partials=False) as session:
            for path in GRAMMARS:
                session.set_grammar(path)
                label = f"{path.stem} {dict(settings)}"
                for trial in common.progress(trials[path.stem], label):
                    samples = clip_of(trial.text, trial.voice, trial.condition, noise, args.cache)
                    found.append(_outcome(trial, hearing.Heard(list(session.run(samples))).intents))
    return found


def _outcome(trial: Trial, intents: Sequence[galago.Intent]) -> Outcome:
    if not intents:
        return Outcome(bool(trial.meanings), False, -math.inf)
    meanings = [(intent.name, tuple(sorted(intent.slots.items()))) for intent in intents]
    is_right = len(meanings) == 1 and meanings[0] in trial.meanings
    best = max(intent.confidence for intent in intents)
    return Outcome(bool(trial.meanings), is_right, math.log(max(best, 1e-30)))


def with_settings(bundle: Path, settings: Mapping[str, float], into: Path) -> Path:
    """Copy a bundle with other grammar settings; its files stay, and so do their hashes."""
    document = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    document["roles"]["ear"].setdefault("grammar", {}).update(settings)
    shutil.copytree(bundle, into)
    (into / "manifest.json").write_text(json.dumps(document), encoding="utf-8")
    return into


def thresholded(found: Sequence[Outcome], accept_mean: float) -> tuple[float, float]:
    """Percent of commands right and of foreign sentences rejected, were ``accept_mean`` the threshold."""
    commands = [o.is_right and o.mean_ratio >= accept_mean for o in found if o.is_command]
    foreign = [o.mean_ratio < accept_mean for o in found if not o.is_command]
    return percent(commands) or 0.0, percent(foreign) or 0.0


def best_thresholds(
    runs: Mapping[float, Sequence[Outcome]], min_rejected: float = MIN_REJECTED
) -> tuple[float, float, float, float]:
    """(accept_mean, accept_worst_word, right %, rejected %); ``runs`` maps accept_worst_word to outcomes.

    Where no pair rejects enough, the one that rejects most.
    """
    choices = [
        (*thresholded(found, mean), mean, worst)
        for worst, found in runs.items()
        for mean in (*MEANS, ANYTHING)
    ]
    right, rejected, mean, worst = max(
        choices, key=lambda c: (min(c[1], min_rejected), c[0], c[1], c[2], c[3])
    )
    return mean, worst, right, rejected


def tuning_trials(args: argparse.Namespace) -> Iterator[tuple[str, list[Trial]]]:
    grammars = [CommandGrammar(path) for path in GRAMMARS]
    for grammar in grammars:
        others = [other for other in grammars if other is not grammar]
        yield (
            grammar.name,
            trials_of(
                grammar,
                others,
                TUNING_VOICES,
                num_sentences=min(args.limit or NUM_SENTENCES, NUM_SENTENCES),
                num_foreign=min(args.limit or NUM_FOREIGN, NUM_FOREIGN),
            ),
        )


def calibrate(args: argparse.Namespace) -> None:
    """Measure, choose, print the "grammar" section."""
    bundle = find_bundle(args.bundle if args.bundle is not None else "default")
    trials, noise = dict(tuning_trials(args)), Noise(TUNING_NOISE_FILES, TUNING_ESC10_FOLDS)
    off = {"accept_mean": ANYTHING, "accept_worst_word": ANYTHING}
    lines = []
    for scale in PRIOR_SCALES:
        found = outcomes(bundle, {**off, "prior_scale": scale}, args, trials, noise)
        lines.append((scale, thresholded(found, ANYTHING)[0], *best_thresholds({ANYTHING: found})[2:]))
    print(
        common.table(["prior_scale", "right %, nothing rejected", "right %, mean only", "rejected %"], lines)
    )
    prior_scale = max(lines, key=lambda line: (line[2] + line[1], -line[0]))[0]

    runs = {
        worst: outcomes(
            bundle, {**off, "prior_scale": prior_scale, "accept_worst_word": worst}, args, trials, noise
        )
        for worst in WORST_WORDS
    }
    print(
        common.table(
            ["accept_worst_word", "accept_mean", "right %", "rejected %"],
            [
                (worst, chosen[0], *chosen[2:])
                for worst, found in runs.items()
                for chosen in [best_thresholds({worst: found})]
            ],
        )
    )
    mean, worst, right, rejected = best_thresholds(runs)
    print(f"commands right {right} %, foreign sentences rejected {rejected} %")
    section = {"prior_scale": prior_scale, "accept_mean": mean, "accept_worst_word": worst}
    print(f'"grammar": {json.dumps(section)}')
